//! Admission of callers: programs and pages of this machine, unless a switch lets all in.
//!
//! A page of another site could otherwise make the emulator fetch internal URLs for it, or call
//! webhooks on this machine. Browsers name the page's origin on every POST, and a name that was
//! rebound to a loopback address still arrives as the `Host`.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::ORIGIN;
use url::{Host, Url};

use super::respond::{self, Response, detail};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission {
    /// Every host name and every origin.
    pub(crate) any: bool,
    /// The address that is listened on.
    pub(crate) own: IpAddr,
}

impl Admission {
    /// The refusal of a request for this host, if it is refused. `is_fals` tells that the host is
    /// one of fal's own names.
    pub(crate) fn refusal(
        self,
        host: &str,
        is_fals: bool,
        headers: &HeaderMap,
    ) -> Option<Response> {
        if self.any {
            return None;
        }
        let way_out = "start it with --allow-any-origin (EmulatorBuilder::allow_any_origin) to \
                       change that";
        if !is_fals && !self.is_here(&format!("http://{host}")) {
            let text = format!(
                "The emulator answers under loopback names and fal's own, not under the Host \
                 \"{host}\"; {way_out}."
            );
            return Some(detail(403, &text));
        }
        let origin = headers.get(ORIGIN)?.to_str().unwrap_or_default();
        if self.is_here(origin) {
            return None;
        }
        let text =
            format!("The emulator answers pages of this machine, not of \"{origin}\"; {way_out}.");
        Some(detail(403, &text))
    }

    /// The value of `Access-Control-Allow-Origin` for a request that was let in.
    pub(crate) fn allowed_origin(self, headers: &HeaderMap) -> Option<&str> {
        let origin = respond::text(headers, ORIGIN.as_str())?;
        if self.any {
            Some("*")
        } else {
            self.is_here(origin).then_some(origin)
        }
    }

    /// Whether an origin is on this machine. An address in place of a name cannot be rebound.
    fn is_here(self, origin: &str) -> bool {
        let Ok(url) = Url::parse(origin) else {
            return false;
        };
        if !matches!(url.scheme(), "http" | "https") {
            return false;
        }
        let address = match url.host() {
            Some(Host::Domain(name)) => return name == "localhost",
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            None => return false,
        };
        address.is_loopback() || (address == self.own && !address.is_unspecified())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_pages_of_this_machine_are_served() {
        let admission = Admission {
            any: false,
            own: IpAddr::from([192, 168, 1, 5]),
        };
        let admits = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.extend(origin.map(|origin| (ORIGIN, origin.parse().unwrap())));
            admission.refusal(host, false, &headers).is_none()
        };
        for host in [
            "localhost:1",
            "127.0.0.1",
            "127.8.8.8:80",
            "[::1]:5",
            "192.168.1.5:7",
        ] {
            assert!(admits(host, None), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "a.localhost",
            "127.0.0.1.nip.io",
            "localhost@evil.example",
            "10.0.0.1",
            "",
        ] {
            assert!(!admits(host, None), "{host}");
        }
        for origin in [
            "http://localhost:3000",
            "https://127.0.0.1",
            "http://[::1]:8080",
        ] {
            assert!(admits("localhost", Some(origin)), "{origin}");
        }
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost.evil.example",
            "file://localhost",
            "http://10.0.0.1",
        ] {
            assert!(!admits("localhost", Some(origin)), "{origin}");
        }
    }
}
