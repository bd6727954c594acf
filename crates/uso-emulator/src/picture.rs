//! Emulated pictures: the content in the colours of the styles, with a stamp.
//!
//! The content is scaled to fill the wanted size and cut evenly where it does not fit, or keeps its
//! own size under `keep_size`. The means and spreads of its colours become those of the styles. The
//! same order gives the same bytes. A strip at the foot says that the picture is emulated, with its
//! roles, size and seed.

mod codec;
mod font;
mod format;
mod look;
mod stamp;

use bytes::Bytes;
use image::{Rgb, RgbImage};
use serde_json::Value;

use look::{Colours, Look};
use stamp::Stamp;

pub(crate) use codec::dimensions;
pub(crate) use format::Format;

/// Effort for a picture.
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
        references.push(codec::decode(bytes).ok_or(Undecodable(place))?);
    }
    let thumbs: Vec<RgbImage> = references.iter().map(thumb).collect();
    let styles = Colours::of(references.iter().skip(1));
    let content = references.into_iter().next().ok_or(Undecodable(0))?;
    let (width, height) = match order.size {
        Size::OfContent => content.dimensions(),
        Size::Exactly(width, height) => (width, height),
    };
    let content = codec::fill(content, width, height);
    let colours = Colours::of([&content]).zip(styles);
    let draw = |number: u32| {
        let mut picture = if order.flagged {
            RgbImage::new(width, height)
        } else {
            let look = Look::of_seed(&order.seed, number, &order.prompt);
            match &colours {
                Some((from, to)) => look.after(from, to),
                None => look,
            }
            .develop(&content)
        };
        Stamp {
            seed: order.seed.to_string(),
            number: (order.images > 1).then_some(number),
            roles: &thumbs,
        }
        .draw(&mut picture);
        picture
    };
    Ok((order.delivered(draw), order.area(width, height)))
}

/// Tiny flat pictures; see [`PictureMode::Plain`].
pub(crate) fn plain(order: &Order) -> (Vec<Made>, u64) {
    const SIDE: u32 = 16;
    let (width, height) = match order.size {
        // The content is not looked at.
        Size::OfContent => (1024, 1024),
        Size::Exactly(width, height) => (width, height),
    };
    let draw = |number: u32| {
        let look = Look::of_seed(&order.seed, number, &order.prompt);
        RgbImage::from_pixel(SIDE, SIDE, Rgb(look.apply([128; 3], 0.5, 0.5)))
    };
    (order.delivered(draw), order.area(width, height))
}

impl Order {
    fn delivered(&self, draw: impl Fn(u32) -> RgbImage) -> Vec<Made> {
        let encoded = |number| {
            let picture = draw(number);
            Made {
                bytes: codec::encode(&picture, self.format),
                width: picture.width(),
                height: picture.height(),
            }
        };
        (1..=self.images).map(encoded).collect()
    }

    /// Pixels of all pictures.
    fn area(&self, width: u32, height: u32) -> u64 {
        u64::from(width) * u64::from(height) * u64::from(self.images)
    }
}

/// A square for the stamp.
fn thumb(picture: &RgbImage) -> RgbImage {
    const SIDE: u32 = 64;
    codec::fill(picture.clone(), SIDE, SIDE)
}

#[cfg(test)]
mod tests;
