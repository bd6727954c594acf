//! Detection of URLs that may carry a secret.

use std::net::IpAddr;

use url::{Host, Url};

/// Whether a request to this URL is encrypted or stays on this machine.
pub(crate) fn is_confidential(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_this_machine(url),
        _ => false,
    }
}

/// Whether the URL's host is a loopback address or `localhost`. Names below `localhost` are not
/// counted: some resolvers ask the network for their addresses.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}
