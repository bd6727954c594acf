//! Check of a request: everything that is wrong with it, as far as no pixel has to be decoded.

use futures_util::future::join_all;
use uso_transport::{Error, Operation, Result};

use crate::request::Request;
use crate::runtime;

impl Request {
    /// Checks the options, the URLs and the local pictures, and reports all problems at once.
    /// Nothing is sent, and no pixel is decoded.
    ///
    /// A plan of many requests is checked in this way before the first of them is bought;
    /// [`Client::prepare`](crate::Client::prepare) then decodes the pictures of each.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use uso::Request;
    ///
    /// let request = Request::restyle("no-such-photo.jpg", "no-such-style.webp").steps(999);
    /// let error = request.check().await.unwrap_err();
    /// assert_eq!(error.problems().len(), 3);
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a reader or a pipe keeps what was read of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) with everything that is wrong.
    pub async fn check(&self) -> Result<()> {
        runtime::check(Operation::Prepare)?;
        let (_, mut problems) = self.checked();
        let looks = self.references();
        let looks = looks.map(|(role, reference)| self.size_of(role, reference));
        problems.extend(join_all(looks).await.into_iter().filter_map(Result::err));
        match problems.is_empty() {
            true => Ok(()),
            false => Err(Error::invalid(problems)),
        }
    }
}
