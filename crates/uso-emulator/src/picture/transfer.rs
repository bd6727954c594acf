//! Carries the colours of one set of pixels over to another.
//!
//! Pixels are ranked by lightness in both. A content pixel moves towards the lightness that the
//! style has at the same rank and takes the colour that is usual there; what sets it apart from its
//! own neighbours in rank is kept, turned and stretched to the style's own spread. So the content
//! stays recognisable by its light and shade, and the style by its palette.

use super::lab::Lab;

const RANKS: usize = 64;
const LEVELS: usize = 512;

/// Weight of the pixels below in a rank.
const BY_PIXELS: f32 = 0.5;
/// Lightness over which ranks are smoothed, to both sides.
const SOFT: f32 = 0.03;
/// How far lightness moves towards the style's.
const LIGHT: f32 = 0.7;
/// How much of a pixel's own colour is kept.
const OWN_COLOUR: f32 = 0.85;

/// Colours by rank of lightness.
pub(super) struct Palette {
    ranks: Vec<Lab>,
    /// Rank, as a fraction, of every level of lightness.
    rank_of: Vec<f32>,
    /// Spread of the colours around their rank's.
    spread: Spread,
}

/// A symmetric two by two matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    aa: f32,
    ab: f32,
    bb: f32,
}

impl Palette {
    pub(super) fn learn(mut pixels: Vec<Lab>) -> Option<Self> {
        if pixels.is_empty() {
            return None;
        }
        pixels.sort_by(|one, other| one.l.total_cmp(&other.l));
        let ranks = smooth(&means(&pixels));
        let mut palette = Self {
            ranks,
            rank_of: levels(&pixels),
            spread: Spread {
                aa: 0.0,
                ab: 0.0,
                bb: 0.0,
            },
        };
        let mut sum = Spread {
            aa: 0.0,
            ab: 0.0,
            bb: 0.0,
        };
        for (place, pixel) in pixels.iter().enumerate() {
            let usual = palette.at(place as f32 / pixels.len() as f32);
            let (a, b) = (pixel.a - usual.a, pixel.b - usual.b);
            sum.aa += a * a;
            sum.ab += a * b;
            sum.bb += b * b;
        }
        let count = pixels.len() as f32;
        palette.spread = Spread {
            aa: sum.aa / count,
            ab: sum.ab / count,
            bb: sum.bb / count,
        };
        Some(palette)
    }

    /// The usual colour at a rank between 0 and 1.
    fn at(&self, rank: f32) -> Lab {
        let place = rank.clamp(0.0, 1.0) * (RANKS - 1) as f32;
        let below = place as usize;
        let part = place - below as f32;
        let get = |index: usize| {
            self.ranks
                .get(index.min(RANKS - 1))
                .copied()
                .unwrap_or_default()
        };
        let (low, high) = (get(below), get(below + 1));
        Lab {
            l: low.l + (high.l - low.l) * part,
            a: low.a + (high.a - low.a) * part,
            b: low.b + (high.b - low.b) * part,
        }
    }

    fn rank(&self, lightness: f32) -> f32 {
        let level = (lightness.clamp(0.0, 1.0) * (LEVELS - 1) as f32) as usize;
        self.rank_of.get(level).copied().unwrap_or_default()
    }
}

/// From one palette to another.
pub(super) struct Transfer<'a> {
    from: &'a Palette,
    to: &'a Palette,
    stretch: Spread,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(from: &'a Palette, to: &'a Palette) -> Self {
        Self {
            from,
            to,
            stretch: stretch(from.spread, to.spread),
        }
    }

    pub(super) fn apply(&self, pixel: Lab) -> Lab {
        let rank = self.from.rank(pixel.l);
        let (here, there) = (self.from.at(rank), self.to.at(rank));
        let (a, b) = (pixel.a - here.a, pixel.b - here.b);
        let Spread { aa, ab, bb } = self.stretch;
        Lab {
            l: pixel.l + (there.l - pixel.l) * LIGHT,
            a: there.a + (aa * a + ab * b) * OWN_COLOUR,
            b: there.b + (ab * a + bb * b) * OWN_COLOUR,
        }
    }
}

/// The mean colour of each rank.
fn means(sorted: &[Lab]) -> Vec<Lab> {
    (0..RANKS)
        .map(|rank| {
            let start = rank * sorted.len() / RANKS;
            let end = ((rank + 1) * sorted.len() / RANKS).max(start + 1);
            let part = sorted.get(start..end.min(sorted.len())).unwrap_or_default();
            let count = part.len().max(1) as f32;
            let sum = part.iter().fold(Lab::default(), |sum, pixel| Lab {
                l: sum.l + pixel.l,
                a: sum.a + pixel.a,
                b: sum.b + pixel.b,
            });
            Lab {
                l: sum.l / count,
                a: sum.a / count,
                b: sum.b / count,
            }
        })
        .collect()
}

/// Takes the jumps out of the colours, so that gradients of the content stay gradients.
fn smooth(ranks: &[Lab]) -> Vec<Lab> {
    const REACH: usize = 3;
    (0..ranks.len())
        .map(|rank| {
            let window = ranks
                .get(rank.saturating_sub(REACH)..(rank + REACH + 1).min(ranks.len()))
                .unwrap_or_default();
            let count = window.len().max(1) as f32;
            Lab {
                l: window.iter().map(|lab| lab.l).sum::<f32>() / count,
                a: window.iter().map(|lab| lab.a).sum::<f32>() / count,
                b: window.iter().map(|lab| lab.b).sum::<f32>() / count,
            }
        })
        .collect()
}

