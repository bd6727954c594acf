//! WebP: still pictures, and the first frame of animations.

use std::io::Cursor;

use image_webp::WebPDecoder;

use super::super::pixels::Pixels;
use super::damage::damaged;
use crate::reference::container::WebP;

/// Bytes while decoding, as the decoder allocates them.
pub(super) fn memory(file: &WebP, (width, height): (u32, u32)) -> u64 {
    let area = u64::from(width) * u64::from(height);
    let canvas = file
        .frame
        .map_or(0, |_| 4 * u64::from(file.size.0) * u64::from(file.size.1));
    let decoding = match (file.is_lossless, file.has_alpha) {
        (true, true) => 4 * area,
        (true, false) => 7 * area,
        // Luma, two halved chromas, and the picture.
        (false, false) => 9 * area / 2,
        // The transparency is a lossless picture of its own.
        (false, true) => 21 * area / 2,
    };
    decoding.max(4 * area + canvas)
}

pub(super) fn decode(file: &WebP, clean: &[u8]) -> Result<Pixels, String> {
    let mut decoder = WebPDecoder::new(Cursor::new(clean)).map_err(|error| damaged(&error))?;
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut bytes = vec![0; decoder.output_buffer_size().unwrap_or(0)];
    decoder
        .read_image(&mut bytes)
        .map_err(|error| damaged(&error))?;
    let pixels = Pixels::new(decoder.dimensions(), channels, bytes);
    Ok(match file.frame {
        Some(place) => pixels.placed(file.size, (place.left, place.top)),
        None => pixels,
    })
}
