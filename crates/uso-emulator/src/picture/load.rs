//! From encoded references to pixels, and back.

use std::io::Cursor;

use bytes::Bytes;
use fast_image_resize::images::Image;
use fast_image_resize::{PixelType, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader, Rgb, RgbImage,
};

use super::Format;

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
pub(super) fn fill(picture: RgbImage, width: u32, height: u32) -> Option<RgbImage> {
    if picture.dimensions() == (width, height) {
        return Some(picture);
    }
    let (from_width, from_height) = picture.dimensions();
    let source =
        Image::from_vec_u8(from_width, from_height, picture.into_raw(), PixelType::U8x3).ok()?;
    let mut target = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().fit_into_destination(None);
    Resizer::new().resize(&source, &mut target, &options).ok()?;
    RgbImage::from_raw(width, height, target.into_vec())
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