/// For every level of lightness, how far up it is: half by the pixels below it, half by the plain
/// distance between the darkest and the lightest. Pixels alone would tear even areas apart and
/// blow up the blocks of a JPEG.
fn levels(sorted: &[Lab]) -> Vec<f32> {
    let count = sorted.len() as f32;
    let darkest = sorted.first().map_or(0.0, |pixel| pixel.l);
    let lightest = sorted.last().map_or(1.0, |pixel| pixel.l);
    (0..LEVELS)
        .map(|level| {
            let lightness = level as f32 / (LEVELS - 1) as f32;
            // Over a range of levels, which takes the steps out.
            let below = sorted.partition_point(|pixel| pixel.l < lightness - SOFT);
            let above = sorted.partition_point(|pixel| pixel.l <= lightness + SOFT);
            let by_pixels = (below + above) as f32 / 2.0 / count;
            let by_light = (lightness - darkest) / (lightest - darkest).max(1e-3);
            by_pixels * BY_PIXELS + by_light.clamp(0.0, 1.0) * (1.0 - BY_PIXELS)
        })
        .collect()
}

/// The linear map that moves colours the least while it gives them the wanted spread
/// (Monge-Kantorovich). A spread of nothing is taken for a very small one.
fn stretch(from: Spread, to: Spread) -> Spread {
    const LEAST: f32 = 1e-5;
    let from = Spread {
        aa: from.aa + LEAST,
        bb: from.bb + LEAST,
        ..from
    };
    let root = from.root();
    let inverse = root.inverse();
    inverse.around(root.around(to).root())
}

impl Spread {
    fn root(self) -> Self {
        let determinant = (self.aa * self.bb - self.ab * self.ab).max(0.0).sqrt();
        let trace = (self.aa + self.bb + 2.0 * determinant).max(1e-12).sqrt();
        Self {
            aa: (self.aa + determinant) / trace,
            ab: self.ab / trace,
            bb: (self.bb + determinant) / trace,
        }
    }

    fn inverse(self) -> Self {
        let determinant = (self.aa * self.bb - self.ab * self.ab).max(1e-12);
        Self {
            aa: self.bb / determinant,
            ab: -self.ab / determinant,
            bb: self.aa / determinant,
        }
    }

    /// `self * inner * self`, which is symmetric again.
    fn around(self, inner: Self) -> Self {
        let (p, q) = (
            self.aa * inner.aa + self.ab * inner.ab,
            self.aa * inner.ab + self.ab * inner.bb,
        );
        let (r, s) = (
            self.ab * inner.aa + self.bb * inner.ab,
            self.ab * inner.ab + self.bb * inner.bb,
        );
        Self {
            aa: p * self.aa + q * self.ab,
            ab: p * self.ab + q * self.bb,
            bb: r * self.ab + s * self.bb,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(centre: Lab, reach: f32) -> Vec<Lab> {
        (0..4000)
            .map(|step| {
                let turn = step as f32 * 2.4;
                let far = (step % 97) as f32 / 97.0 * reach;
                Lab {
                    l: centre.l + ((step % 53) as f32 / 53.0 - 0.5) * 0.4,
                    a: centre.a + turn.cos() * far,
                    b: centre.b + turn.sin() * far * 0.5,
                }
            })
            .collect()
    }

    fn mean(pixels: &[Lab]) -> Lab {
        let count = pixels.len() as f32;
        Lab {
            l: pixels.iter().map(|pixel| pixel.l).sum::<f32>() / count,
            a: pixels.iter().map(|pixel| pixel.a).sum::<f32>() / count,
            b: pixels.iter().map(|pixel| pixel.b).sum::<f32>() / count,
        }
    }

    #[test]
    fn the_result_has_the_styles_colours_and_the_contents_order_of_light() {
        let content = cloud(
            Lab {
                l: 0.4,
                a: 0.1,
                b: 0.0,
            },
            0.02,
        );
        let style = cloud(
            Lab {
                l: 0.7,
                a: -0.05,
                b: 0.12,
            },
            0.08,
        );
        let (from, to) = (
            Palette::learn(content.clone()).unwrap(),
            Palette::learn(style.clone()).unwrap(),
        );
        let transfer = Transfer::new(&from, &to);
        let result: Vec<Lab> = content.iter().map(|pixel| transfer.apply(*pixel)).collect();
        let (wanted, got) = (mean(&style), mean(&result));
        assert!(
            (wanted.a - got.a).abs() < 0.01 && (wanted.b - got.b).abs() < 0.01,
            "{got:?}"
        );
        assert!(got.l > 0.55, "{got:?}");
        let (dark, light) = (
            Lab {
                l: 0.25,
                ..content[0]
            },
            Lab {
                l: 0.55,
                ..content[0]
            },
        );
        assert!(transfer.apply(dark).l < transfer.apply(light).l);
    }

    #[test]
    fn a_flat_style_is_no_trouble() {
        let content = cloud(
            Lab {
                l: 0.4,
                a: 0.1,
                b: 0.0,
            },
            0.02,
        );
        let flat = vec![
            Lab {
                l: 0.5,
                a: 0.1,
                b: 0.1
            };
            10
        ];
        let (from, to) = (
            Palette::learn(flat).unwrap(),
            Palette::learn(content).unwrap(),
        );
        for (from, to) in [(&from, &to), (&to, &from), (&from, &from)] {
            let pixel = Transfer::new(from, to).apply(Lab {
                l: 0.5,
                a: 0.0,
                b: 0.0,
            });
            assert!(
                pixel.l.is_finite() && pixel.a.abs() < 1.0 && pixel.b.abs() < 1.0,
                "{pixel:?}"
            );
        }
        assert!(Palette::learn(Vec::new()).is_none());
    }
}
