//! Width and height of the pictures of a size.

use crate::generated::{ImageSize, ImageSizeChoice, ImageSizePreset};

impl ImageSizePreset {
    /// Width and height in pixels, as fal's toolkit defines the presets; `None` for one that a
    /// newer schema brought and whose size is not published.
    pub fn dimensions(self) -> Option<(u32, u32)> {
        match self.as_str() {
            "square_hd" => Some((1024, 1024)),
            "square" => Some((512, 512)),
            "portrait_4_3" => Some((768, 1024)),
            "portrait_16_9" => Some((576, 1024)),
            "landscape_4_3" => Some((1024, 768)),
            "landscape_16_9" => Some((1024, 576)),
            _ => None,
        }
    }
}

/// Lets a preset stand where an optional size is taken.
impl From<ImageSizePreset> for Option<ImageSizeChoice> {
    fn from(preset: ImageSizePreset) -> Self {
        Some(preset.into())
    }
}

/// Lets a width and height stand where an optional size is taken.
impl From<ImageSize> for Option<ImageSizeChoice> {
    fn from(size: ImageSize) -> Self {
        Some(size.into())
    }
}

impl ImageSizeChoice {
    /// Width and height in pixels; a side that is left out has its default.
    ///
    /// ```
    /// # use uso_types::{ImageSize, ImageSizeChoice, UsoInput};
    /// assert_eq!(UsoInput::IMAGE_SIZE_DEFAULT.dimensions(), Some((1024, 1024)));
    /// let wide = ImageSizeChoice::from(ImageSize { width: Some(2000), height: None });
    /// assert_eq!(wide.dimensions(), Some((2000, 512)));
    /// ```
    pub fn dimensions(&self) -> Option<(u32, u32)> {
        match self {
            Self::Custom(size) => Some((
                size.width.unwrap_or(ImageSize::WIDTH_DEFAULT),
                size.height.unwrap_or(ImageSize::HEIGHT_DEFAULT),
            )),
            Self::Preset(preset) => preset.dimensions(),
        }
    }
}
