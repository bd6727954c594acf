//! What a request will cost, before anything is sent.

use uso_transport::{Error, MicroDollars, Result};
use uso_types::UsoInput;

use crate::request::Request;

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
        self.pixels().map(MicroDollars::for_pixels)
    }
}

impl Request {
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
            _ => input
                .image_size
                .as_ref()
                .unwrap_or(&UsoInput::IMAGE_SIZE_DEFAULT)
                .dimensions(),
        };
        Ok(Estimate { size, images })
    }
}
