//! JPEG as a container: its segments up to the end of the picture, and nothing behind the end.
//!
//! Phones put more pictures, films and notes behind the end, each with metadata of its own. Only a
//! walk from marker to marker finds the end.

use std::ops::Range;

use bytes::Bytes;

use super::bytes::{Rebuilt, be16};
use super::orientation::{Found, Orientation};

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;

/// Scans of a picture at the most; encoders write about ten. Each costs the time of a whole decode.
const MOST_SCANS: usize = 100;

/// The lengths of the two application segments that decoders need, without what may follow.
const JFIF: usize = 14;
const ADOBE: usize = 12;

/// A JPEG file, read up to the end of its picture.
pub(crate) struct Jpeg {
    pub(crate) frame: Frame,
    pub(crate) colours: Colours,
    /// Where the data of each scan ends, in the file without metadata.
    pub(crate) scan_ends: Vec<usize>,
    pub(super) orientation: Orientation,
    pub(super) profile: Option<Bytes>,
    pub(super) clean: Bytes,
    pub(super) is_changed: bool,
}

/// The frame header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) size: (u32, u32),
    pub(crate) is_progressive: bool,
    /// Identifier, horizontal and vertical sampling of each component.
    pub(crate) components: Vec<(u8, u8, u8)>,
}

/// The colour space of the components, as libjpeg tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    Grey,
    Rgb,
    YCbCr,
    /// Four inks, stored inverted: Adobe's programs do so, and viewers expect no other files.
    Inks {
        is_ycck: bool,
    },
}

/// A segment: a marker and the contents that belong to it.
struct Segment {
    marker: u8,
    /// From the fill bytes before the marker to the end of the contents.
    whole: Range<usize>,
    /// The marker's own place, behind its fill bytes and 0xff.
    at: usize,
    contents: Range<usize>,
}

fn ends_early() -> String {
    "damaged: it ends in the middle of the picture".to_owned()
}

fn rare(kind: &str) -> String {
    format!("a JPEG of a rare kind ({kind}); export it again")
}

/// The segment that begins at or behind this place. Stray bytes before it are skipped, as libjpeg
/// does.
fn segment(bytes: &[u8], from: usize) -> Result<Segment, String> {
    let byte = |at: usize| bytes.get(at).copied().ok_or_else(ends_early);
    let mut start = from;
    loop {
        while byte(start)? != 0xff {
            start += 1;
        }
        let mut at = start + 1;
        while byte(at)? == 0xff {
            at += 1;
        }
        let marker = byte(at)?;
        match marker {
            // No marker, or one that has no contents and no use between segments.
            0x00 | 0x01 | 0xd0..=0xd7 => start = at + 1,
            START_OF_IMAGE | END_OF_IMAGE => {
                return Ok(Segment {
                    marker,
                    whole: start..at + 1,
                    at,
                    contents: at + 1..at + 1,
                });
            }
            _ => {
                let length = be16(bytes, at + 1).ok_or_else(ends_early)?;
                let end = at + 1 + usize::from(length).max(2);
                byte(end - 1)?;
                return Ok(Segment {
                    marker,
                    whole: start..end,
                    at,
                    contents: at + 3..end,
                });
            }
        }
    }
}

