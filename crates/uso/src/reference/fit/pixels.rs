//! The pixels: decoded within limits, turned, shrunk, in plain colours, and written again.

use std::io::{BufReader, Cursor};

use bytes::Bytes;
use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::{PngDecoder, PngEncoder};
use image::codecs::webp::WebPDecoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, Limits};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use super::jpeg::Jpeg;
use super::{Change, Format, LONGEST_SIDE};

/// Bytes of a decoded picture: 55 megapixels of three channels, or 41 of four.
const LARGEST_DECODED: u64 = 160 << 20;

/// The same for a JPEG in several scans, which takes two more bytes for each while it is decoded.
const LARGEST_PROGRESSIVE: u64 = 69 << 20;

/// What a decoder may hold besides.
const DECODER_MEMORY: u64 = 256 << 20;

/// Of 100: photographs do not show it, and the picture is only looked at by a model.
const JPEG_QUALITY: u8 = 95;

type Decoder<'a> = Box<dyn ImageDecoder + 'a>;

/// A picture whose header was read.
pub(super) struct Picture<'a> {
    decoder: Decoder<'a>,
    size: (u32, u32),
    orientation: Orientation,
    profile: Option<ColorProfile>,
    is_print: bool,
    is_animated: bool,
    is_gif: bool,
    is_deep: bool,
}

impl<'a> Picture<'a> {
    /// Reads the header, and refuses what would be too large.
    pub(super) fn open(bytes: &'a Bytes, format: Format) -> Result<Self, String> {
        let reader = || BufReader::new(Cursor::new(bytes.as_ref()));
        let mut is_animated = false;
        let mut is_print = false;
        let mut largest = LARGEST_DECODED;
        let mut decoder: Decoder<'a> = match format {
            Format::Jpeg => {
                // The decoder would do without the end of the picture, and show grey for it.
                let jpeg = Jpeg::walk(bytes)?;
                is_print = jpeg.has_four_inks();
                if jpeg.is_progressive() {
                    largest = LARGEST_PROGRESSIVE;
                }
                Box::new(JpegDecoder::new(reader()).map_err(damaged)?)
            }
            Format::Png => {
                let decoder = PngDecoder::with_limits(reader(), limits()).map_err(damaged)?;
                is_animated = decoder.is_apng().map_err(damaged)?;
                Box::new(decoder)
            }
            Format::WebP => {
                let decoder = WebPDecoder::new(reader()).map_err(damaged)?;
                is_animated = decoder.has_animation();
                Box::new(decoder)
            }
            Format::Gif => Box::new(GifDecoder::new(reader()).map_err(damaged)?),
        };
        let (width, height) = decoder.dimensions();
        let decoded = decoder.total_bytes();
        if decoded > largest {
            return Err(format!(
                "too large: {width}x{height} pixels take {} MiB decoded, and {} MiB is the limit; shrink it first",
                decoded >> 20,
                largest >> 20
            ));
        }
        decoder.set_limits(limits()).map_err(damaged)?;
        let profile = decoder.icc_profile().ok().flatten();
        // That of inks does not fit the channels that the decoder makes of them.
        let profile = profile.filter(|_| !is_print);
        let channels = match decoder.color_type().has_color() {
            true => DataColorSpace::Rgb,
            false => DataColorSpace::Gray,
        };
        Ok(Self {
            size: (width, height),
            orientation: decoder.orientation().unwrap_or(Orientation::NoTransforms),
            profile: profile
                .and_then(|profile| other_than_srgb(&profile))
                .filter(|profile| profile.color_space == channels),
            is_print,
            is_animated,
            is_gif: format == Format::Gif,
            is_deep: decoder.color_type().bytes_per_pixel() > decoder.color_type().channel_count(),
            decoder,
        })
    }

    /// Width and height when it is upright.
    fn upright(&self) -> (u32, u32) {
        let (width, height) = self.size;
        match self.orientation {
            Orientation::NoTransforms
            | Orientation::Rotate180
            | Orientation::FlipHorizontal
            | Orientation::FlipVertical => (width, height),
            _ => (height, width),
        }
    }

    /// Width and height when it is fit.
    pub(super) fn fitted_size(&self) -> (u32, u32) {
        let (width, height) = self.upright();
        shrunk(width, height)
    }

    /// What has to be done to the pixels.
    pub(super) fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.is_animated || self.is_gif {
            changes.push(Change::FirstFrameTaken);
        }
        if self.orientation != Orientation::NoTransforms {
            changes.push(Change::Turned);
        }
        if self.fitted_size() != self.upright() {
            let from = self.upright();
            changes.push(Change::Shrunk { from });
        }
        if self.profile.is_some() {
            changes.push(Change::ColoursConverted);
        }
        if self.is_print {
            changes.push(Change::InksConverted);
        }
        if self.is_deep {
            changes.push(Change::DepthReduced);
        }
        changes
    }

    /// Does it, and writes the picture in this format.
    pub(super) fn render(self, format: Format) -> Result<Vec<u8>, String> {
        let Self {
            decoder,
            size: (width, height),
            orientation,
            profile,
            ..
        } = self;
        let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
        let (fitted_width, fitted_height) = shrunk(width, height);
        if (fitted_width, fitted_height) != (width, height) {
            // The good filter holds a float for each channel of the wide picture; far above the
            // aim, averaging brings it near first.
            let near = (fitted_width * 2, fitted_height * 2);
            if width > near.0 && height > near.1 {
                picture = picture.thumbnail_exact(near.0, near.1);
            }
            picture = picture.resize_exact(fitted_width, fitted_height, FilterType::Lanczos3);
        }
        picture.apply_orientation(orientation);
        let picture = in_plain_colours(eight_bits(picture), profile.as_ref());
        let mut written = Vec::new();
        let outcome = match format {
            Format::Jpeg => {
                let encoder = JpegEncoder::new_with_quality(&mut written, JPEG_QUALITY);
                picture.write_with_encoder(encoder)
            }
            _ => picture.write_with_encoder(PngEncoder::new(&mut written)),
        };
        outcome.map_err(|error| format!("not to be written again: {error}"))?;
        Ok(written)
    }
}

fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(DECODER_MEMORY);
    limits
}

/// At most the longest side, in the same shape.
fn shrunk(width: u32, height: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= LONGEST_SIDE {
        return (width, height);
    }
    let side = |side: u32| {
        let scaled = u64::from(side) * u64::from(LONGEST_SIDE) + u64::from(longest) / 2;
        u32::try_from(scaled / u64::from(longest)).map_or(LONGEST_SIDE, |side| side.max(1))
    };
    (side(width), side(height))
}

fn damaged(error: ImageError) -> String {
    match error {
        ImageError::Limits(_) => "too large to be decoded here; shrink it first".to_owned(),
        ImageError::Unsupported(why) => format!("of a kind that is not read here: {why}"),
        other => format!("damaged: {other}"),
    }
}

/// The profile, if it says anything that sRGB does not.
fn other_than_srgb(profile: &[u8]) -> Option<ColorProfile> {
    let profile = ColorProfile::new_from_slice(profile).ok()?;
    let layout = match profile.color_space {
        DataColorSpace::Rgb => Layout::Rgb,
        DataColorSpace::Gray => Layout::Gray,
        _ => return None,
    };
    let steps = [0_u8, 30, 64, 100, 128, 170, 200, 255];
    let probe: Vec<u8> = match layout {
        Layout::Gray => steps.to_vec(),
        _ => steps
            .iter()
            .flat_map(|red| steps.iter().map(move |green| (*red, *green)))
            .flat_map(|(red, green)| [red, green, green.wrapping_mul(3) ^ red])
            .collect(),
    };
    let shown = converted(&probe, layout, &profile)?;
    let differs = probe
        .iter()
        .zip(&shown)
        .any(|(before, after)| before.abs_diff(*after) > 3);
    differs.then_some(profile)
}

fn converted(pixels: &[u8], layout: Layout, profile: &ColorProfile) -> Option<Vec<u8>> {
    let srgb = match layout {
        Layout::Gray | Layout::GrayAlpha => gray_of_srgb(),
        _ => ColorProfile::new_srgb(),
    };
    let transform = profile
        .create_transform_8bit(layout, &srgb, layout, TransformOptions::default())
        .ok()?;
    let mut shown = vec![0; pixels.len()];
    transform.transform(pixels, &mut shown).ok()?;
    Some(shown)
}

/// Grey as sRGB shows it.
fn gray_of_srgb() -> ColorProfile {
    let mut profile = ColorProfile::new_gray_with_gamma(2.2);
    profile.gray_trc = ColorProfile::new_srgb().red_trc;
    profile
}

/// 16 bits and floats become 8 bits; the channels stay.
fn eight_bits(picture: DynamicImage) -> DynamicImage {
    match picture {
        DynamicImage::ImageLuma16(_) => picture.into_luma8().into(),
        DynamicImage::ImageLumaA16(_) => picture.into_luma_alpha8().into(),
        DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgb32F(_) => picture.into_rgb8().into(),
        DynamicImage::ImageRgba16(_) | DynamicImage::ImageRgba32F(_) => picture.into_rgba8().into(),
        other => other,
    }
}

/// Converts the colours to sRGB.
fn in_plain_colours(mut picture: DynamicImage, profile: Option<&ColorProfile>) -> DynamicImage {
    let Some(profile) = profile else {
        return picture;
    };
    let is_gray = profile.color_space == DataColorSpace::Gray;
    let convert = |pixels: &mut [u8], layout| {
        if let Some(shown) = converted(pixels, layout, profile) {
            pixels.copy_from_slice(&shown);
        }
    };
    match &mut picture {
        DynamicImage::ImageLuma8(pixels) if is_gray => convert(pixels, Layout::Gray),
        DynamicImage::ImageLumaA8(pixels) if is_gray => convert(pixels, Layout::GrayAlpha),
        DynamicImage::ImageRgb8(pixels) if !is_gray => convert(pixels, Layout::Rgb),
        DynamicImage::ImageRgba8(pixels) if !is_gray => convert(pixels, Layout::Rgba),
        _ => {}
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_their_shape_and_their_limit() {
        for (from, to) in [
            ((4032, 3024), (2048, 1536)),
            ((3024, 4032), (1536, 2048)),
            ((2048, 2048), (2048, 2048)),
            ((2049, 1), (2048, 1)),
            ((65535, 1), (2048, 1)),
            ((5000, 4999), (2048, 2048)),
            ((100, 50), (100, 50)),
        ] {
            assert_eq!(shrunk(from.0, from.1), to, "{from:?}");
        }
    }

    #[test]
    fn a_profile_that_is_srgb_is_no_change_and_another_one_is() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        assert!(other_than_srgb(&srgb).is_none());
        let wide = ColorProfile::new_display_p3().encode().unwrap();
        assert!(other_than_srgb(&wide).is_some());
        assert!(other_than_srgb(b"no profile").is_none());
    }
}
