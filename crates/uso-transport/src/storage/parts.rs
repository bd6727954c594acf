//! Parts of a large file, and which of them have arrived.

use std::ops::Range;

use bytes::Bytes;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::kind::{ErrorKind, Operation};

/// Bytes of a part, which is the size that fal's own clients use.
const PART: u64 = 10 << 20;

/// Parts of one upload at the most, as storages of this kind have it.
const MOST_PARTS: u64 = 10_000;

/// The tags of the parts that arrived, in order.
pub(super) struct Parts {
    length: u64,
    part: u64,
    tags: Vec<Option<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Named<'a> {
    part_number: usize,
    etag: &'a str,
}

impl Parts {
    pub(super) fn of(length: u64) -> Self {
        // A file that would have too many parts has larger ones.
        let part = length
            .div_ceil(MOST_PARTS)
            .next_multiple_of(1 << 20)
            .max(PART);
        let count = usize::try_from(length.div_ceil(part)).unwrap_or_default();
        Self {
            length,
            part,
            tags: vec![None; count],
        }
    }

    pub(super) fn any_arrived(&self) -> bool {
        self.tags.iter().any(Option::is_some)
    }

    /// The bytes of a part; the first number is 1. The last part ends with the file.
    pub(super) fn range(&self, number: usize) -> Range<u64> {
        let before = u64::try_from(number.saturating_sub(1)).unwrap_or(u64::MAX);
        let start = before.saturating_mul(self.part).min(self.length);
        start..start.saturating_add(self.part).min(self.length)
    }

    pub(super) fn missing(&self) -> Vec<usize> {
        let tags = self.tags.iter().enumerate();
        tags.filter(|(_, tag)| tag.is_none())
            .map(|(index, _)| index + 1)
            .collect()
    }

    pub(super) fn arrived(&mut self, number: usize, tag: String) {
        if let Some(place) = self.tags.get_mut(number.saturating_sub(1)) {
            *place = Some(tag);
        }
    }

    /// The body that completes the upload, in the order of the numbers.
    pub(super) fn tags(&self) -> Result<Bytes> {
        let tags = self.tags.iter().flatten().enumerate();
        let parts: Vec<Named<'_>> = tags
            .map(|(index, etag)| Named {
                part_number: index + 1,
                etag,
            })
            .collect();
        let body = serde_json::to_vec(&serde_json::json!({ "parts": parts }));
        body.map(Bytes::from).map_err(|error| {
            Error::new(
                Operation::Upload,
                ErrorKind::Malformed,
                "a part's tag is not text",
            )
            .with_source(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_file_without_gap_or_overlap() {
        for (length, size) in [
            (1, PART),
            (PART - 1, PART),
            (PART, PART),
            (PART + 1, PART),
            (10 * PART + 7, PART),
            (MOST_PARTS * PART, PART),
            (MOST_PARTS * PART + 1, 11 << 20),
            (1 << 62, 439_804_652 << 20),
        ] {
            let parts = Parts::of(length);
            let count = parts.tags.len();
            assert!(count as u64 <= MOST_PARTS, "{length}: {count}");
            let ranges: Vec<Range<u64>> = (1..=count).map(|number| parts.range(number)).collect();
            assert_eq!(ranges[0].start, 0);
            assert_eq!(ranges[count - 1].end, length);
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].end, pair[1].start);
                assert_eq!(pair[0].end - pair[0].start, size, "{length}");
            }
        }
    }
}
