//! Colour profiles: whether they say anything else than sRGB, and the conversion.

use std::borrow::Cow;
use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

use super::pixels::Pixels;
use crate::reference::container::{Colours, Container, Kind, Profile};
use crate::reference::inflate::inflate;

/// The picture's profile, if its colours have to be converted.
pub(super) fn other_than_srgb(container: &Container) -> Option<ColorProfile> {
    let channels = match &container.kind {
        Kind::Jpeg(jpeg) => match jpeg.colours {
            Colours::Grey => DataColorSpace::Gray,
            Colours::Inks { .. } => DataColorSpace::Cmyk,
            _ => DataColorSpace::Rgb,
        },
        Kind::Png(png) if !png.has_colour => DataColorSpace::Gray,
        _ => DataColorSpace::Rgb,
    };
    let profile = match container.profile.as_ref()? {
        Profile::Plain(profile) => Cow::Borrowed(&profile[..]),
        Profile::Deflated(deflated) => Cow::Owned(inflate(deflated)?),
    };
    differing(&profile).filter(|profile| profile.color_space == channels)
}

/// The profile, if it says anything that sRGB does not.
fn differing(profile: &[u8]) -> Option<ColorProfile> {
    let profile = ColorProfile::new_from_slice(profile).ok()?;
    let layout = match profile.color_space {
        DataColorSpace::Rgb => Layout::Rgb,
        DataColorSpace::Gray => Layout::Gray,
        // Inks are no sRGB. The conversion has to work.
        DataColorSpace::Cmyk => return converted(&[0; 4], INKS, &profile).map(|_| profile),
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

/// Four inks of 8 bits each: the library has no layout of this name.
const INKS: Layout = Layout::Rgba;

/// RGB out of inks of 8 bits each, of which 255 is all: by their profile, or without one what the
/// inks leave over of the light.
pub(super) fn light(mut inks: Vec<u8>, profile: Option<&ColorProfile>) -> Vec<u8> {
    /// Bytes that are converted at a time, so that the result takes the place of the inks.
    const PIECE: usize = 4 << 12;
    let conversion = profile.and_then(|profile| Conversion::new(INKS, profile));
    let mut to = 0;
    for from in (0..inks.len()).step_by(PIECE) {
        let piece = inks.get(from..inks.len().min(from + PIECE));
        let piece = piece.unwrap_or_default();
        let by_profile = conversion.as_ref().and_then(|all| all.of(piece));
        let rgb = by_profile.unwrap_or_else(|| left_over(piece));
        if let Some(place) = inks.get_mut(to..to + rgb.len()) {
            place.copy_from_slice(&rgb);
        }
        to += rgb.len();
    }
    inks.truncate(to);
    inks
}

fn left_over(inks: &[u8]) -> Vec<u8> {
    let light = |[cyan, magenta, yellow, black]: &[u8; 4]| {
        [*cyan, *magenta, *yellow].map(|ink| {
            let product = u16::from(255 - ink) * u16::from(255 - black);
            u8::try_from((product + 127) / 255).unwrap_or(u8::MAX)
        })
    };
    inks.as_chunks().0.iter().flat_map(light).collect()
}

/// Converts the colours to sRGB.
pub(super) fn to_srgb(pixels: &mut Pixels, profile: &ColorProfile) {
    let layout = match pixels.channels {
        1 => Layout::Gray,
        2 => Layout::GrayAlpha,
        3 => Layout::Rgb,
        _ => Layout::Rgba,
    };
    if let Some(shown) = converted(&pixels.bytes, layout, profile) {
        pixels.bytes = shown;
    }
}

fn converted(pixels: &[u8], layout: Layout, profile: &ColorProfile) -> Option<Vec<u8>> {
    Conversion::new(layout, profile)?.of(pixels)
}

/// A conversion to sRGB.
struct Conversion {
    transform: Arc<Transform8BitExecutor>,
    from: Layout,
    to: Layout,
}

impl Conversion {
    fn new(from: Layout, profile: &ColorProfile) -> Option<Self> {
        let (srgb, to) = match profile.color_space {
            DataColorSpace::Gray => (grey_srgb(), from),
            DataColorSpace::Cmyk => (ColorProfile::new_srgb(), Layout::Rgb),
            _ => (ColorProfile::new_srgb(), from),
        };
        let options = TransformOptions::default();
        let transform = profile.create_transform_8bit(from, &srgb, to, options);
        let transform = transform.ok()?;
        Some(Self {
            transform,
            from,
            to,
        })
    }

    fn of(&self, pixels: &[u8]) -> Option<Vec<u8>> {
        let mut shown = vec![0; pixels.len() / self.from.channels() * self.to.channels()];
        self.transform.transform(pixels, &mut shown).ok()?;
        Some(shown)
    }
}

/// Grey as sRGB shows it.
fn grey_srgb() -> ColorProfile {
    let mut profile = ColorProfile::new_gray_with_gamma(2.2);
    profile.gray_trc = ColorProfile::new_srgb().red_trc;
    profile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_that_is_srgb_is_no_change_and_another_one_is() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        assert!(differing(&srgb).is_none());
        let wide = ColorProfile::new_display_p3().encode().unwrap();
        assert!(differing(&wide).is_some());
        assert!(differing(b"no profile").is_none());
    }
}
