//! Keys: the public keys that fal signs its webhook notifications with.

use bytes::Bytes;
use url::Url;

use crate::confidential::is_confidential;
use crate::error::{Error, Result};
use crate::exchange::Exchange;
use crate::kind::{ErrorKind, Operation};

/// Fetching of public keys.
pub(crate) struct Keys<'a>(pub(crate) &'a Exchange);

impl Keys<'_> {
    pub(crate) async fn fetch(&self, url: Option<&str>) -> Result<Bytes> {
        let url = url.map(parse).transpose()?;
        let request = || self.0.requests().jwks(url.as_ref());
        Ok(self.0.send_accepted(Operation::Keys, request).await?.body)
    }
}

/// Keys that could be replaced on the way verify nothing.
fn parse(text: &str) -> Result<Url> {
    let url = Url::parse(text).ok();
    url.filter(is_confidential).ok_or_else(|| {
        let message = format!("the address of the public keys {text:?} cannot be used");
        Error::new(Operation::Keys, ErrorKind::Config, message).with_hint(
            "give it as https://host/path, or as http://127.0.0.1:port/path for this machine",
        )
    })
}
