//! Decoded pixels of 8 bits a channel: resized and turned.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, MulDiv, PixelType, ResizeAlg, ResizeOptions, Resizer};

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

    /// Resizes with the Lanczos filter. Transparent pixels weigh nothing.
    pub(super) fn resize(&mut self, (width, height): (u32, u32)) -> Result<(), String> {
        if self.size == (width, height) {
            return Ok(());
        }
        let kind = match self.channels {
            1 => PixelType::U8,
            2 => PixelType::U8x2,
            3 => PixelType::U8x3,
            _ => PixelType::U8x4,
        };
        let has_alpha = self.channels.is_multiple_of(2);
        let failed = |error: &dyn std::fmt::Display| format!("not to be resized: {error}");
        if has_alpha {
            let mut image = Image::from_slice_u8(self.size.0, self.size.1, &mut self.bytes, kind)
                .map_err(|error| failed(&error))?;
            MulDiv::new()
                .multiply_alpha_inplace(&mut image)
                .map_err(|error| failed(&error))?;
        }
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
            .crop(0.0, 0.0, self.extent.0, self.extent.1)
            .use_alpha(false);
        let source = ImageRef::new(self.size.0, self.size.1, &self.bytes, kind)
            .map_err(|error| failed(&error))?;
        let mut resized = Image::new(width, height, kind);
        Resizer::new()
            .resize(&source, &mut resized, &options)
            .map_err(|error| failed(&error))?;
        if has_alpha {
            MulDiv::new()
                .divide_alpha_inplace(&mut resized)
                .map_err(|error| failed(&error))?;
        }
        *self = Self::new((width, height), self.channels, resized.into_vec());
        Ok(())
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

/// A side or a count as an index.
pub(super) fn index(side: u32) -> usize {
    usize::try_from(side).unwrap_or(usize::MAX)
}
