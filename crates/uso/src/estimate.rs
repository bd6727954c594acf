//! What a request will cost, before anything is sent.

use std::fmt;

use uso_transport::{Error, Problem, Result};
use uso_types::{ImageSize, ImageSizeChoice, UsoInput};

use crate::request::Request;

/// The published price: $0.10 a megapixel of output.
/// Source: <https://fal.ai/models/fal-ai/uso/llms.txt>. An account may have a discount.
const MICRO_DOLLARS_PER_MEGAPIXEL: u64 = 100_000;

/// Money, as a whole number of millionths of a US dollar.
///
/// ```
/// use uso::MicroDollars;
///
/// assert_eq!(MicroDollars::new(104_858).to_string(), "$0.104858");
/// assert_eq!("0.5".parse::<MicroDollars>()?, MicroDollars::new(500_000));
/// # Ok::<(), uso::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroDollars(u64);

impl MicroDollars {
    /// This many millionths of a dollar.
    pub fn new(micro_dollars: u64) -> Self {
        Self(micro_dollars)
    }

    /// The number of millionths of a dollar.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for MicroDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, fraction) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let digits = format!("{fraction:06}");
        let shown = digits.trim_end_matches('0');
        // Cents are always shown; what is finer only where there is any.
        write!(f, "${dollars}.{shown:0<2}")
    }
}

impl std::str::FromStr for MicroDollars {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let amount = text.trim().trim_start_matches('$');
        let (dollars, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let well_formed = digits(dollars)
            && digits(fraction)
            && fraction.len() <= 6
            && !amount.is_empty()
            && amount != ".";
        let whole = || {
            if dollars.is_empty() {
                Some(0)
            } else {
                dollars.parse::<u64>().ok()
            }
        };
        let parts = || format!("{fraction:0<6}").parse::<u64>().ok();
        let micro = || whole()?.checked_mul(1_000_000)?.checked_add(parts()?);
        well_formed.then(micro).flatten().map(Self).ok_or_else(|| {
            Error::invalid(vec![Problem::new(
                "",
                format!("{text:?} is not an amount of dollars such as 0.25"),
            )])
        })
    }
}

/// What a request will make, and what that costs at the published price.
///
/// How the service rounds megapixels is not published: the bill may differ a little. Trust
/// [`Output::billable_units`](crate::Output::billable_units) afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// Width and height of each picture; `None` when it is that of a content picture which only
    /// the service can see.
    pub size: Option<(u32, u32)>,
    /// How many pictures.
    pub images: u32,
}

impl Estimate {
    /// Pixels of all pictures.
    pub fn pixels(&self) -> Option<u64> {
        let (width, height) = self.size?;
        (u64::from(width) * u64::from(height)).checked_mul(u64::from(self.images))
    }

    /// The price, rounded up to a millionth of a dollar.
    pub fn price(&self) -> Option<MicroDollars> {
        let product = u128::from(self.pixels()?) * u128::from(MICRO_DOLLARS_PER_MEGAPIXEL);
        u64::try_from(product.div_ceil(1_000_000))
            .ok()
            .map(MicroDollars)
    }
}

impl<S> Request<S> {
    /// What the request will make and cost; nothing is sent.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> uso::Result<()> {
    /// use uso::{ImageSize, Request};
    ///
    /// let request = Request::reimagine("https://example.org/photo.png", "as a woodcut")
    ///     .size(ImageSize { width: Some(1000), height: Some(1000) })
    ///     .images(2);
    /// assert_eq!(request.estimate().await?.price().unwrap().to_string(), "$0.20");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) when the size depends on a content picture
    /// that cannot be read.
    pub async fn estimate(&self) -> Result<Estimate> {
        let input = self.input();
        input.validate()?;
        let images = input.num_images.unwrap_or(UsoInput::NUM_IMAGES_DEFAULT);
        let size = match (input.keep_size, self.content()) {
            (Some(true), Some(content)) => content
                .dimensions("content", self.wants_fit())
                .await
                .map_err(|problem| Error::invalid(vec![problem]))?,
            (Some(true), None) => None,
            _ => pixels(
                input
                    .image_size
                    .as_ref()
                    .unwrap_or(&UsoInput::IMAGE_SIZE_DEFAULT),
            ),
        };
        Ok(Estimate { size, images })
    }
}

/// The presets in pixels, as fal's toolkit defines them; `None` for one that is newer than this.
fn pixels(size: &ImageSizeChoice) -> Option<(u32, u32)> {
    let preset = match size {
        ImageSizeChoice::Custom(size) => {
            return Some((
                size.width.unwrap_or(ImageSize::WIDTH_DEFAULT),
                size.height.unwrap_or(ImageSize::HEIGHT_DEFAULT),
            ));
        }
        ImageSizeChoice::Preset(preset) => preset,
    };
    match preset.as_str() {
        "square_hd" => Some((1024, 1024)),
        "square" => Some((512, 512)),
        "portrait_4_3" => Some((768, 1024)),
        "portrait_16_9" => Some((576, 1024)),
        "landscape_4_3" => Some((1024, 768)),
        "landscape_16_9" => Some((1024, 576)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_shown_without_floats() {
        let shown = |micro| MicroDollars::new(micro).to_string();
        assert_eq!(shown(0), "$0.00");
        assert_eq!(shown(100_000), "$0.10");
        assert_eq!(shown(1_048_576), "$1.048576");
        let read = |text: &str| text.parse::<MicroDollars>().ok().map(MicroDollars::get);
        assert_eq!(read("0.1"), Some(100_000));
        assert_eq!(read("$12"), Some(12_000_000));
        assert_eq!(read(".5"), Some(500_000));
        for wrong in [
            "",
            ".",
            "-1",
            "1e3",
            "0.1234567",
            "ten",
            "99999999999999999999",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
