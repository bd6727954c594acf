//! Address of a webhook and the user in whose name it is called.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use url::{Host, Url};

use crate::server::address::Base;
use crate::server::respond;

/// Where a request's end is announced, and in whose name.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(super) url: Url,
    pub(super) base: Base,
    pub(super) user_id: Arc<str>,
}

impl Target {
    /// Nothing when the address is no absolute http(s) URL.
    pub(crate) fn new(address: &str, headers: &HeaderMap, base: &Base) -> Option<Self> {
        let url = Url::parse(address).ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        Some(Self {
            url,
            base: base.clone(),
            user_id: user_id(headers).into(),
        })
    }

    pub(super) fn is_local(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

/// One user for each key id.
fn user_id(headers: &HeaderMap) -> String {
    let key = respond::text(headers, AUTHORIZATION.as_str()).unwrap_or_default();
    let id = key
        .strip_prefix("Key ")
        .and_then(|key| key.split(':').next());
    format!("user-{}", id.unwrap_or("anonymous").trim())
}
