//! Colour profiles: whether they say anything else than sRGB, and the conversion.

use std::borrow::Cow;

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use super::pixels::Pixels;
use crate::reference::container::{Colours, Container, Kind, Profile};
use crate::reference::inflate::inflate;

/// The picture's profile, if its colours have to be converted.
pub(super) fn other_than_srgb(container: &Container) -> Option<ColorProfile> {
    let channels = match &container.kind {
        Kind::Jpeg(jpeg) => match jpeg.colours {
            Colours::Grey => DataColorSpace::Gray,
            // The profile of inks does not fit the channels that the decoder makes of them.
            Colours::Inks { .. } => return None,
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
    let srgb = match layout {
        Layout::Gray | Layout::GrayAlpha => grey_srgb(),
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
