//! WebP as a container: its chunks, and nothing behind them.
//!
//! Of an animation the first frame is taken, as a still picture of its own.

use std::ops::Range;

use bytes::Bytes;

use super::bytes::{Rebuilt, array, le24, le32};
use super::orientation::{Found, Orientation};

/// Flags of the extended header.
const PROFILE: u8 = 0x20;
const ALPHA: u8 = 0x10;
const EXIF: u8 = 0x08;
const XMP: u8 = 0x04;
const ANIMATION: u8 = 0x02;

/// Bytes of `RIFF`, the length and `WEBP`.
const HEADER: usize = 12;

/// Chunks at the most, so that a file of nothing else takes no memory. Each frame of an animation is
/// one.
const MOST_CHUNKS: usize = 100_000;

/// A WebP file, read up to its end.
pub(crate) struct WebP {
    pub(crate) size: (u32, u32),
    pub(crate) is_lossless: bool,
    pub(crate) has_alpha: bool,
    /// Width, height, and the place of the frame where it does not fill the picture.
    pub(crate) frame: Option<Place>,
    pub(super) is_animated: bool,
    pub(super) orientation: Orientation,
    pub(super) profile: Option<Bytes>,
    pub(super) clean: Bytes,
    pub(super) is_changed: bool,
}

/// The place of a frame inside its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) size: (u32, u32),
}

/// A chunk: its name, all of it with its padding, and its data.
struct Chunk {
    name: [u8; 4],
    whole: Range<usize>,
    data: Range<usize>,
}

fn ends_early() -> String {
    "damaged: it ends in the middle of the picture".to_owned()
}

/// The chunks between these places. A last one that is cut is left out where others stand for the
/// picture; `Err` where its data is cut.
fn chunks(bytes: &[u8], range: Range<usize>) -> Result<Vec<Chunk>, String> {
    let mut chunks = Vec::new();
    let mut at = range.start;
    while at + 8 <= range.end {
        let name = array(bytes, at);
        let length = le32(bytes, at + 4).and_then(|length| usize::try_from(length).ok());
        let (Some(name), Some(length)) = (name, length) else {
            return Err(ends_early());
        };
        let end = (at + 8).checked_add(length).ok_or_else(ends_early)?;
        if end > range.end {
            return Err(ends_early());
        }
        if chunks.len() == MOST_CHUNKS {
            return Err(format!(
                "a WebP of a rare kind (more than {MOST_CHUNKS} parts); export it again"
            ));
        }
        // Chunks have an even length; the last padding may be missing.
        let padded = (end + (length & 1)).min(range.end);
        chunks.push(Chunk {
            name,
            whole: at..padded,
            data: at + 8..end,
        });
        at = padded;
    }
    Ok(chunks)
}

/// Width, height and transparency that a frame's own header tells.
fn bitstream(name: [u8; 4], data: &[u8]) -> Option<((u32, u32), bool)> {
    if name == *b"VP8L" {
        let bits = le32(data, 1)?;
        let side = |shift: u32| (bits >> shift & 0x3fff) + 1;
        return Some(((side(0), side(14)), bits >> 28 & 1 == 1));
    }
    // Behind three bytes of tag and three of signature; the upper two bits scale.
    let sides = le32(data, 6)?;
    Some(((sides & 0x3fff, sides >> 16 & 0x3fff), false))
}

/// The size that the header tells, for files of which only the beginning is read.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let name: [u8; 4] = array(bytes, HEADER)?;
    let data = bytes.get(HEADER + 8..)?;
    match &name {
        b"VP8X" => Some((le24(data, 4)? + 1, le24(data, 7)? + 1)),
        b"VP8 " | b"VP8L" => bitstream(name, data).map(|(size, _)| size),
        _ => None,
    }
}

