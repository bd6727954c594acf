//! Address of a request: the host of fal that it is for, and the base of URLs in its response.
//!
//! A request under one of fal's host names is for that host. On any other name the first path
//! segment says it. Either way the caller gets URLs back that lead the way it came.

use std::net::SocketAddr;

use http::header::HOST;
use http::request::Parts;

/// One of fal's hosts, or the emulator's own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Run,
    Queue,
    Rest,
    Cdn,
    Platform,
    /// `fal.ai` itself, and everything on the emulator's own address outside the prefixes.
    Site,
}

/// The beginning of every URL that is handed back.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    scheme: &'static str,
    /// Host and port on the emulator's own address; only the port under fal's names.
    authority: String,
    hosted: bool,
}

impl Base {
    /// fal's own addresses, for bodies that are measured but not sent.
    pub(crate) fn fal() -> Self {
        Self {
            scheme: "https",
            authority: String::new(),
            hosted: true,
        }
    }

    pub(crate) fn queue(&self) -> String {
        self.of("queue.fal.run", "/queue")
    }

    pub(crate) fn cdn(&self) -> String {
        self.of("v3b.fal.media", "/cdn")
    }

    /// Where the CDN takes files; it hands them out elsewhere.
    pub(crate) fn upload(&self) -> String {
        self.of("v3.fal.media", "/cdn")
    }

    fn of(&self, host: &str, prefix: &str) -> String {
        let Self {
            scheme,
            authority,
            hosted,
        } = self;
        if *hosted {
            format!("{scheme}://{host}{authority}")
        } else {
            format!("{scheme}://{authority}{prefix}")
        }
    }
}

pub(crate) struct Address {
    pub(crate) service: Service,
    /// Host and port as the caller wrote them.
    pub(crate) host: String,
    /// Path within the service, without a trailing slash; starts with a slash or is empty.
    pub(crate) path: String,
    pub(crate) base: Base,
}

impl Base {
    /// Whether the caller used one of fal's names.
    pub(crate) fn is_fals(&self) -> bool {
        self.hosted
    }
}

impl Address {
    pub(crate) fn of(parts: &Parts, tls: bool, own: SocketAddr) -> Self {
        let header = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let host = parts
            .uri
            .authority()
            .map(http::uri::Authority::as_str)
            .or_else(|| header(HOST.as_str()))
            .map_or_else(|| own.to_string(), str::to_ascii_lowercase);
        let scheme = match header("x-forwarded-proto").map(str::trim) {
            Some(proto) if proto.eq_ignore_ascii_case("https") => "https",
            Some(proto) if proto.eq_ignore_ascii_case("http") => "http",
            _ if tls => "https",
            _ => "http",
        };
        let path = parts.uri.path().trim_end_matches('/');
        match fal_host(&host) {
            Some((service, port)) => Self {
                service,
                path: path.to_owned(),
                base: Base {
                    scheme,
                    authority: port.to_owned(),
                    hosted: true,
                },
                host,
            },
            None => {
                let (service, path) = by_prefix(path);
                Self {
                    service,
                    path: path.to_owned(),
                    base: Base {
                        scheme,
                        authority: host.clone(),
                        hosted: false,
                    },
                    host,
                }
            }
        }
    }
}

/// The service behind one of fal's names, and the port with its colon.
fn fal_host(host: &str) -> Option<(Service, &str)> {
    let (name, port) = match host.rfind(':') {
        Some(colon) => host.split_at(colon),
        None => (host, ""),
    };
    let service = match name {
        "fal.run" | "falrun.com" => Service::Run,
        "queue.fal.run" | "queue.falrun.com" => Service::Queue,
        "rest.fal.ai" | "rest.alpha.fal.ai" => Service::Rest,
        "v3.fal.media" | "v3b.fal.media" | "fal.media" => Service::Cdn,
        "api.fal.ai" => Service::Platform,
        "fal.ai" => Service::Site,
        _ => return None,
    };
    Some((service, port))
}

fn by_prefix(path: &str) -> (Service, &str) {
    for (prefix, service) in [
        ("/run", Service::Run),
        ("/queue", Service::Queue),
        ("/rest", Service::Rest),
        ("/cdn", Service::Cdn),
        ("/platform", Service::Platform),
    ] {
        if let Some(rest) = path.strip_prefix(prefix)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return (service, rest);
        }
    }
    (Service::Site, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(uri: &str, headers: &[(&str, &str)], tls: bool) -> Address {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Address::of(&parts, tls, ([127, 0, 0, 1], 9).into())
    }

    #[test]
    fn hosts_and_prefixes_lead_to_services() {
        for (uri, host, service, path, queue) in [
            (
                "/fal-ai/uso",
                "queue.fal.run",
                Service::Queue,
                "/fal-ai/uso",
                "https://queue.fal.run",
            ),
            (
                "/fal-ai/uso/",
                "fal.run",
                Service::Run,
                "/fal-ai/uso",
                "https://queue.fal.run",
            ),
            (
                "/a",
                "queue.falrun.com:8443",
                Service::Queue,
                "/a",
                "https://queue.fal.run:8443",
            ),
            (
                "/v1/meta",
                "api.fal.ai",
                Service::Platform,
                "/v1/meta",
                "https://queue.fal.run",
            ),
            (
                "/queue/a/b",
                "[::1]:80",
                Service::Queue,
                "/a/b",
                "https://[::1]:80/queue",
            ),
            (
                "/queued",
                "localhost",
                Service::Site,
                "/queued",
                "https://localhost/queue",
            ),
            (
                "https://V3.fal.media/f",
                "",
                Service::Cdn,
                "/f",
                "https://queue.fal.run",
            ),
        ] {
            let found = address(uri, &[("host", host)], true);
            assert_eq!(
                (found.service, found.path.as_str()),
                (service, path),
                "{uri} {host}"
            );
            assert_eq!(found.base.queue(), queue, "{uri} {host}");
        }
    }

    #[test]
    fn the_scheme_is_the_callers() {
        let forwarded = [("host", "localhost:1"), ("x-forwarded-proto", "https")];
        assert_eq!(
            address("/", &forwarded, false).base.cdn(),
            "https://localhost:1/cdn"
        );
        assert_eq!(
            address("/", &[("host", "h:1")], false).base.cdn(),
            "http://h:1/cdn"
        );
        assert_eq!(
            address("/", &[], false).base.cdn(),
            "http://127.0.0.1:9/cdn"
        );
    }
}