/// The length of a scan's data: up to the next marker that is none of its own.
fn scan(data: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += data.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        match data.get(at + 1)? {
            // A byte of the data itself, and the markers between its intervals.
            0x00 | 0xd0..=0xd7 => at += 2,
            // A fill byte.
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}

fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

impl Frame {
    /// Reads a frame header; kinds that the decoder does not read are refused.
    fn read(marker: u8, contents: &[u8]) -> Result<Self, String> {
        let damaged = || "damaged: its header is cut".to_owned();
        let [bits, _, _, _, _, count, components @ ..] = contents else {
            return Err(damaged());
        };
        match (marker, bits) {
            (0xc3, _) => return Err(rare("lossless")),
            (0xc9..=0xcf, _) => return Err(rare("arithmetic coding")),
            (0xc5..=0xc7, _) => return Err(rare("hierarchical")),
            (_, 8) => {}
            (_, bits) => return Err(rare(&format!("{bits} bits a channel"))),
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(rare(&format!("{count} components")));
        }
        let components: Vec<(u8, u8, u8)> = components
            .chunks_exact(3)
            .take(usize::from(*count))
            .filter_map(|component| match component {
                [id, sampling, _] => Some((*id, sampling >> 4, sampling & 15)),
                _ => None,
            })
            .collect();
        if components.len() != usize::from(*count) {
            return Err(damaged());
        }
        let side = |at| be16(contents, at).map(u32::from).ok_or_else(damaged);
        let (height, width) = (side(1)?, side(3)?);
        if height == 0 {
            return Err(rare("its height is not in its header"));
        }
        if width == 0 {
            return Err("damaged: it has no width".to_owned());
        }
        Ok(Self {
            size: (width, height),
            is_progressive: marker == 0xc2,
            components,
        })
    }

    /// The rule of libjpeg: JFIF, then Adobe's note, then the identifiers.
    fn colours(&self, has_jfif: bool, adobe: Option<u8>) -> Colours {
        match (&self.components[..], adobe) {
            ([_], _) => Colours::Grey,
            ([_, _, _, _], _) => Colours::Inks {
                is_ycck: adobe.is_some_and(|transform| transform != 0),
            },
            _ if has_jfif => Colours::YCbCr,
            (_, Some(0)) => Colours::Rgb,
            (_, Some(_)) => Colours::YCbCr,
            ([(b'R', ..), (b'G', ..), (b'B', ..)], None) => Colours::Rgb,
            _ => Colours::YCbCr,
        }
    }
}

/// The size that the frame header tells, for files of which only the beginning is read.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let segment = segment(bytes, at).ok()?;
        if is_frame(segment.marker) {
            let contents = bytes.get(segment.contents)?;
            return Some((be16(contents, 3)?.into(), be16(contents, 1)?.into()));
        }
        if matches!(segment.marker, START_OF_SCAN | END_OF_IMAGE) {
            return None;
        }
        at = segment.whole.end;
    }
}

/// Reads a file from its first marker to the end of its picture; `Err` continues the phrase "the
/// picture is …".
pub(super) fn read(bytes: &Bytes) -> Result<Jpeg, String> {
    if bytes.get(..2) != Some(&[0xff, START_OF_IMAGE]) {
        return Err("damaged: it does not begin like a JPEG".to_owned());
    }
    let mut clean = Rebuilt::new(bytes);
    clean.keep(0..2);
    let mut orientation = Found::default();
    let (mut frame, mut has_jfif, mut adobe) = (None, false, None);
    let mut profile: Vec<(u8, &[u8])> = Vec::new();
    let mut scan_ends = Vec::new();
    let mut at = 2;
    loop {
        let segment = segment(bytes, at)?;
        at = segment.whole.end;
        let contents = bytes.get(segment.contents.clone()).unwrap_or_default();
        match segment.marker {
            END_OF_IMAGE => {
                clean.keep(segment.whole);
                break;
            }
            START_OF_IMAGE => return Err("damaged: it begins twice".to_owned()),
            START_OF_SCAN => {
                let data = bytes.get(at..).unwrap_or_default();
                at += scan(data).ok_or_else(ends_early)?;
                clean.keep(segment.whole.start..at);
                scan_ends.push(clean.len());
                if scan_ends.len() > MOST_SCANS {
                    return Err(rare(&format!("more than {MOST_SCANS} scans")));
                }
            }
            0xe0 if contents.starts_with(b"JFIF\0") && contents.len() >= JFIF => {
                has_jfif = true;
                // Its last two bytes are width and height of the thumbnail that follows.
                let kept = contents.get(..JFIF - 2).unwrap_or_default();
                put(&mut clean, &segment, &[kept, &[0, 0]].concat());
            }
            0xee if contents.starts_with(b"Adobe") && contents.len() >= ADOBE => {
                adobe = contents.get(ADOBE - 1).copied();
                put(
                    &mut clean,
                    &segment,
                    contents.get(..ADOBE).unwrap_or_default(),
                );
            }
            // Viewers read these notes before the pixels alone.
            0xe1 if scan_ends.is_empty() => {
                if contents.starts_with(b"Exif\0") {
                    orientation.exif(contents);
                } else if contents.starts_with(b"http://ns.adobe.com/xap/1.0/\0") {
                    orientation.xmp(contents);
                }
            }
            0xe2 if contents.starts_with(b"ICC_PROFILE\0") => {
                if let [number, _, part @ ..] = contents.get(12..).unwrap_or_default() {
                    profile.push((*number, part));
                }
                clean.keep(segment.whole);
            }
            // Notes of applications, and comments.
            0xe0..=0xef | 0xfe => {}
            marker => {
                if is_frame(marker) && frame.replace(Frame::read(marker, contents)?).is_some() {
                    return Err(rare("hierarchical"));
                }
                clean.keep(segment.whole);
            }
        }
    }
    let frame = frame.ok_or("damaged: it has no frame header")?;
    if scan_ends.is_empty() {
        return Err("damaged: it has no pixels".to_owned());
    }
    profile.sort_by_key(|(number, _)| *number);
    let profile = profile.iter().flat_map(|(_, part)| part.iter().copied());
    let profile: Vec<u8> = profile.collect();
    let (clean, is_changed) = clean.finish();
    Ok(Jpeg {
        colours: frame.colours(has_jfif, adobe),
        frame,
        scan_ends,
        orientation: orientation.decided(),
        profile: (!profile.is_empty()).then(|| profile.into()),
        clean,
        is_changed,
    })
}

