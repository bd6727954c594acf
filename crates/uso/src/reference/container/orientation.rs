//! The orientation of a picture, in each of the forms in which files carry it.
//!
//! EXIF decides, wherever a file has it: with or without the prefix `Exif\0\0`, in the first of
//! several blocks that tells an orientation, and as any integer type. Where there is none, the XMP
//! packet's `tiff:Orientation` counts, as it does in Pillow.

use super::bytes::{be16, be32, le16, le32};

/// How the stored rows and columns are shown: the value of EXIF's orientation, from 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orientation(u8);

impl Orientation {
    pub(crate) const UPRIGHT: Self = Self(1);

    fn new(value: u32) -> Option<Self> {
        let value = u8::try_from(value).ok()?;
        (1..=8).contains(&value).then_some(Self(value))
    }

    /// Whether width and height change places.
    pub(crate) fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    /// Whether columns are shown from right to left, before sides are swapped.
    #[cfg(feature = "fit")]
    pub(crate) fn mirrors_columns(self) -> bool {
        matches!(self.0, 2 | 3 | 7 | 8)
    }

    /// Whether rows are shown from bottom to top, before sides are swapped.
    #[cfg(feature = "fit")]
    pub(crate) fn mirrors_rows(self) -> bool {
        matches!(self.0, 3 | 4 | 6 | 7)
    }

    pub(crate) fn upright(self, (width, height): (u32, u32)) -> (u32, u32) {
        match self.swaps_sides() {
            true => (height, width),
            false => (width, height),
        }
    }
}

/// The orientations that the blocks of a file tell.
#[derive(Default)]
pub(super) struct Found {
    exif: Option<Orientation>,
    xmp: Option<Orientation>,
}

impl Found {
    pub(super) fn exif(&mut self, block: &[u8]) {
        self.exif = self.exif.or_else(|| in_exif(block));
    }

    pub(super) fn xmp(&mut self, packet: &[u8]) {
        self.xmp = self.xmp.or_else(|| in_xmp(packet));
    }

    pub(super) fn decided(&self) -> Orientation {
        self.exif.or(self.xmp).unwrap_or(Orientation::UPRIGHT)
    }
}

/// The orientation in the first directory of a TIFF structure.
fn in_exif(block: &[u8]) -> Option<Orientation> {
    const ORIENTATION: u16 = 0x0112;
    let tiff = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    let is_big_endian = match tiff.get(..2)? {
        b"MM" => true,
        b"II" => false,
        _ => return None,
    };
    let short = |at| match is_big_endian {
        true => be16(tiff, at),
        false => le16(tiff, at),
    };
    let long = |at| match is_big_endian {
        true => be32(tiff, at),
        false => le32(tiff, at),
    };
    let directory = usize::try_from(long(4)?).ok()?;
    let count = usize::from(short(directory)?);
    let entries = (0..count).map(|entry| directory.saturating_add(2 + entry * 12));
    let entry = entries.take_while(|at| short(*at).is_some());
    let entry = entry
        .into_iter()
        .find(|at| short(*at) == Some(ORIENTATION))?;
    let value = match short(entry + 2)? {
        // BYTE, SHORT, LONG and their signed kinds, left-aligned in the entry.
        1 | 6 => u32::from(*tiff.get(entry + 8)?),
        3 | 8 => u32::from(short(entry + 8)?),
        4 | 9 => long(entry + 8)?,
        _ => return None,
    };
    Orientation::new(value)
}

/// The property `tiff:Orientation` of an XMP packet, as an attribute or as an element.
fn in_xmp(packet: &[u8]) -> Option<Orientation> {
    const NAME: &[u8] = b"tiff:Orientation";
    let at = packet
        .windows(NAME.len())
        .position(|window| window == NAME)?;
    let rest = packet.get(at + NAME.len()..)?;
    let ([b'>', digit, ..] | [b'=', b'"' | b'\'', digit, ..]) = rest else {
        return None;
    };
    Orientation::new(u32::from(digit.wrapping_sub(b'0')))
}

/// The EXIF block inside the text that ImageMagick writes into PNG: a name, a length, and
/// hexadecimal digits, each on lines of their own.
pub(super) fn raw_profile(text: &[u8]) -> Vec<u8> {
    let mut lines = text.split(|byte| *byte == b'\n').skip(3);
    let digits = lines
        .by_ref()
        .flatten()
        .filter_map(|byte| char::from(*byte).to_digit(16));
    let digits: Vec<u8> = digits
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orientation_is_found_in_every_type_and_byte_order() {
        let little = |kind: u8, value: [u8; 4]| {
            let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01".to_vec();
            tiff.extend([kind, 0, 1, 0, 0, 0]);
            tiff.extend(value);
            tiff
        };
        for kind in [1, 3, 4, 6, 8, 9] {
            assert_eq!(in_exif(&little(kind, [6, 0, 0, 0])), Some(Orientation(6)));
        }
        assert_eq!(in_exif(&little(2, [6, 0, 0, 0])), None, "text is no number");
        assert_eq!(in_exif(&little(3, [9, 0, 0, 0])), None);
        let big = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0";
        assert_eq!(in_exif(big), Some(Orientation(8)));
        for length in 0..big.len() - 2 {
            assert_eq!(in_exif(&big[..length]), None, "{length}");
        }
    }

    #[test]
    fn exif_goes_before_xmp_and_the_first_before_the_second() {
        let mut found = Found::default();
        found.xmp(b"<rdf:Description tiff:Orientation=\"3\"/>");
        assert_eq!(found.decided(), Orientation(3));
        found.exif(b"II*\0\x08\0\0\0\0\0");
        found.exif(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0");
        found.exif(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0");
        assert_eq!(found.decided(), Orientation(6));
        assert_eq!(
            in_xmp(b"<tiff:Orientation>8</tiff:Orientation>"),
            Some(Orientation(8))
        );
        assert_eq!(in_xmp(b"tiff:Orientation>x"), None);
    }
}
