//! The picture that stands in for the model's: the content in the colours of the styles.
//!
//! The content is scaled to fill the wanted size and cut evenly where it does not fit, or keeps its
//! own size under `keep_size`. Its colours move towards those of all styles together. The seed and
//! the number of the picture decide a slight turn of the hues, a slope of light and a grain; a
//! prompt adds a faint tint of its own. The same order gives the same bytes. A strip at the foot
//! says what the picture is.

mod dice;
mod font;
mod lab;
mod load;
mod stamp;
mod transfer;

use bytes::Bytes;
use image::{Rgb, RgbImage};
use serde_json::Value;

use dice::Dice;
use lab::Lab;
use stamp::Stamp;
use transfer::{Palette, Transfer};

pub(crate) use load::dimensions;

/// How much work goes into a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PictureMode {
    /// The content picture recoloured towards the styles, stamped as emulated.
    Restyled,
    /// A tiny flat picture in a colour of the seed's, for benchmarks of everything but the
    /// picture. References are neither fetched nor looked at. The output tells the size of the file
    /// that is delivered; the bill is for the size that was asked for.
    #[default]
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Png,
    Jpeg,
}

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Png => Self::Jpeg,
            Self::Jpeg => Self::Png,
        }
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// `keep_size`: that of the content picture.
    OfContent,
    Exactly(u32, u32),
}

/// Everything that decides what the pictures look like.
pub(crate) struct Order {
    /// Content, style, extra style; still encoded.
    pub(crate) references: Vec<Bytes>,
    pub(crate) prompt: String,
    pub(crate) seed: Value,
    pub(crate) size: Size,
    pub(crate) images: u32,
    pub(crate) format: Format,
    /// The safety checker found something: black pictures.
    pub(crate) flagged: bool,
}

pub(crate) struct Made {
    pub(crate) bytes: Bytes,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The reference at this place is not a picture.
pub(crate) struct Undecodable(pub(crate) usize);

/// All pictures of an order, and the pixels that they have together.
pub(crate) fn make(order: &Order) -> Result<(Vec<Made>, u64), Undecodable> {
    let mut references = Vec::with_capacity(order.references.len());
    for (place, bytes) in order.references.iter().enumerate() {
        references.push(load::decode(bytes).ok_or(Undecodable(place))?);
    }
    let thumbs: Vec<RgbImage> = references.iter().map(thumb).collect();
    let mut references = references.into_iter();
    let content = references.next().ok_or(Undecodable(0))?;
    let style: Vec<Lab> = references.flat_map(sample).collect();
    let (width, height) = match order.size {
        Size::OfContent => content.dimensions(),
        Size::Exactly(width, height) => (width, height),
    };
    let content = load::fill(content, width, height);
    let recoloured = recolour(content, style);
    let made = (1..=order.images)
        .map(|number| {
            let mut picture = if order.flagged {
                RgbImage::new(width, height)
            } else {
                develop(
                    &recoloured,
                    width,
                    &Dice::new(&order.seed, number, &order.prompt),
                )
            };
            let number = (order.images > 1).then_some(number);
            Stamp {
                seed: order.seed.to_string(),
                number,
                roles: &thumbs,
            }
            .draw(&mut picture);
            let bytes = load::encode(&picture, order.format);
            Made {
                bytes,
                width,
                height,
            }
        })
        .collect();
    Ok((
        made,
        u64::from(width) * u64::from(height) * u64::from(order.images),
    ))
}

/// Tiny flat pictures; see [`PictureMode::Plain`].
pub(crate) fn plain(order: &Order) -> (Vec<Made>, u64) {
    const SIDE: u32 = 16;
    let (width, height) = match order.size {
        // Nobody looked at the content.
        Size::OfContent => (1024, 1024),
        Size::Exactly(width, height) => (width, height),
    };
    let made = (1..=order.images)
        .map(|number| {
            let grey = Lab {
                l: 0.6,
                a: 0.08,
                b: 0.0,
            };
            let colour = Dice::new(&order.seed, number, &order.prompt).apply(grey, 0.5, 0.5);
            let picture = RgbImage::from_pixel(SIDE, SIDE, Rgb(colour.to_rgb()));
            let bytes = load::encode(&picture, order.format);
            Made {
                bytes,
                width: SIDE,
                height: SIDE,
            }
        })
        .collect();
    (
        made,
        u64::from(width) * u64::from(height) * u64::from(order.images),
    )
}

/// The content's pixels in the colours of the styles; without styles, as they are.
fn recolour(content: RgbImage, style: Vec<Lab>) -> Vec<Lab> {
    let mut pixels: Vec<Lab> = content
        .pixels()
        .map(|pixel| Lab::from_rgb(pixel.0))
        .collect();
    let own = Palette::learn(sample(content));
    if let (Some(own), Some(style)) = (own, Palette::learn(style)) {
        let transfer = Transfer::new(&own, &style);
        for pixel in &mut pixels {
            *pixel = transfer.apply(*pixel);
        }
    }
    pixels
}

fn develop(pixels: &[Lab], width: u32, dice: &Dice) -> RgbImage {
    let height = pixels.len() as u32 / width.max(1);
    let longer = width.max(height).max(1) as f32;
    let mut bytes = Vec::with_capacity(pixels.len() * 3);
    for (y, row) in pixels.chunks_exact(width.max(1) as usize).enumerate() {
        for (x, pixel) in row.iter().enumerate() {
            let pixel = dice.apply(*pixel, x as f32 / longer, y as f32 / longer);
            bytes.extend_from_slice(&pixel.to_rgb());
        }
    }
    RgbImage::from_raw(width, height, bytes).unwrap_or_default()
}

/// Few enough pixels to learn from quickly.
fn sample(picture: RgbImage) -> Vec<Lab> {
    const SIDE: u32 = 160;
    let small = load::fill(picture, SIDE, SIDE);
    small.pixels().map(|pixel| Lab::from_rgb(pixel.0)).collect()
}

/// A square for the stamp.
fn thumb(picture: &RgbImage) -> RgbImage {
    const SIDE: u32 = 64;
    load::fill(picture.clone(), SIDE, SIDE)
}

#[cfg(test)]
mod tests;
