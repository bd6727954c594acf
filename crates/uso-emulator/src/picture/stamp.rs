//! Strip at the foot of every picture that marks it as emulated.

use image::{Rgb, RgbImage};

use super::font;

/// What the strip says, the most important first.
pub(super) struct Stamp<'a> {
    pub(super) seed: String,
    /// Which of several pictures, from 1; nothing if there is one.
    pub(super) number: Option<u32>,
    /// Small square pictures of the references, content first.
    pub(super) roles: &'a [RgbImage],
}

/// How much of the picture still shows under the strip, of 256.
const SHINE: u32 = 70;
const INK: Rgb<u8> = Rgb([245, 242, 235]);
const FRAME: Rgb<u8> = Rgb([200, 198, 192]);

impl Stamp<'_> {
    pub(super) fn draw(&self, picture: &mut RgbImage) {
        let (width, height) = picture.dimensions();
        let scale = (width.min(height) / 400).clamp(1, 8);
        let pad = 4 * scale;
        let strip = font::HEIGHT * scale + 2 * pad;
        if height < strip * 2 {
            return;
        }
        let top = height - strip;
        for y in top..height {
            for x in 0..width {
                darken(picture.get_pixel_mut(x, y));
            }
        }
        let thumbs = self.thumbs(picture, strip, scale);
        let room = width.saturating_sub(thumbs + 2 * pad) / scale / (font::WIDTH + 1);
        let text = self.text(width, height, room as usize);
        for (index, letter) in text.chars().enumerate() {
            let left = pad + index as u32 * (font::WIDTH + 1) * scale;
            draw_letter(picture, letter, (left, top + pad), scale);
        }
    }

    /// The longest of several wordings that fits into this many letters.
    fn text(&self, width: u32, height: u32, room: usize) -> String {
        let number = self
            .number
            .map(|number| format!(" #{number}"))
            .unwrap_or_default();
        let roles = match self.roles.len() {
            0 => "",
            1 => "  content",
            2 => "  content + style",
            _ => "  content + style + style",
        };
        let seed = &self.seed;
        [
            format!("EMULATED  seed {seed}{number}  {width}x{height}{roles}"),
            format!("EMULATED  seed {seed}{number}  {width}x{height}"),
            format!("EMULATED  seed {seed}{number}"),
            "EMULATED".to_owned(),
        ]
        .into_iter()
        .find(|text| text.len() <= room)
        .unwrap_or_default()
    }

    /// Draws the references from the right and returns the width that they take.
    fn thumbs(&self, picture: &mut RgbImage, strip: u32, scale: u32) -> u32 {
        let (width, height) = picture.dimensions();
        let side = strip.saturating_sub(2 * scale);
        let step = side + 2 * scale;
        let all = step * self.roles.len() as u32 + scale;
        if all * 2 > width {
            return 0;
        }
        for (index, role) in self.roles.iter().rev().enumerate() {
            let left = width - step * (index as u32 + 1);
            let top = height - strip + scale;
            for y in 0..side {
                for x in 0..side {
                    let edge = x == 0 || y == 0 || x == side - 1 || y == side - 1;
                    let (from_x, from_y) = (x * role.width() / side, y * role.height() / side);
                    let colour = if edge {
                        FRAME
                    } else {
                        *role.get_pixel(from_x, from_y)
                    };
                    picture.put_pixel(left + x, top + y, colour);
                }
            }
        }
        all
    }
}

fn darken(pixel: &mut Rgb<u8>) {
    pixel.0 = pixel
        .0
        .map(|channel| (u32::from(channel) * SHINE / 256) as u8);
}

fn draw_letter(picture: &mut RgbImage, letter: char, (left, top): (u32, u32), scale: u32) {
    for y in 0..font::HEIGHT * scale {
        for x in 0..font::WIDTH * scale {
            let inside = left + x < picture.width() && top + y < picture.height();
            if inside && font::ink(letter, x / scale, y / scale) {
                picture.put_pixel(left + x, top + y, INK);
            }
        }
    }
}
