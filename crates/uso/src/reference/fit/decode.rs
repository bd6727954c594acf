//! Pixels out of a file, in memory that is known beforehand.

mod gif;
mod jpeg;
mod png;
mod webp;

use super::pixels::{Pixels, index};
use crate::reference::container::{Container, Kind};

/// Decodes a picture, a large JPEG at a reduced scale that still is well above the target.
pub(super) fn decode(container: &Container, target: (u32, u32)) -> Result<Pixels, String> {
    match &container.kind {
        Kind::Jpeg(file) => jpeg::decode(file, &container.clean, target),
        Kind::Png(file) => png::decode(file, &container.clean),
        Kind::WebP(file) => webp::decode(file, &container.clean),
        Kind::Gif => gif::decode(&container.clean, container.size),
    }
}

/// Bytes that decoding and resizing need at the most.
pub(super) fn memory(container: &Container, target: (u32, u32)) -> u64 {
    let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let (decoding, decoded, channels) = match &container.kind {
        Kind::Jpeg(file) => jpeg::memory(&file.frame, target),
        Kind::Png(file) => {
            let channels = u64::from(file.channels);
            let depth = u64::from(file.bit_depth).div_ceil(8);
            let passes = if file.is_interlaced { depth } else { 1 };
            (channels * passes * area(file.size), file.size, channels)
        }
        Kind::WebP(file) => {
            let frame = file.frame.map_or(file.size, |place| place.size);
            let channels = if file.has_alpha || file.frame.is_some() {
                4
            } else {
                3
            };
            (webp::memory(file, frame), file.size, channels)
        }
        Kind::Gif => (area(container.size) * 8, container.size, 4),
    };
    // The resizer's first pass has the new width and the old height.
    let passes = match decoded == target {
        true => 0,
        false => area((target.0, decoded.1)) + 2 * area(target),
    };
    decoding.max(channels * (area(decoded) + passes))
}

/// A frame inside a transparent picture.
fn placed(frame: &Pixels, size: (u32, u32), (left, top): (u32, u32)) -> Pixels {
    let mut bytes = vec![0; index(size.0) * index(size.1) * 4];
    let rows = frame
        .bytes
        .chunks_exact((index(frame.size.0) * frame.channels).max(1));
    let lines = bytes
        .chunks_exact_mut((index(size.0) * 4).max(1))
        .skip(index(top));
    for (row, line) in rows.zip(lines) {
        let pixels = line.chunks_exact_mut(4).skip(index(left));
        for (from, to) in row.chunks_exact(frame.channels).zip(pixels) {
            if let [red, green, blue, alpha @ ..] = from {
                to.copy_from_slice(&[*red, *green, *blue, alpha.first().copied().unwrap_or(255)]);
            }
        }
    }
    Pixels::new(size, 4, bytes)
}

fn damaged(error: &dyn std::fmt::Display) -> String {
    format!("damaged: {error}")
}