/// Reads a file; `Err` continues the phrase "the picture is …".
pub(super) fn read(bytes: &Bytes) -> Result<WebP, String> {
    let end = le32(bytes, 4).and_then(|length| usize::try_from(length).ok());
    let end = end.unwrap_or(0).saturating_add(8).min(bytes.len());
    let all = chunks(bytes, HEADER..end.max(HEADER))?;
    let find = |name: &[u8; 4]| all.iter().find(|chunk| chunk.name == *name);
    let data = |chunk: &Chunk| bytes.get(chunk.data.clone()).unwrap_or_default();
    let Some(first) = all.first() else {
        return Err(ends_early());
    };
    let is_extended = first.name == *b"VP8X";
    let is_frame = |chunk: &&Chunk| matches!(&chunk.name, b"VP8 " | b"VP8L");
    let animation = find(b"ANMF").filter(|_| is_extended && find(b"ANIM").is_some());
    let parts = match animation {
        Some(frame) => chunks(bytes, frame.data.start.saturating_add(16)..frame.data.end)?,
        None => Vec::new(),
    };
    let parts = if animation.is_some() { &parts } else { &all };
    let pixels = parts.iter().find(is_frame).ok_or_else(ends_early)?;
    let (frame_size, mut has_alpha) =
        bitstream(pixels.name, data(pixels)).ok_or_else(ends_early)?;
    let is_lossless = pixels.name == *b"VP8L";
    let alpha = parts.iter().find(|chunk| chunk.name == *b"ALPH");
    let alpha = alpha.filter(|_| is_extended && !is_lossless);
    has_alpha |= alpha.is_some();
    let size = match is_extended {
        true => size(bytes).ok_or_else(ends_early)?,
        false => frame_size,
    };
    let place = animation.and_then(|chunk| {
        let header = data(chunk);
        Some((le24(header, 0)? * 2, le24(header, 3)? * 2))
    });
    let frame = match place {
        Some((left, top)) if (left, top) != (0, 0) || frame_size != size => Some(Place {
            left,
            top,
            size: frame_size,
        }),
        None if frame_size != size => {
            return Err("damaged: its two sizes differ".to_owned());
        }
        _ => None,
    };
    let fits = frame.is_none_or(
        |Place {
             left,
             top,
             size: (width, height),
         }| { left + width <= size.0 && top + height <= size.1 },
    );
    if !fits {
        return Err("damaged: its first frame lies outside of it".to_owned());
    }
    // As in libwebp, what the extended header does not announce does not count.
    let flags = match is_extended {
        true => data(first).first().copied().unwrap_or(0),
        false => 0,
    };
    let profile = find(b"ICCP").filter(|_| flags & PROFILE != 0);
    let mut orientation = Found::default();
    for chunk in &all {
        match &chunk.name {
            b"EXIF" if flags & EXIF != 0 => orientation.exif(data(chunk)),
            b"XMP " if flags & XMP != 0 => orientation.xmp(data(chunk)),
            _ => {}
        }
    }
    // What of the picture is kept: the extended header, the profile and one frame.
    let mut body = 4;
    let kept = [profile, alpha, Some(pixels)].into_iter().flatten();
    let kept: Vec<&Chunk> = kept.collect();
    for chunk in &kept {
        body += chunk.data.len() + 8;
        body += body & 1;
    }
    let mut clean = Rebuilt::new(bytes);
    if is_extended {
        body += 18;
    }
    let length = u32::try_from(body).map_err(|_| ends_early())?;
    clean.put(0, &[&b"RIFF"[..], &length.to_le_bytes(), b"WEBP"].concat());
    if is_extended {
        let mut header = data(first).to_vec();
        header.resize(10, 0);
        if let Some(flags) = header.first_mut() {
            *flags &= !(EXIF | XMP | ANIMATION | PROFILE | ALPHA);
            *flags |= if profile.is_some() { PROFILE } else { 0 };
            *flags |= if has_alpha { ALPHA } else { 0 };
        }
        if frame.is_some() {
            let (width, height) = frame_size;
            let sides = [width, height].map(|side| (side.saturating_sub(1)).to_le_bytes());
            let sides = sides.iter().flat_map(|side| side.iter().take(3).copied());
            header.splice(4.., sides);
        }
        clean.put(
            first.whole.start,
            &[&b"VP8X\x0a\0\0\0"[..], &header].concat(),
        );
    }
    for chunk in kept {
        clean.keep(chunk.whole.clone());
        if chunk.data.len() % 2 == 1 && chunk.whole.len() % 2 == 1 {
            clean.put(chunk.whole.end, &[0]);
        }
    }
    let kept_names = [b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L"];
    let is_dropped = |chunk: &Chunk| match &chunk.name {
        b"ANIM" | b"ANMF" => animation.is_none(),
        name => !kept_names.contains(&name),
    };
    let is_longer = bytes.len() > end + (end & 1);
    let is_changed = is_longer || all.iter().any(is_dropped);
    let (clean, is_rebuilt) = clean.finish();
    Ok(WebP {
        size,
        is_lossless,
        has_alpha,
        frame,
        is_animated: animation.is_some(),
        orientation: orientation.decided(),
        profile: profile.map(|chunk| bytes.slice(chunk.data.clone())),
        clean,
        is_changed: is_changed || (is_rebuilt && animation.is_none()),
    })
}
