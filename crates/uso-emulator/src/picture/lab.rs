//! The Oklab colour space, in which distances are about as large as they look.

use std::sync::LazyLock;

/// Lightness from 0 to 1, and two colour axes around 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lab {
    pub(super) l: f32,
    pub(super) a: f32,
    pub(super) b: f32,
}

/// sRGB bytes as linear light.
static LINEAR: LazyLock<[f32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        let value = byte as f32 / 255.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    })
});

const STEPS: usize = 4096;

/// Linear light, in equal steps, as sRGB bytes.
static ENCODED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..=STEPS)
        .map(|step| {
            let value = step as f32 / STEPS as f32;
            let encoded = if value <= 0.003_130_8 {
                value * 12.92
            } else {
                1.055 * value.powf(1.0 / 2.4) - 0.055
            };
            (encoded * 255.0).round() as u8
        })
        .collect()
});

impl Lab {
    pub(super) fn from_rgb([red, green, blue]: [u8; 3]) -> Self {
        let linear = |byte: u8| LINEAR.get(usize::from(byte)).copied().unwrap_or_default();
        let (r, g, b) = (linear(red), linear(green), linear(blue));
        let l = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
        let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
        let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
        Self {
            l: 0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
            a: 1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
            b: 0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
        }
    }

    /// Colours outside the gamut are clipped.
    pub(super) fn to_rgb(self) -> [u8; 3] {
        let Self { l: lightness, a, b } = self;
        let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
        let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
        let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
        [
            4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_93 * s,
            -1.268_438 * l + 2.609_757_4 * m - 0.341_319_4 * s,
            -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
        ]
        .map(|linear| {
            // A cast from float saturates, and takes NaN for zero.
            let step = (linear * STEPS as f32 + 0.5) as usize;
            ENCODED.get(step.min(STEPS)).copied().unwrap_or_default()
        })
    }

    /// Turned around the grey axis, and scaled away from it.
    pub(super) fn turned(self, angle: f32, scale: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self {
            l: self.l,
            a: (self.a * cos - self.b * sin) * scale,
            b: (self.a * sin + self.b * cos) * scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_same_colour() {
        for red in (0..=255).step_by(15) {
            for green in (0..=255).step_by(15) {
                for blue in (0..=255).step_by(15) {
                    let back = Lab::from_rgb([red, green, blue]).to_rgb();
                    for (before, after) in [red, green, blue].into_iter().zip(back) {
                        assert!(before.abs_diff(after) <= 1, "{red} {green} {blue} {back:?}");
                    }
                }
            }
        }
    }
}
