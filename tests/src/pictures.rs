//! The two pictures that ship with the project, drawn from nothing.
//!
//! The content is a lighthouse on its cliff by day; the style is a poster's sunburst in a few warm
//! and dark colours. `cargo run -p uso-tests --example pictures` writes them anew.

use image::{ImageBuffer, Rgb, RgbImage};

/// Side of the content picture in pixels: the endpoint's default size.
pub const CONTENT_SIDE: u32 = 1024;
/// Side of the style picture in pixels.
pub const STYLE_SIDE: u32 = 512;

type Colour = [f32; 3];

/// The content picture.
pub fn content() -> RgbImage {
    draw(CONTENT_SIDE, lighthouse)
}

/// The style picture.
pub fn style() -> RgbImage {
    draw(STYLE_SIDE, sunburst)
}

/// A picture as JPEG bytes.
///
/// # Errors
///
/// When the encoder fails, which for a picture in memory it does not.
pub fn jpeg(picture: &RgbImage) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 85);
    picture.write_with_encoder(encoder)?;
    Ok(bytes)
}

/// Paints with a function from the unit square (y downwards) to a colour, four samples a pixel.
fn draw(side: u32, paint: impl Fn(f32, f32) -> Colour) -> RgbImage {
    ImageBuffer::from_fn(side, side, |x, y| {
        let mut sum = [0.0; 3];
        for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
            let colour = paint((x as f32 + dx) / side as f32, (y as f32 + dy) / side as f32);
            for (sum, channel) in sum.iter_mut().zip(colour) {
                *sum += channel / 4.0;
            }
        }
        Rgb(sum.map(|channel| (channel.clamp(0.0, 1.0) * 255.0).round() as u8))
    })
}

fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    let t = t.clamp(0.0, 1.0);
    let [red, green, blue] = b;
    let [from_red, from_green, from_blue] = a;
    let channel = |from: f32, to: f32| from + (to - from) * t;
    [
        channel(from_red, red),
        channel(from_green, green),
        channel(from_blue, blue),
    ]
}

fn within(x: f32, y: f32, cx: f32, cy: f32, rx: f32, ry: f32) -> bool {
    ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) < 1.0
}

fn lighthouse(x: f32, y: f32) -> Colour {
    let horizon = 0.64;
    let cliff = 0.715
        + 0.06 * ((x - 0.66) * 4.4).powi(2) * (1.0 + ((x - 0.66) * 3.0).powi(2))
        + 0.012 * (x * 40.0).sin();
    let (tower_x, top, foot) = (0.62, 0.24, 0.72);
    let half = 0.042 + 0.028 * ((y - top) / (foot - top));
    let offset = (x - tower_x) / half;

    // The tower: red bands, shaded as a cylinder, with a lit window.
    if y > top && y < foot && offset.abs() < 1.0 {
        if within(x, y, tower_x, 0.44, 0.012, 0.02) {
            return [0.16, 0.18, 0.24];
        }
        let band = (((y - top) / 0.096) as u32).is_multiple_of(2);
        let paint = if band {
            [0.78, 0.16, 0.14]
        } else {
            [0.95, 0.94, 0.90]
        };
        return mix(paint, [0.22, 0.18, 0.24], 0.25 + 0.45 * offset.max(-0.5));
    }
    // The lantern, its roof and the gallery.
    if y > top && y < top + 0.016 && (x - tower_x).abs() < 0.062 {
        return [0.20, 0.20, 0.24];
    }
    if y > 0.165 && y <= top && (x - tower_x).abs() < 0.034 {
        let bars = ((x * 90.0) as u32).is_multiple_of(3);
        return if bars {
            [0.24, 0.24, 0.28]
        } else {
            [1.0, 0.93, 0.62]
        };
    }
    if y > 0.11 && y <= 0.165 && (x - tower_x).abs() < 0.048 * (y - 0.11) / 0.055 {
        return [0.70, 0.14, 0.13];
    }
    // The keeper's house.
    if x > 0.71 && x < 0.84 && y > 0.655 && y < 0.745 {
        let window = (y > 0.68 && y < 0.71) && ((x > 0.735 && x < 0.76) || (x > 0.79 && x < 0.815));
        return if window {
            [0.22, 0.28, 0.36]
        } else {
            [0.93, 0.90, 0.83]
        };
    }
    if y > 0.60 && y <= 0.655 && (x - 0.775).abs() < 0.02 + 0.07 * (y - 0.60) / 0.055 {
        return [0.42, 0.25, 0.20];
    }
    // The cliff with grass on top, the sea with swell, the sky with clouds and a sun.
    if y > cliff {
        let depth = y - cliff;
        let rock = 0.5 + 0.5 * ((x * 23.0 + y * 9.0).sin() * (y * 31.0 - x * 7.0).sin());
        let stone = mix([0.36, 0.30, 0.27], [0.56, 0.49, 0.42], rock);
        return mix([0.40, 0.56, 0.26], stone, (depth - 0.02) / 0.05);
    }
    if y > horizon {
        let depth = (y - horizon) / (1.0 - horizon);
        let swell = (y * 160.0 / (0.4 + depth) + (x * 9.0).sin() * 2.0).sin();
        let sea = mix([0.30, 0.55, 0.68], [0.07, 0.25, 0.42], depth * 1.2);
        return mix(
            sea,
            [0.88, 0.95, 0.97],
            if swell > 0.93 { 0.5 } else { 0.0 },
        );
    }
    let sky = mix([0.36, 0.62, 0.88], [0.86, 0.92, 0.95], y / horizon);
    if within(x, y, 0.22, 0.2, 0.07, 0.07) {
        return [1.0, 0.95, 0.72];
    }
    let clouds = [
        (0.30, 0.34, 0.13, 0.035),
        (0.22, 0.36, 0.10, 0.03),
        (0.86, 0.16, 0.10, 0.028),
        (0.93, 0.18, 0.09, 0.03),
    ];
    if clouds
        .iter()
        .any(|&(cx, cy, rx, ry)| within(x, y, cx, cy, rx, ry))
    {
        return mix(sky, [1.0, 1.0, 1.0], 0.85);
    }
    sky
}

fn sunburst(x: f32, y: f32) -> Colour {
    let (dx, dy) = (x - 0.5, y - 0.78);
    let distance = dx.hypot(dy);
    let ray = ((dy.atan2(dx) / std::f32::consts::TAU) * 32.0).rem_euclid(2.0) < 1.0;
    let hills = 0.82 + 0.05 * (x * 9.0).sin() + 0.02 * (x * 23.0 + 1.0).sin();
    if y > hills + 0.09 {
        return [0.10, 0.07, 0.16];
    }
    if y > hills {
        return [0.42, 0.09, 0.24];
    }
    if distance < 0.24 {
        return mix([1.0, 0.93, 0.66], [0.98, 0.75, 0.28], distance / 0.24);
    }
    let outer = ((distance - 0.24) / 0.7).clamp(0.0, 1.0);
    let light = mix([0.98, 0.62, 0.18], [0.86, 0.26, 0.16], outer);
    let dark = mix([0.88, 0.32, 0.16], [0.34, 0.09, 0.28], outer);
    if ray { light } else { dark }
}
