//! Pixels written as a file.

use jpeg_encoder::{ColorType, Encoder};

use super::pixels::Pixels;
use crate::reference::format::Format;

/// Of 100: even noise stays within one level and a half of 255.
const JPEG_QUALITY: u8 = 97;

/// A file of this format, which is JPEG or PNG; `Err` continues the phrase "the picture is …".
pub(super) fn encode(pixels: &Pixels, format: Format) -> Result<Vec<u8>, String> {
    let mut file = Vec::new();
    let outcome = match format {
        Format::Jpeg => jpeg(pixels, &mut file),
        _ => png(pixels, &mut file).map_err(|error| error.to_string()),
    };
    outcome.map_err(|error| format!("not to be written again: {error}"))?;
    Ok(file)
}

fn jpeg(pixels: &Pixels, file: &mut Vec<u8>) -> Result<(), String> {
    let side = |side: u32| u16::try_from(side).map_err(|error| error.to_string());
    let (width, height) = (side(pixels.size.0)?, side(pixels.size.1)?);
    let colours = match pixels.channels {
        1 => ColorType::Luma,
        _ => ColorType::Rgb,
    };
    Encoder::new(file, JPEG_QUALITY)
        .encode(&pixels.bytes, width, height, colours)
        .map_err(|error| error.to_string())
}

fn png(pixels: &Pixels, file: &mut Vec<u8>) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(file, pixels.size.0, pixels.size.1);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_color(match pixels.channels {
        1 => png::ColorType::Grayscale,
        2 => png::ColorType::GrayscaleAlpha,
        3 => png::ColorType::Rgb,
        _ => png::ColorType::Rgba,
    });
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Adaptive);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels.bytes)?;
    writer.finish()
}
