//! The structure of a JPEG file: its segments up to the end of the picture, and nothing behind it.
//!
//! Phones put more pictures, films and notes behind the end, each with metadata of its own. Where
//! the end is, only a walk from mark to mark tells.

use std::ops::Range;

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
const PROGRESSIVE_FRAME: u8 = 0xc2;

/// A JPEG file, walked through.
pub(super) struct Jpeg<'a> {
    bytes: &'a [u8],
    segments: Vec<Segment>,
}

/// A mark with what belongs to it: for a scan, the data behind its header, too.
struct Segment {
    mark: u8,
    /// From the mark on.
    whole: Range<usize>,
    /// Behind the mark and the length.
    contents: Range<usize>,
}

impl<'a> Jpeg<'a> {
    /// Walks from the first mark to the end of the picture; `Err` continues the phrase "it is …".
    pub(super) fn walk(bytes: &'a [u8]) -> Result<Self, String> {
        let early = || "damaged: it ends in the middle of the picture".to_owned();
        let byte = |at: usize| bytes.get(at).copied().ok_or_else(early);
        if byte(0)? != 0xff || byte(1)? != START_OF_IMAGE {
            return Err("damaged: it does not begin like a JPEG".to_owned());
        }
        let mut segments = Vec::new();
        let mut at = 2;
        loop {
            if byte(at)? != 0xff {
                return Err("damaged: a part of it is not where it should be".to_owned());
            }
            let start = at;
            // Any number of fill bytes may stand before a mark.
            while byte(at)? == 0xff {
                at += 1;
            }
            let mark = byte(at)?;
            at += 1;
            if mark == END_OF_IMAGE {
                let whole = start..at;
                let contents = at..at;
                segments.push(Segment {
                    mark,
                    whole,
                    contents,
                });
                return Ok(Self { bytes, segments });
            }
            // Marks without a length.
            if matches!(mark, 0x01 | 0xd0..=0xd7) {
                continue;
            }
            let length = usize::from(byte(at)?) << 8 | usize::from(byte(at + 1)?);
            let contents = at + 2..at + length.max(2);
            at = contents.end;
            byte(at.saturating_sub(1))?;
            if mark == START_OF_SCAN {
                at += scan(bytes.get(at..).unwrap_or_default()).ok_or_else(early)?;
            }
            let whole = start..at;
            segments.push(Segment {
                mark,
                whole,
                contents,
            });
        }
    }

    fn frame(&self) -> Option<(u8, &[u8])> {
        let is_frame =
            |mark: u8| matches!(mark, 0xc0..=0xcf) && !matches!(mark, 0xc4 | 0xc8 | 0xcc);
        let segment = self
            .segments
            .iter()
            .find(|segment| is_frame(segment.mark))?;
        Some((segment.mark, self.bytes.get(segment.contents.clone())?))
    }

    /// Whether it is of four inks, which is what printing houses give.
    pub(super) fn has_four_inks(&self) -> bool {
        // Precision, height, width, then the number of components.
        let components = self.frame().and_then(|(_, frame)| frame.get(5));
        components == Some(&4)
    }

    /// Whether it comes in several scans, which a decoder has to hold all at once.
    pub(super) fn is_progressive(&self) -> bool {
        self.frame()
            .is_some_and(|(mark, _)| mark == PROGRESSIVE_FRAME)
    }

    /// Whether it has anything that is not needed to show the picture.
    pub(super) fn has_metadata(&self) -> bool {
        let end = self.segments.last().map_or(0, |last| last.whole.end);
        end < self.bytes.len() || self.segments.iter().any(|segment| !self.is_needed(segment))
    }

    /// The file with what is needed to show the picture.
    pub(super) fn without_metadata(&self) -> Vec<u8> {
        let mut kept = vec![0xff, START_OF_IMAGE];
        for segment in self
            .segments
            .iter()
            .filter(|segment| self.is_needed(segment))
        {
            kept.extend_from_slice(self.bytes.get(segment.whole.clone()).unwrap_or_default());
        }
        kept
    }

    /// Everything that an application wrote goes, but for what decoders need: the JFIF header, the
    /// colour profile and the note on the colour transform.
    fn is_needed(&self, segment: &Segment) -> bool {
        let contents = self.bytes.get(segment.contents.clone()).unwrap_or_default();
        match segment.mark {
            0xe0 => contents.starts_with(b"JFIF\0"),
            0xe2 => contents.starts_with(b"ICC_PROFILE\0"),
            0xee => contents.starts_with(b"Adobe"),
            0xe1..=0xef | 0xfe => false,
            _ => true,
        }
    }
}

/// The length of a scan's data: up to the next mark that is none of its own.
fn scan(data: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += data.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        match data.get(at + 1)? {
            // A byte of the data itself, and the marks between its intervals.
            0x00 | 0xd0..=0xd7 => at += 2,
            // A fill byte.
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(middle: &[u8], behind: &[u8]) -> Vec<u8> {
        let mut file = vec![0xff, 0xd8, 0xff, 0xe0, 0, 7];
        file.extend(b"JFIF\0");
        file.extend_from_slice(middle);
        file.extend([
            0xff, 0xda, 0, 3, 1, 9, 0xff, 0x00, 7, 0xff, 0xd0, 8, 0xff, 0xd9,
        ]);
        file.extend_from_slice(behind);
        file
    }

    #[test]
    fn the_end_is_the_first_mark_of_its_kind_outside_the_data() {
        let behind = [0xff, 0xda, 0xff, 0xd8, 0xff, 0xd9, 3];
        let note = [0xff, 0xfe, 0, 4, b'h', b'i'];
        let thumbnail = [0xff, 0xe1, 0, 6, 0xff, 0xd9, 0xff, 0xda];
        for (middle, behind) in [
            (&note[..], &[][..]),
            (&[], &behind),
            (&thumbnail, &[]),
            (&note, &behind),
        ] {
            let whole = file(middle, behind);
            let jpeg = Jpeg::walk(&whole).unwrap();
            assert!(jpeg.has_metadata());
            assert_eq!(jpeg.without_metadata(), file(&[], &[]));
        }
        let plain = file(&[], &[]);
        assert!(!Jpeg::walk(&plain).unwrap().has_metadata());
        for length in 0..plain.len() {
            assert!(Jpeg::walk(&plain[..length]).is_err(), "{length}");
        }
    }
}
