//! Fixed-size numbers inside a file, and the file rebuilt from those of its parts that are kept.

use std::ops::Range;

use bytes::Bytes;

/// The bytes at this place.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    let [low, middle, high] = array(bytes, at)?;
    Some(u32::from_le_bytes([low, middle, high, 0]))
}

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// A file that is rebuilt from the parts of another, which is copied only where they differ.
pub(super) struct Rebuilt<'a> {
    file: &'a Bytes,
    /// The length up to which the files are the same, while nothing else was appended.
    same: usize,
    other: Option<Vec<u8>>,
}

impl<'a> Rebuilt<'a> {
    pub(super) fn new(file: &'a Bytes) -> Self {
        Self {
            file,
            same: 0,
            other: None,
        }
    }

    /// Appends a part of the old file.
    pub(super) fn keep(&mut self, range: Range<usize>) {
        if self.other.is_none() && range.start == self.same {
            self.same = range.end;
        } else {
            let part = self.file.get(range).unwrap_or_default();
            self.append(part);
        }
    }

    /// Appends these bytes, which stand at this place of the old file unless they were changed.
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        let end = at.saturating_add(bytes.len());
        if self.file.get(at..end) == Some(bytes) {
            self.keep(at..end);
        } else {
            self.append(bytes);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let other = self.other.get_or_insert_with(|| {
            let mut other = Vec::with_capacity(self.file.len());
            other.extend_from_slice(self.file.get(..self.same).unwrap_or_default());
            other
        });
        other.extend_from_slice(bytes);
    }

    /// The length so far.
    pub(super) fn len(&self) -> usize {
        self.other.as_ref().map_or(self.same, Vec::len)
    }

    /// The file, and whether it differs from the old one.
    pub(super) fn finish(self) -> (Bytes, bool) {
        match self.other {
            Some(other) => (other.into(), true),
            None => (
                self.file.slice(..self.same.min(self.file.len())),
                self.same != self.file.len(),
            ),
        }
    }
}
