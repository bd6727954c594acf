//! Size and price of a request, before anything is sent.

use uso_transport::{Error, MicroDollars, Operation, Problem, Result};
use uso_types::UsoInput;

use crate::ready;
use crate::reference::Reference;
use crate::request::Request;
use crate::runtime;

/// Number and size of the pictures that a request asks for, and their price as published.
///
/// How the service rounds megapixels is not published: the bill may differ a little. Trust
/// [`Output::billable_units`](crate::Output::billable_units) afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// Width and height of each picture; `None` when it is that of a content picture which only
    /// the service can see.
    pub size: Option<(u32, u32)>,
    /// Number of pictures.
    pub images: u32,
}

impl Estimate {
    /// The estimate for an input whose content picture has this size.
    pub(crate) fn of(input: &UsoInput, content: Option<(u32, u32)>) -> Self {
        let size = match input.keep_size {
            Some(true) => content,
            _ => input
                .image_size
                .as_ref()
                .unwrap_or(&UsoInput::IMAGE_SIZE_DEFAULT)
                .dimensions(),
        };
        let images = input.num_images.unwrap_or(UsoInput::NUM_IMAGES_DEFAULT);
        Self { size, images }
    }

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
    /// Size and price of the request; nothing is sent.
    ///
    /// Of local pictures, the content is read where the size depends on it, and no pixel is
    /// decoded. [`Client::preview`](crate::Client::preview) reads every picture once for the
    /// estimate and the purchase together.
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
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a reader or a pipe keeps what was read of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) when the size depends on a content picture
    /// that cannot be read.
    pub async fn estimate(&self) -> Result<Estimate> {
        runtime::check(Operation::Prepare)?;
        let input = self.input();
        input.validate()?;
        let size = match (input.keep_size, self.content()) {
            (Some(true), Some(content)) => self
                .size_of("content", content)
                .await
                .map_err(|problem| Error::invalid(vec![problem]))?,
            _ => None,
        };
        Ok(Estimate::of(input, size))
    }

    /// Width and height of a picture as the service will see it, as far as they are known here.
    pub(crate) async fn size_of(
        &self,
        role: &str,
        reference: &Reference,
    ) -> Result<Option<(u32, u32)>, Problem> {
        if let Some(url) = reference.url(role) {
            return url.map(|_| None);
        }
        let facts = ready::facts(reference, role, Some(self.wants_fit())).await?;
        let size = facts.sent.map(|sent| sent.size).transpose();
        size.map_err(|why| Problem::new(role, format!("{reference} is {why}")))
    }
}
