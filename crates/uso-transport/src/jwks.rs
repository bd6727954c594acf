//! The public keys that fal signs its webhook deliveries with.

use bytes::Bytes;
use url::Url;

use crate::base_urls::is_confidential;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::transport::Transport;

impl Transport {
    /// Fetches a JSON Web Key Set as it is: the one that fal publishes at
    /// `/.well-known/jwks.json` of the REST host (fal docs, webhooks), or the one at this URL. No
    /// API key is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the URL is neither `https` nor `http` to this machine,
    /// [`ErrorKind::Unreachable`] after the last attempt, and [`ErrorKind::Server`] or
    /// [`ErrorKind::Gone`] when the host answers with an error.
    pub async fn jwks(&self, url: Option<&str>) -> Result<Bytes> {
        let url = url.map(parse).transpose()?;
        let request = || self.wire().jwks(url.as_ref());
        let reply = self.exchange(Operation::Keys, request).await?;
        if reply.is_success() {
            Ok(reply.body)
        } else {
            Err(self.refused(reply))
        }
    }
}

/// Keys that anybody on the way could replace verify nothing.
fn parse(text: &str) -> Result<Url> {
    let url = Url::parse(text).ok();
    url.filter(is_confidential).ok_or_else(|| {
        let message = format!("the address of the public keys {text:?} cannot be used");
        Error::new(Operation::Keys, ErrorKind::Config, message).with_hint(
            "give it as https://host/path, or as http://127.0.0.1:port/path for this machine",
        )
    })
}
