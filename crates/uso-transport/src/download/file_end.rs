//! End of a file: whether a picture ends as its format has it.

/// First bytes that are kept, which tell the type.
const FIRST: usize = 64;

/// Last bytes that are kept, in which the end of the format is looked for.
const LAST: usize = 4 << 10;

/// The `IEND` chunk, which every PNG ends with.
const PNG_END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// The first and the last bytes of a file that goes by, and its length.
#[derive(Default)]
pub(super) struct Ends {
    first: Vec<u8>,
    last: Vec<u8>,
    length: u64,
}

impl Ends {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let missing = FIRST.saturating_sub(self.first.len());
        self.first.extend(bytes.iter().take(missing));
        let bytes_kept = bytes.len().min(LAST);
        let tail = bytes.split_at(bytes.len() - bytes_kept).1;
        let surplus = (self.last.len() + tail.len()).saturating_sub(LAST);
        self.last.drain(..surplus.min(self.last.len()));
        self.last.extend_from_slice(tail);
        self.length = self
            .length
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether the file is whole: by the end of its format, or for a format without a known end,
    /// because its length was told.
    pub(super) fn check(&self, is_length_told: bool) -> Result<(), String> {
        let (format, is_whole) = match self.first.as_slice() {
            [0x89, b'P', b'N', b'G', ..] => ("PNG", self.has_png_end()),
            [0xff, 0xd8, 0xff, ..] => ("JPEG", self.ends_with(&[0xff, 0xd9])),
            [b'G', b'I', b'F', b'8', ..] => ("GIF", self.ends_with(&[0x3b])),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                a,
                b,
                c,
                d,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => {
                let told = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
                ("WebP", self.length >= told + 8)
            }
            _ if is_length_told => return Ok(()),
            _ => {
                return Err(
                    "neither a length nor the end of its format tells that it is whole".to_owned(),
                );
            }
        };
        match is_whole {
            true => Ok(()),
            false => Err(format!("it does not end as a {format} ends")),
        }
    }

    fn has_png_end(&self) -> bool {
        self.last
            .windows(PNG_END.len())
            .any(|window| window == PNG_END)
    }

    /// Whether the file ends with this marker; zeros behind it are padding.
    fn ends_with(&self, marker: &[u8]) -> bool {
        let padding = self
            .last
            .iter()
            .rev()
            .take_while(|byte| **byte == 0)
            .count();
        let unpadded = self.last.len() - padding;
        self.last
            .get(..unpadded)
            .is_some_and(|last| last.ends_with(marker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], is_length_told: bool) -> Result<(), String> {
        let mut ends = Ends::default();
        bytes.chunks(7).for_each(|chunk| ends.push(chunk));
        assert_eq!(ends.length(), bytes.len() as u64);
        ends.check(is_length_told)
    }

    fn pictures() -> Vec<Vec<u8>> {
        let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 9000], PNG_END].concat();
        let jpeg = [b"\xff\xd8\xff\xe0".as_slice(), &[7; 9000], b"\xff\xd9"].concat();
        let gif = [b"GIF89a".as_slice(), &[7; 300], b"\x3b"].concat();
        let webp = [
            b"RIFF".as_slice(),
            &304_u32.to_le_bytes(),
            b"WEBP",
            &[7; 300],
        ]
        .concat();
        vec![png, jpeg, gif, webp]
    }

    #[test]
    fn a_whole_picture_ends_as_its_format_has_it_and_any_cut_is_seen() {
        for picture in pictures() {
            assert_eq!(check(&picture, false), Ok(()));
            for cut in 16..picture.len() {
                let (start, _) = picture.split_at(cut);
                assert!(check(start, true).is_err(), "{cut} of {}", picture.len());
            }
        }
        for mut padded in pictures() {
            padded.extend([0; 100]);
            assert_eq!(check(&padded, false), Ok(()));
        }
    }

    #[test]
    fn another_format_is_whole_only_by_its_length() {
        assert_eq!(check(b"....ftypavif", true), Ok(()));
        assert!(check(b"....ftypavif", false).is_err());
    }
}
