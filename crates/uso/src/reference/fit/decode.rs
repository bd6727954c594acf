//! Pixels out of a file, in memory that is known beforehand.

mod damage;
mod gif;
mod jpeg;
mod png;
mod webp;

use moxcms::ColorProfile;

use super::pixels::Pixels;
use crate::reference::container::{Container, Kind};

/// Decodes a picture, a large JPEG at a reduced scale that still is well above the target. Of inks
/// the profile is applied.
pub(super) fn decode(
    container: &Container,
    target: (u32, u32),
    profile: Option<&ColorProfile>,
) -> Result<Pixels, String> {
    match &container.kind {
        Kind::Jpeg(file) => jpeg::decode(file, &container.clean, target, profile),
        Kind::Png(file) => png::decode(file, &container.clean),
        Kind::WebP(file) => webp::decode(file, &container.clean),
        Kind::Gif => gif::decode(&container.clean, container.size),
    }
}

/// Bytes that decoding and resizing need at the most.
pub(super) fn memory(container: &Container, target: (u32, u32)) -> u64 {
    // Headers can tell any size. Above this there is no picture, and no product overflows.
    let area = |(width, height): (u32, u32)| (u64::from(width) * u64::from(height)).min(1 << 48);
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
    // The resizer's first pass has the new width and the old height. Of a transparent picture, it
    // has a copy of one channel after the other.
    let first = area((target.0, decoded.1));
    let passes = match channels {
        _ if decoded == target => 0,
        2 | 4 => area(decoded) + first + 2 * channels * area(target),
        _ => channels * (first + 2 * area(target)),
    };
    decoding.max(channels * area(decoded) + passes)
}
