//! PNG as a container: its chunks up to `IEND`, and nothing behind that.

use std::ops::{Range, RangeInclusive};

use bytes::Bytes;

use super::bytes::{Rebuilt, array, be32};
use super::orientation::{Found, Orientation, raw_profile};
use crate::reference::inflate::inflate;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Chunks that change how the picture looks, and what their lengths must be.
const KEPT: [(&[u8; 4], RangeInclusive<usize>); 12] = [
    (b"IHDR", 13..=13),
    (b"PLTE", 3..=768),
    (b"IDAT", 0..=usize::MAX),
    (b"IEND", 0..=0),
    (b"tRNS", 1..=256),
    (b"gAMA", 4..=4),
    (b"cHRM", 32..=32),
    (b"sRGB", 1..=1),
    (b"iCCP", 3..=usize::MAX),
    (b"cICP", 4..=4),
    (b"sBIT", 1..=4),
    (b"bKGD", 1..=6),
];

/// Whether a chunk belongs to what the picture needs.
fn is_kept(kind: &[u8; 4], length: usize) -> bool {
    let mut kept = KEPT.iter();
    kept.any(|(name, lengths)| *name == kind && lengths.contains(&length))
}

/// Whether a decoder that does not know the chunk may skip it.
fn is_ancillary(kind: &[u8; 4]) -> bool {
    kind.first().is_some_and(u8::is_ascii_lowercase)
}

/// Whether the checksum of a chunk holds. Without the picture stack it is not checked.
fn is_intact(chunk: &[u8]) -> bool {
    #[cfg(feature = "fit")]
    if let Some((rest, checksum)) = chunk.split_last_chunk() {
        let hashed = rest.get(4..).unwrap_or_default();
        return crc32fast::hash(hashed) == u32::from_be_bytes(*checksum);
    }
    let _ = chunk;
    true
}

/// A PNG file, read up to its end.
pub(crate) struct Png {
    pub(crate) size: (u32, u32),
    pub(crate) bit_depth: u8,
    pub(crate) channels: u8,
    pub(crate) is_interlaced: bool,
    pub(crate) has_colour: bool,
    pub(super) is_animated: bool,
    pub(super) orientation: Orientation,
    /// As it is stored: deflated.
    pub(super) profile: Option<Bytes>,
    pub(super) clean: Bytes,
    pub(super) is_changed: bool,
}

/// The header, which is the first chunk of every PNG.
fn header(bytes: &[u8]) -> Option<[u8; 13]> {
    let first = bytes.get(SIGNATURE.len()..)?;
    array(first.strip_prefix(b"\0\0\0\x0dIHDR")?, 0)
}

/// The size that the header tells, for files of which only the beginning is read.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = header(bytes)?;
    Some((be32(&header, 0)?, be32(&header, 4)?))
}

/// Reads a file; `Err` continues the phrase "the picture is …".
pub(super) fn read(bytes: &Bytes) -> Result<Png, String> {
    let no_header = "damaged: it has no header";
    let size = size(bytes).ok_or(no_header)?;
    let [.., bit_depth, colour, _, _, interlace] = header(bytes).ok_or(no_header)?;
    let mut clean = Rebuilt::new(bytes);
    clean.keep(0..SIGNATURE.len());
    let mut at = SIGNATURE.len();
    let mut orientation = Found::default();
    let mut profile = None;
    let (mut is_animated, mut is_transparent, mut is_other_dropped) = (false, false, false);
    loop {
        let (kind, whole, contents) = chunk(bytes, at)
            .ok_or_else(|| "damaged: it ends in the middle of the picture".to_owned())?;
        at = whole.end;
        let data = bytes.get(contents.clone()).unwrap_or_default();
        // As in libpng, a part that could be missing and is damaged counts as missing.
        if is_ancillary(&kind) && !is_intact(bytes.get(whole.clone()).unwrap_or_default()) {
            is_other_dropped = true;
            continue;
        }
        match &kind {
            b"tRNS" => is_transparent = true,
            b"iCCP" => {
                // A name, its end, and the number of the only compression there is.
                let name = data
                    .iter()
                    .position(|byte| *byte == 0)
                    .unwrap_or(data.len());
                profile = bytes
                    .get(contents.start + name + 2..contents.end)
                    .map(|_| bytes.slice(contents.start + name + 2..contents.end));
            }
            b"eXIf" => orientation.exif(data),
            b"tEXt" | b"zTXt" | b"iTXt" => text(&kind, data, &mut orientation),
            // The default picture, which is the first frame or stands for all of them.
            b"acTL" | b"fcTL" | b"fdAT" => is_animated = true,
            _ => {}
        }
        if is_kept(&kind, data.len()) {
            clean.keep(whole);
        } else if !matches!(&kind, b"acTL" | b"fcTL" | b"fdAT") {
            is_other_dropped = true;
        }
        if kind == *b"IEND" {
            break;
        }
    }
    let is_transparent = u8::from(is_transparent);
    let channels = match colour {
        0 => 1 + is_transparent,
        4 => 2,
        6 => 4,
        _ => 3 + is_transparent,
    };
    let is_longer = at < bytes.len();
    let (clean, _) = clean.finish();
    Ok(Png {
        size,
        bit_depth,
        channels,
        is_interlaced: interlace != 0,
        has_colour: !matches!(colour, 0 | 4),
        is_animated,
        orientation: orientation.decided(),
        profile,
        clean,
        is_changed: is_other_dropped || is_longer,
    })
}

/// The chunk at this place: its kind, all of it, and its data.
fn chunk(bytes: &[u8], at: usize) -> Option<([u8; 4], Range<usize>, Range<usize>)> {
    let length = usize::try_from(be32(bytes, at)?).ok()?;
    let kind = array(bytes, at + 4)?;
    let data = at + 8..(at + 8).checked_add(length)?;
    let whole = at..data.end.checked_add(4)?;
    bytes.get(whole.clone())?;
    Some((kind, whole, data))
}

/// Looks for an orientation in a text chunk: XMP, or EXIF as ImageMagick writes it.
fn text(kind: &[u8; 4], data: &[u8], orientation: &mut Found) {
    let Some(end) = data.iter().position(|byte| *byte == 0) else {
        return;
    };
    let (keyword, rest) = data.split_at(end);
    let is_exif = matches!(keyword, b"Raw profile type exif" | b"Raw profile type APP1");
    let is_xmp = matches!(keyword, b"XML:com.adobe.xmp" | b"Raw profile type xmp");
    if !is_exif && !is_xmp {
        return;
    }
    let value = match (kind, rest) {
        (b"tEXt", [0, value @ ..]) => Some(value.to_vec()),
        (b"zTXt", [0, 0, value @ ..]) => inflate(value),
        (b"iTXt", [0, is_deflated, 0, value @ ..]) => {
            // Language and translated keyword come first.
            let mut parts = value.splitn(3, |byte| *byte == 0).skip(2);
            parts.next().and_then(|value| match is_deflated {
                0 => Some(value.to_vec()),
                _ => inflate(value),
            })
        }
        _ => None,
    };
    let Some(value) = value else { return };
    match keyword {
        b"XML:com.adobe.xmp" => orientation.xmp(&value),
        b"Raw profile type xmp" => orientation.xmp(&raw_profile(&value)),
        _ => orientation.exif(&raw_profile(&value)),
    }
}