/// Puts a segment with other contents in the place of this one.
fn put(clean: &mut Rebuilt<'_>, segment: &Segment, contents: &[u8]) {
    let [high, low] = u16::try_from(contents.len() + 2).unwrap_or(2).to_be_bytes();
    clean.keep(segment.whole.start..segment.at + 1);
    clean.put(segment.at + 1, &[&[high, low], contents].concat());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(middle: &[u8], behind: &[u8]) -> Bytes {
        let mut file = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
        file.extend_from_slice(middle);
        file.extend(b"\xff\xc0\0\x0b\x08\0\x05\0\x07\x01\x01\x11\0");
        file.extend([
            0xff, 0xda, 0, 3, 1, 9, 0xff, 0x00, 7, 0xff, 0xd0, 8, 0xff, 0xd9,
        ]);
        file.extend_from_slice(behind);
        file.into()
    }

    #[test]
    fn the_end_is_the_first_marker_of_its_kind_outside_the_data() {
        let behind = [0xff, 0xda, 0xff, 0xd8, 0xff, 0xd9, 3];
        let note = [0xff, 0xfe, 0, 4, b'h', b'i'];
        let thumbnail = [0xff, 0xe1, 0, 6, 0xff, 0xd9, 0xff, 0xda];
        let stray = [0, 0, 7, 0xff, 0, 9, 0xff, 0xd3];
        let plain = file(&[], &[]);
        for (middle, behind) in [
            (&note[..], &[][..]),
            (&[], &behind),
            (&thumbnail, &[]),
            (&stray, &[]),
            (&note, &behind),
        ] {
            let jpeg = read(&file(middle, behind)).unwrap();
            assert!(jpeg.is_changed);
            assert_eq!(jpeg.clean, plain);
            assert_eq!(jpeg.scan_ends, [plain.len() - 2]);
            assert_eq!(jpeg.frame.size, (7, 5));
        }
        assert!(!read(&plain).unwrap().is_changed);
        for length in 0..plain.len() {
            assert!(read(&plain.slice(..length)).is_err(), "{length}");
        }
        assert_eq!(size(&plain.slice(..40)), Some((7, 5)));
    }

    #[test]
    fn the_colour_space_follows_libjpeg() {
        let frame = |ids: &[u8]| Frame {
            size: (1, 1),
            is_progressive: false,
            components: ids.iter().map(|id| (*id, 1, 1)).collect(),
        };
        for (ids, has_jfif, adobe, colours) in [
            (&[1][..], true, None, Colours::Grey),
            (&[1, 2, 3], false, None, Colours::YCbCr),
            (&[1, 2, 3], true, Some(0), Colours::YCbCr),
            (&[1, 2, 3], false, Some(0), Colours::Rgb),
            (b"RGB", false, Some(1), Colours::YCbCr),
            (b"RGB", false, None, Colours::Rgb),
            (b"RGB", true, None, Colours::YCbCr),
            (&[1, 34, 35], false, None, Colours::YCbCr),
        ] {
            assert_eq!(frame(ids).colours(has_jfif, adobe), colours, "{ids:?}");
        }
        let inks = |is_ycck| Colours::Inks { is_ycck };
        let four = frame(&[1, 2, 3, 4]);
        assert_eq!(four.colours(false, None), inks(false));
        assert_eq!(four.colours(false, Some(0)), inks(false));
        assert_eq!(four.colours(true, Some(2)), inks(true));
    }
}
