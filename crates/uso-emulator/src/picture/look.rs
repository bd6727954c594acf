//! The look of a picture: one gain and one offset for each channel, and a slope of light.
//!
//! The means and spreads of the content's channels move to those of the styles. The seed and the
//! number of the picture vary gain, offset and slope; a prompt adds a tint of its own.

use image::{Rgb, RgbImage};
use serde_json::Value;

use super::codec;

/// Gains outside of this range would hide the content (a flat style) or tear it apart.
const GAINS: (f32, f32) = (0.4, 2.5);

/// Mean and standard deviation of each channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colours {
    mean: [f32; 3],
    spread: [f32; 3],
}

impl Colours {
    /// Of all these pictures together; nothing when there are none.
    pub(super) fn of<'a>(pictures: impl IntoIterator<Item = &'a RgbImage>) -> Option<Self> {
        // Few enough pixels to be quick, and as many of each picture.
        const SIDE: u32 = 96;
        let small = pictures
            .into_iter()
            .map(|picture| codec::fill(picture.clone(), SIDE, SIDE));
        let pixels: Vec<[u8; 3]> = small
            .flat_map(|picture| picture.pixels().map(|pixel| pixel.0).collect::<Vec<_>>())
            .collect();
        if pixels.is_empty() {
            return None;
        }
        let (mut sum, mut squares) = ([0.0; 3], [0.0; 3]);
        for pixel in &pixels {
            for ((sum, square), value) in sum.iter_mut().zip(&mut squares).zip(pixel) {
                let value = f64::from(*value);
                *sum += value;
                *square += value * value;
            }
        }
        let mean = sum.map(|sum| sum / pixels.len() as f64);
        let mut spread = [0.0; 3];
        for ((spread, square), mean) in spread.iter_mut().zip(squares).zip(mean) {
            let variance: f64 = square / pixels.len() as f64 - mean * mean;
            *spread = variance.max(0.0).sqrt() as f32;
        }
        Some(Self {
            mean: mean.map(|mean| mean as f32),
            spread,
        })
    }
}

pub(super) struct Look {
    gain: [f32; 3],
    offset: [f32; 3],
    /// Light added over the longer side, in both directions.
    slope: (f32, f32),
}

impl Look {
    /// What a seed, the number of the picture and the words make of a picture by themselves.
    pub(super) fn of_seed(seed: &Value, number: u32, prompt: &str) -> Self {
        let mut random = fastrand::Rng::with_seed(hash(&format!("{seed}/{number}")));
        let mut within = |reach: f32| (random.f32() * 2.0 - 1.0) * reach;
        let gain = [(); 3].map(|()| 1.0 + within(0.1));
        let mut offset = [(); 3].map(|()| within(12.0));
        let slope = (within(30.0), within(30.0));
        if !prompt.trim().is_empty() {
            let tint = hash(prompt).to_le_bytes();
            for (offset, byte) in offset.iter_mut().zip(tint) {
                *offset += f32::from(byte) / 16.0 - 8.0;
            }
        }
        Self {
            gain,
            offset,
            slope,
        }
    }

    /// The same after the colours of the content have moved to those of the styles.
    pub(super) fn after(mut self, content: &Colours, styles: &Colours) -> Self {
        let means = content.mean.into_iter().zip(styles.mean);
        let spreads = content.spread.into_iter().zip(styles.spread);
        let own = self.gain.iter_mut().zip(&mut self.offset);
        for (((from, to), (narrow, wide)), (gain, offset)) in means.zip(spreads).zip(own) {
            let stretch = (wide / narrow.max(1.0)).clamp(GAINS.0, GAINS.1);
            // From the style's mean, so that the seed does not move the mean by its gain.
            *offset += to - from * stretch * *gain;
            *gain *= stretch;
        }
        self
    }

    /// `x` and `y` from 0 to 1 over the longer side.
    pub(super) fn apply(&self, mut pixel: [u8; 3], x: f32, y: f32) -> [u8; 3] {
        let light = (x - 0.5) * self.slope.0 + (y - 0.5) * self.slope.1;
        let own = self.gain.iter().zip(&self.offset);
        for (channel, (gain, offset)) in pixel.iter_mut().zip(own) {
            // A cast from float saturates.
            *channel = (f32::from(*channel) * gain + offset + light).round() as u8;
        }
        pixel
    }

    pub(super) fn develop(&self, content: &RgbImage) -> RgbImage {
        let longer = content.width().max(content.height()).max(1) as f32;
        RgbImage::from_fn(content.width(), content.height(), |x, y| {
            let pixel = content.get_pixel(x, y).0;
            Rgb(self.apply(pixel, x as f32 / longer, y as f32 / longer))
        })
    }
}

/// FNV-1a, which is the same on every machine and in every release.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bars(low: [u8; 3], high: [u8; 3]) -> RgbImage {
        RgbImage::from_fn(96, 96, |x, _| Rgb(if x % 2 == 0 { low } else { high }))
    }

    #[test]
    fn the_result_has_the_styles_mean_and_the_contents_order_of_light() {
        let content = bars([40, 60, 90], [140, 160, 190]);
        let style = bars([180, 90, 20], [220, 150, 60]);
        let (from, to) = (
            Colours::of([&content]).unwrap(),
            Colours::of([&style]).unwrap(),
        );
        let look = Look::of_seed(&json!(7), 1, "").after(&from, &to);
        let result = look.develop(&content);
        let got = Colours::of([&result]).unwrap();
        for (got, wanted) in got.mean.into_iter().zip(to.mean) {
            assert!((got - wanted).abs() < 35.0, "{got} for {wanted}");
        }
        let (dark, light) = (result.get_pixel(40, 40).0, result.get_pixel(41, 40).0);
        assert!(dark.iter().zip(light).all(|(dark, light)| *dark < light));
    }

    #[test]
    fn a_flat_style_leaves_the_content_visible() {
        let content = bars([40, 60, 90], [140, 160, 190]);
        let flat = RgbImage::from_pixel(8, 8, Rgb([128; 3]));
        let (from, to) = (
            Colours::of([&content]).unwrap(),
            Colours::of([&flat]).unwrap(),
        );
        let result = Look::of_seed(&json!(7), 1, "")
            .after(&from, &to)
            .develop(&content);
        let spread = Colours::of([&result]).unwrap().spread;
        assert!(spread.iter().all(|spread| *spread > 10.0), "{spread:?}");
        assert_eq!(Colours::of([]), None);
    }
}
