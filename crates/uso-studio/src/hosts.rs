//! Hosts under which the studio responds, compared exactly.

use std::net::SocketAddr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::request::Parts;

use crate::headers::single;

/// The hosts that are accepted.
#[derive(Debug)]
pub(crate) struct Hosts(Vec<Host>);

/// A `Host` header that is accepted, and the origin of its pages, in lower case.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    origin: String,
}

impl Hosts {
    /// The loopback names with the port of this address, and further hosts. A further host without
    /// a port gets that of the address, and one behind `https://` is that of a TLS server.
    pub(crate) fn new(address: SocketAddr, further: &[String]) -> Self {
        let port = address.port();
        let own = ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned);
        let named = own.iter().chain(further);
        Self(named.flat_map(|host| Host::named(host, port)).collect())
    }

    /// The host that a request names, if it is one of these. A name that only resolves to this
    /// machine is not, so that a rebound name reaches nothing.
    pub(crate) fn of(&self, parts: &Parts) -> Option<&Host> {
        let named = single(&parts.headers, HOST)?;
        let in_target = parts.uri.authority();
        if in_target.is_some_and(|target| !target.as_str().eq_ignore_ascii_case(named)) {
            return None;
        }
        let mut hosts = self.0.iter();
        hosts.find(|host| host.name.eq_ignore_ascii_case(named))
    }
}

impl Host {
    /// The host of this name, in both spellings where its port is that of the scheme.
    fn named(text: &str, port: u16) -> Vec<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (scheme, host, usual, port) = match text.strip_prefix("https://") {
            Some(host) => ("https", host, ":443", 443),
            None => ("http", text.as_str(), ":80", port),
        };
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.is_empty() && !port.contains(']'));
        let whole = match has_port {
            true => host.to_owned(),
            false => format!("{host}:{port}"),
        };
        // Browsers leave the port of the scheme out.
        let bare = whole.strip_suffix(usual).map(str::to_owned);
        let origin = format!("{scheme}://{}", bare.as_ref().unwrap_or(&whole));
        let names = bare.into_iter().chain([whole]);
        names
            .map(|name| Self {
                name,
                origin: origin.clone(),
            })
            .collect()
    }

    /// Whether the request comes from a page of this host. A request without `Origin` does not.
    pub(crate) fn is_origin_of(&self, headers: &HeaderMap) -> bool {
        single(headers, ORIGIN) == Some(&self.origin)
    }
}

/// Whether the request comes from a page that the browser has by TLS.
pub(crate) fn is_by_tls(headers: &HeaderMap) -> bool {
    single(headers, ORIGIN).is_some_and(|origin| origin.starts_with("https://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(host: &str) -> Parts {
        let request = http::Request::builder().uri("/").header(HOST, host);
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn hosts_are_compared_exactly_and_with_their_port() {
        let hosts = Hosts::new(
            "127.0.0.1:7703".parse().unwrap(),
            &["Studio.lan".to_owned()],
        );
        for good in [
            "127.0.0.1:7703",
            "localhost:7703",
            "LOCALHOST:7703",
            "[::1]:7703",
            "studio.lan:7703",
        ] {
            assert!(hosts.of(&parts(good)).is_some(), "{good}");
        }
        for bad in [
            "127.0.0.1",
            "127.0.0.1:7704",
            "127.0.0.2:7703",
            "localhost.evil.example:7703",
            "evil.example",
            "localhost:7703.evil.example",
            "studio.lan",
            "x@localhost:7703",
            "",
        ] {
            assert!(hosts.of(&parts(bad)).is_none(), "{bad}");
        }
    }
}
