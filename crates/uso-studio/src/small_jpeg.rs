//! Small JPEG of a picture, for previews and reports.

use std::io::{self, BufRead, Cursor, Seek};

use image::codecs::jpeg::JpegEncoder;
use image::{ImageReader, ImageResult, Limits};

/// Longest side of a picture that is decoded, and memory that decoding may take.
const LARGEST_SIDE: u32 = 16_384;
const LARGEST_DECODED: u64 = 256 << 20;

/// A small JPEG of a picture of any format that the studio shows.
///
/// Its longest side is at most `side` pixels; a smaller picture keeps its size. `quality` is from 1
/// to 100.
///
/// # Errors
///
/// When the picture cannot be read or decoded, or when it is larger than 16 384 pixels a side or
/// 256 MiB decoded.
pub fn small_jpeg(picture: impl BufRead + Seek, side: u32, quality: u8) -> io::Result<Vec<u8>> {
    shrink(picture, side, quality).map_err(io::Error::other)
}

fn shrink(picture: impl BufRead + Seek, side: u32, quality: u8) -> ImageResult<Vec<u8>> {
    let mut reader = ImageReader::new(picture).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(LARGEST_DECODED);
    reader.limits(limits);
    let picture = reader.decode()?;
    let picture = match picture.width().max(picture.height()) > side {
        true => picture.thumbnail(side, side),
        false => picture,
    };
    let mut jpeg = Cursor::new(Vec::new());
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, quality);
    picture.to_rgb8().write_with_encoder(encoder)?;
    Ok(jpeg.into_inner())
}
