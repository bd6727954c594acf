//! Decoding of references, scaling, and encoding of pictures.

use std::io::Cursor;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops::FilterType as Interpolation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader, Rgb, RgbImage,
};

use super::format::Format;

const JPEG_QUALITY: u8 = 90;

/// Width and height from the header alone.
pub(crate) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()?
        .into_dimensions()
        .ok()
}

/// Decodes, turns upright and puts on white what is transparent.
pub(super) fn decode(bytes: &[u8]) -> Option<RgbImage> {
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()?;
    let mut decoder = reader.into_decoder().ok()?;
    // Odd metadata is no reason to refuse a good picture.
    let orientation = decoder.orientation().ok();
    let mut picture = DynamicImage::from_decoder(decoder).ok()?;
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    if !picture.color().has_alpha() {
        return Some(picture.into_rgb8());
    }
    let picture = picture.into_rgba8();
    Some(RgbImage::from_fn(
        picture.width(),
        picture.height(),
        |x, y| {
            let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
            let over = |channel: u8| {
                let (channel, alpha) = (u32::from(channel), u32::from(alpha));
                ((channel * alpha + 255 * (255 - alpha) + 127) / 255) as u8
            };
            Rgb([over(red), over(green), over(blue)])
        },
    ))
}

/// Scales to the given size; what does not fit the shape is cut off evenly on both sides.
pub(super) fn fill(picture: RgbImage, width: u32, height: u32) -> RgbImage {
    if picture.dimensions() == (width, height) {
        return picture;
    }
    // Cut before it is scaled: the other way round, a long strip would grow beyond all memory.
    let (from_width, from_height) = picture.dimensions();
    let part = |side: u32, numerator: u32, denominator: u32| {
        let part = u64::from(side) * u64::from(numerator) / u64::from(denominator).max(1);
        u32::try_from(part).unwrap_or(u32::MAX).max(1)
    };
    let cut_width = part(from_height, width, height).min(from_width);
    let cut_height = part(from_width, height, width).min(from_height);
    let (x, y) = ((from_width - cut_width) / 2, (from_height - cut_height) / 2);
    let cut = DynamicImage::ImageRgb8(picture).crop_imm(x, y, cut_width, cut_height);
    cut.resize_exact(width, height, Interpolation::CatmullRom)
        .into_rgb8()
}

pub(super) fn encode(picture: &RgbImage, format: Format) -> Bytes {
    let (width, height) = picture.dimensions();
    let mut bytes = Vec::new();
    let colour = ExtendedColorType::Rgb8;
    // Writing into memory does not fail.
    let _ = match format {
        Format::Png => {
            PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
                .write_image(picture, width, height, colour)
        }
        Format::Jpeg => JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
            .write_image(picture, width, height, colour),
    };
    bytes.into()
}
