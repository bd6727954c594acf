//! Decoded pixels of 8 bits a channel: resized and turned.

use std::fmt::Display;

use fast_image_resize::images::TypedImage;
use fast_image_resize::pixels::{U8, U8x2, U8x3, U8x4};
use fast_image_resize::{FilterType, MulDiv, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::reference::container::Orientation;

/// Rows of 8 bits a channel: grey, grey and alpha, RGB, or RGB and alpha.
pub(super) struct Pixels {
    pub(super) size: (u32, u32),
    /// The extent of the picture in these pixels, where a decoder that reduces rounded up.
    pub(super) extent: (f64, f64),
    pub(super) channels: usize,
    pub(super) bytes: Vec<u8>,
}

impl Pixels {
    pub(super) fn new(size: (u32, u32), channels: usize, bytes: Vec<u8>) -> Self {
        Self {
            size,
            extent: (size.0.into(), size.1.into()),
            channels,
            bytes,
        }
    }

    /// The pixels, unless there are more or fewer of them than the size tells.
    pub(super) fn whole(self) -> Result<Self, String> {
        match self.bytes.len() == index(self.size.0) * index(self.size.1) * self.channels {
            true => Ok(self),
            false => Err("damaged: its pixels are not as many as its header tells".to_owned()),
        }
    }

    /// A transparent picture of this size with these pixels at this place.
    pub(super) fn placed(&self, size: (u32, u32), (left, top): (u32, u32)) -> Self {
        let mut bytes = vec![0; index(size.0) * index(size.1) * 4];
        let row = (index(self.size.0) * self.channels).max(1);
        let line = (index(size.0) * 4).max(1);
        let rows = self.bytes.chunks_exact(row);
        let lines = bytes.chunks_exact_mut(line).skip(index(top));
        for (row, line) in rows.zip(lines) {
            let pixels = line.chunks_exact_mut(4).skip(index(left));
            for (from, to) in row.chunks_exact(self.channels).zip(pixels) {
                if let [red, green, blue, alpha @ ..] = from {
                    let alpha = alpha.first().copied().unwrap_or(u8::MAX);
                    to.copy_from_slice(&[*red, *green, *blue, alpha]);
                }
            }
        }
        Self::new(size, 4, bytes)
    }

    /// Resizes with the Lanczos filter. Transparent pixels weigh nothing.
    pub(super) fn resize(&mut self, size: (u32, u32)) -> Result<(), String> {
        if self.size == size {
            return Ok(());
        }
        match self.channels {
            2 => self.weigh::<U8x2>(true)?,
            4 => self.weigh::<U8x4>(true)?,
            _ => {}
        }
        let resized = match self.channels {
            1 => self.resized::<U8>(size),
            3 => self.resized::<U8x3>(size),
            _ => self.resized_by_channel(size),
        };
        *self = Self::new(size, self.channels, resized?);
        match self.channels {
            2 => self.weigh::<U8x2>(false),
            4 => self.weigh::<U8x4>(false),
            _ => Ok(()),
        }
    }

    /// Multiplies the colours with their transparency before they are resized, or divides them.
    fn weigh<P: PixelTrait>(&mut self, is_before: bool) -> Result<(), String> {
        let (width, height) = self.size;
        let image = TypedImage::<P>::from_buffer(width, height, &mut self.bytes);
        let mut image = image.map_err(failed)?;
        match is_before {
            true => MulDiv::new().multiply_alpha_inplace_typed(&mut image),
            false => MulDiv::new().divide_alpha_inplace_typed(&mut image),
        }
        .map_err(failed)
    }

    /// Resizes one channel after the other. The resizer is compiled anew for each type of pixel,
    /// which takes half a minute, and transparent pictures need no speed.
    fn resized_by_channel(&self, size: (u32, u32)) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; index(size.0) * index(size.1) * self.channels];
        for channel in 0..self.channels {
            let channel_of = |bytes: &[u8]| {
                let values = bytes.iter().skip(channel).step_by(self.channels);
                values.copied().collect()
            };
            let mut plane = Self {
                channels: 1,
                bytes: channel_of(&self.bytes),
                ..*self
            };
            let values = bytes.iter_mut().skip(channel).step_by(self.channels);
            for (value, resized) in values.zip(plane.resized::<U8>(size)?) {
                *value = resized;
            }
        }
        Ok(bytes)
    }

    fn resized<P: PixelTrait>(&mut self, (width, height): (u32, u32)) -> Result<Vec<u8>, String> {
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
            .crop(0.0, 0.0, self.extent.0, self.extent.1)
            .use_alpha(false);
        let mut bytes = vec![0; index(width) * index(height) * self.channels];
        // Of the same type as the resizer's own image between its two steps.
        let source = TypedImage::<P>::from_buffer(self.size.0, self.size.1, &mut self.bytes);
        let mut resized = TypedImage::from_buffer(width, height, &mut bytes).map_err(failed)?;
        Resizer::new()
            .resize_typed(&source.map_err(failed)?, &mut resized, &options)
            .map_err(failed)?;
        drop(resized);
        Ok(bytes)
    }

    /// The picture as its orientation asks for.
    pub(super) fn turned(self, orientation: Orientation) -> Self {
        if orientation == Orientation::UPRIGHT {
            return self;
        }
        let (width, height) = (index(self.size.0), index(self.size.1));
        let size = orientation.upright(self.size);
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for y in 0..index(size.1) {
            for x in 0..index(size.0) {
                let (x, y) = match orientation.swaps_sides() {
                    true => (y, x),
                    false => (x, y),
                };
                let x = if orientation.mirrors_columns() {
                    width - 1 - x
                } else {
                    x
                };
                let y = if orientation.mirrors_rows() {
                    height - 1 - y
                } else {
                    y
                };
                let at = (y * width + x) * self.channels;
                bytes.extend_from_slice(self.bytes.get(at..at + self.channels).unwrap_or_default());
            }
        }
        Self::new(size, self.channels, bytes)
    }
}

fn failed(error: impl Display) -> String {
    format!("not to be resized: {error}")
}

/// A side or a count as an index.
pub(super) fn index(side: u32) -> usize {
    usize::try_from(side).unwrap_or(usize::MAX)
}
