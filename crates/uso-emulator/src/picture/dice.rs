//! What a seed decides: a turn of the hues, a slope of light, a faint grain.

use serde_json::Value;

use super::lab::Lab;

/// Cells of the grain along the longer side.
const CELLS: f32 = 48.0;
const GRAIN: f32 = 0.012;
const SLOPE: f32 = 0.10;
/// Radians.
const TURN: f32 = 0.22;
const TINT: f32 = 0.035;

pub(super) struct Dice {
    grain: u64,
    /// Direction in which it gets lighter.
    slope: (f32, f32),
    turn: f32,
    chroma: f32,
    /// The colour that the prompt adds.
    tint: (f32, f32),
}

impl Dice {
    /// Thrown by the seed, the number of the picture, and the words.
    pub(super) fn new(seed: &Value, number: u32, prompt: &str) -> Self {
        let mut random = fastrand::Rng::with_seed(hash(&format!("{seed}/{number}")));
        let direction = random.f32() * std::f32::consts::TAU;
        let steep = SLOPE * (0.5 + 0.5 * random.f32());
        let turn = (random.f32() * 2.0 - 1.0) * TURN;
        let chroma = 0.92 + 0.2 * random.f32();
        let tint = if prompt.trim().is_empty() {
            (0.0, 0.0)
        } else {
            let hue = (hash(prompt) % 360) as f32 * std::f32::consts::TAU / 360.0;
            (hue.cos() * TINT, hue.sin() * TINT)
        };
        Self {
            grain: random.u64(..),
            slope: (direction.cos() * steep, direction.sin() * steep),
            turn,
            chroma,
            tint,
        }
    }

    /// `x` and `y` from 0 to 1 over the longer side.
    pub(super) fn apply(&self, pixel: Lab, x: f32, y: f32) -> Lab {
        let mut pixel = pixel.turned(self.turn, self.chroma);
        pixel.l += (x - 0.5) * self.slope.0 + (y - 0.5) * self.slope.1;
        pixel.l += (self.noise(x * CELLS, y * CELLS) - 0.5) * 2.0 * GRAIN;
        pixel.a += self.tint.0;
        pixel.b += self.tint.1;
        pixel
    }

    /// Smooth between the random corners of a grid, from 0 to 1.
    fn noise(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let ease = |part: f32| part * part * (3.0 - 2.0 * part);
        let (right, down) = (ease(x - left), ease(y - top));
        let corner = |dx: f32, dy: f32| self.corner((left + dx) as i32, (top + dy) as i32);
        let above = corner(0.0, 0.0) + (corner(1.0, 0.0) - corner(0.0, 0.0)) * right;
        let below = corner(0.0, 1.0) + (corner(1.0, 1.0) - corner(0.0, 1.0)) * right;
        above + (below - above) * down
    }

    fn corner(&self, x: i32, y: i32) -> f32 {
        let place = (i64::from(x) << 32 ^ i64::from(y)).cast_unsigned();
        let mixed = mix(place ^ self.grain);
        (mixed >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// FNV-1a, which is the same on every machine and in every release.
fn hash(text: &str) -> u64 {
    let bytes = text.bytes();
    mix(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

/// The finalizer of SplitMix64.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
