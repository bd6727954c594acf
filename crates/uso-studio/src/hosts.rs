//! Hosts under which the studio responds, compared exactly.

use std::net::SocketAddr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::request::Parts;

/// The `Host` headers that are accepted, in lower case.
#[derive(Debug)]
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    /// The loopback names with the port of this address, and further hosts; a further host without
    /// a port gets that of the address.
    pub(crate) fn new(address: SocketAddr, further: &[String]) -> Self {
        let port = address.port();
        let own = ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned);
        let mut hosts: Vec<String> = own.iter().map(|host| format!("{host}:{port}")).collect();
        for host in further {
            let host = host.trim().to_ascii_lowercase();
            let has_port = host
                .rsplit_once(':')
                .is_some_and(|(_, port)| !port.is_empty() && !port.contains(']'));
            hosts.push(match has_port {
                true => host,
                false => format!("{host}:{port}"),
            });
        }
        // Browsers leave the port of the scheme out.
        if port == 80 {
            let bare = hosts.iter().filter_map(|host| host.strip_suffix(":80"));
            let bare: Vec<String> = bare.map(str::to_owned).collect();
            hosts.extend(bare);
        }
        Self(hosts)
    }

    /// The host that a request names, if it is one of these. A name that only resolves to this
    /// machine is not, so that a rebound name reaches nothing.
    pub(crate) fn of(&self, parts: &Parts) -> Option<&str> {
        let named = single(&parts.headers, &HOST)?.to_ascii_lowercase();
        let in_target = parts.uri.authority();
        if in_target.is_some_and(|target| !target.as_str().eq_ignore_ascii_case(&named)) {
            return None;
        }
        self.0
            .iter()
            .find(|host| **host == named)
            .map(String::as_str)
    }
}

/// Whether the request comes from a page of this host. A request without `Origin` does not.
pub(crate) fn is_from(host: &str, headers: &HeaderMap) -> bool {
    single(headers, &ORIGIN).and_then(|origin| origin.strip_prefix("http://")) == Some(host)
}

/// The only header of a name; two of them are none.
fn single<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
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
