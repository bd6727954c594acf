//! Targets that a page may call: a pure reading of method and target URL.

use http::Method;
use url::Url;
use uso_transport::{BaseUrls, Operation, Service, Ticket};

use crate::endpoint::Endpoint;

/// The longest target that is read, in bytes. The longest allowed target is far shorter.
const LONGEST: usize = 2048;

/// fal's public hosts, which the browser's client always names.
const PUBLIC: [(Service, &str); 3] = [
    (Service::Run, "https://fal.run/"),
    (Service::Queue, "https://queue.fal.run/"),
    (Service::Rest, "https://rest.fal.ai/"),
];

/// The one storage type of an upload.
const STORAGE_TYPE: (&str, &str) = ("storage_type", "fal-cdn-v3");

/// An allowed target. The request to the service is built from it and never from the page's text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target<'a> {
    /// Submit or run.
    Purchase {
        operation: Operation,
        endpoint: &'a Endpoint,
        max_queue_length: Option<u32>,
    },
    /// Status, stream, result or cancel.
    FollowUp {
        operation: Operation,
        ticket: Box<Ticket>,
        with_logs: Option<bool>,
    },
    /// The beginning of an upload, in one or in several parts.
    Upload { action: &'static str },
}

/// Why a target is not allowed, for the page's developer.
pub(crate) type NotAllowed = &'static str;

const UNKNOWN: NotAllowed = "the target is not one of the addresses that this proxy serves";

impl<'a> Target<'a> {
    /// Reads a target.
    ///
    /// Only the normal form of the URL standard is accepted: a URL that a parser would have to change
    /// (other letter cases, default ports, dot segments, backslashes, tabs) is refused.
    pub(crate) fn read(
        method: &Method,
        text: &str,
        endpoints: &'a [Endpoint],
        bases: &BaseUrls,
    ) -> Result<Self, NotAllowed> {
        if text.len() > LONGEST {
            return Err("the target is too long");
        }
        let url = Url::parse(text).map_err(|_| "the target is not a URL")?;
        if url.as_str() != text {
            return Err("the target is not written in its normal form");
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("the target has a user, a password or a fragment");
        }
        let (service, path) = locate(&url, bases).ok_or(UNKNOWN)?;
        let path: Vec<&str> = path.split('/').collect();
        let query = url.query().unwrap_or_default();
        match (service, method) {
            (Service::Run, &Method::POST) => {
                nothing(query)?;
                purchase(Operation::Run, &path, endpoints, None)
            }
            (Service::Queue, &Method::POST) => {
                let max_queue_length = optional(query, "fal_max_queue_length", |value| {
                    value.parse().ok().filter(|_| is_digits(value))
                })?;
                purchase(Operation::Submit, &path, endpoints, max_queue_length)
            }
            (Service::Queue, &Method::GET | &Method::PUT) => {
                follow_up(method, &path, query, endpoints)
            }
            (Service::Rest, &Method::POST) => upload(&path, query),
            _ => Err("the method does not fit the target"),
        }
    }

    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::Purchase { operation, .. } | Self::FollowUp { operation, .. } => *operation,
            Self::Upload { .. } => Operation::Upload,
        }
    }

    pub(crate) fn service(&self) -> Service {
        match self {
            Self::Purchase {
                operation: Operation::Run,
                ..
            } => Service::Run,
            Self::Purchase { .. } | Self::FollowUp { .. } => Service::Queue,
            Self::Upload { .. } => Service::Rest,
        }
    }

    /// The path below the service's base, segment by segment.
    pub(crate) fn path(&self) -> Vec<String> {
        let owned = |segments: &[&str]| segments.iter().map(|s| (*s).to_owned()).collect();
        match self {
            Self::Purchase { endpoint, .. } => {
                owned(&endpoint.id.as_str().split('/').collect::<Vec<_>>())
            }
            Self::FollowUp {
                operation, ticket, ..
            } => {
                let mut path: Vec<&str> = ticket.endpoint().app().split('/').collect();
                path.extend(["requests", ticket.request_id()]);
                path.extend(match operation {
                    Operation::Status => &["status"][..],
                    Operation::Stream => &["status", "stream"],
                    Operation::Cancel => &["cancel"],
                    _ => &[],
                });
                owned(&path)
            }
            Self::Upload { action } => owned(&["storage", "upload", action]),
        }
    }

    pub(crate) fn query(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: String| vec![(name.to_owned(), value)];
        match self {
            Self::Purchase {
                max_queue_length: Some(length),
                ..
            } => pair("fal_max_queue_length", length.to_string()),
            Self::FollowUp {
                with_logs: Some(logs),
                ..
            } => pair("logs", u8::from(*logs).to_string()),
            Self::Upload { .. } => pair(STORAGE_TYPE.0, STORAGE_TYPE.1.to_owned()),
            _ => Vec::new(),
        }
    }
}

/// The service that a URL is for, and the path below its base without the first slash.
fn locate<'u>(url: &'u Url, bases: &BaseUrls) -> Option<(Service, &'u str)> {
    let public = PUBLIC
        .iter()
        .filter_map(|(service, base)| Some((*service, Url::parse(base).ok()?)));
    let configured = [Service::Run, Service::Queue, Service::Rest]
        .map(|service| (service, service.base(bases).clone()));
    configured
        .into_iter()
        .chain(public)
        .find_map(|(service, base)| {
            let same_origin = url.scheme() == base.scheme()
                && url.host() == base.host()
                && url.port_or_known_default() == base.port_or_known_default();
            let below = url.path().strip_prefix(base.path().trim_end_matches('/'));
            let below = below.and_then(|path| path.strip_prefix('/'));
            below.filter(|_| same_origin).map(|path| (service, path))
        })
}

fn purchase<'a>(
    operation: Operation,
    path: &[&str],
    endpoints: &'a [Endpoint],
    max_queue_length: Option<u32>,
) -> Result<Target<'a>, NotAllowed> {
    let is_it = |endpoint: &&Endpoint| endpoint.id.as_str().split('/').eq(path.iter().copied());
    let endpoint = endpoints.iter().find(is_it).ok_or(UNKNOWN)?;
    Ok(Target::Purchase {
        operation,
        endpoint,
        max_queue_length,
    })
}

fn follow_up<'a>(
    method: &Method,
    path: &[&str],
    query: &str,
    endpoints: &'a [Endpoint],
) -> Result<Target<'a>, NotAllowed> {
    let mark = path
        .iter()
        .position(|segment| *segment == "requests")
        .ok_or(UNKNOWN)?;
    let (app, rest) = path.split_at(mark);
    let is_it = |endpoint: &&Endpoint| endpoint.id.app().split('/').eq(app.iter().copied());
    let endpoint = endpoints.iter().find(is_it).ok_or(UNKNOWN)?;
    let (request_id, operation) = match rest {
        [_, id] => (id, Operation::Result),
        [_, id, "status"] => (id, Operation::Status),
        [_, id, "status", "stream"] => (id, Operation::Stream),
        [_, id, "cancel"] => (id, Operation::Cancel),
        _ => return Err(UNKNOWN),
    };
    let expected = if operation == Operation::Cancel {
        Method::PUT
    } else {
        Method::GET
    };
    if *method != expected {
        return Err("the method does not fit the target");
    }
    let with_logs = match operation {
        Operation::Status | Operation::Stream => optional(query, "logs", |value| match value {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        })?,
        _ => {
            nothing(query)?;
            None
        }
    };
    let ticket = Ticket::for_request(endpoint.id.clone(), *request_id);
    Ok(Target::FollowUp {
        operation,
        ticket: Box::new(ticket.map_err(|_| UNKNOWN)?),
        with_logs,
    })
}

fn upload<'a>(path: &[&str], query: &str) -> Result<Target<'a>, NotAllowed> {
    let action = match path {
        ["storage", "upload", "initiate"] => "initiate",
        ["storage", "upload", "initiate-multipart"] => "initiate-multipart",
        _ => return Err(UNKNOWN),
    };
    let (name, value) = STORAGE_TYPE;
    if query.split_once('=') != Some((name, value)) {
        return Err("an upload has the query storage_type=fal-cdn-v3 and no other");
    }
    Ok(Target::Upload { action })
}

const QUERY: NotAllowed =
    "the target has a query that a page may not send; fal_webhook is one of those";

fn nothing(query: &str) -> Result<(), NotAllowed> {
    if query.is_empty() { Ok(()) } else { Err(QUERY) }
}

/// The one parameter that a query may have.
fn optional<T>(
    query: &str,
    name: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, NotAllowed> {
    if query.is_empty() {
        return Ok(None);
    }
    match query.split_once('=') {
        Some((found, value)) if found == name => read(value).map(Some).ok_or(QUERY),
        _ => Err(QUERY),
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use uso_transport::{EndpointId, MicroDollars};

    use super::*;
    use crate::endpoint::Pricing;

    fn endpoints() -> Vec<Endpoint> {
        let endpoint = |id: &str, price| Endpoint {
            id: id.parse().unwrap(),
            price,
        };
        let each = Pricing::Each(MicroDollars::new(1));
        vec![
            endpoint(EndpointId::uso().as_str(), Pricing::OfUso),
            endpoint("workflows/me/mine/step", each),
        ]
    }

    fn read(method: &Method, text: &str, bases: &BaseUrls) -> Result<String, NotAllowed> {
        let endpoints = endpoints();
        let target = Target::read(method, text, &endpoints, bases)?;
        let query: Vec<String> = target
            .query()
            .iter()
            .map(|(name, value)| format!("?{name}={value}"))
            .collect();
        Ok(format!(
            "{:?} {}{}",
            target.service(),
            target.path().join("/"),
            query.concat()
        ))
    }

    #[test]
    fn what_the_protocol_needs_is_allowed() {
        let bases = BaseUrls::single_origin("http://127.0.0.1:7700").unwrap();
        for (method, text, expected) in [
            (
                Method::POST,
                "https://queue.fal.run/fal-ai/uso",
                "Queue fal-ai/uso",
            ),
            (
                Method::POST,
                "https://queue.fal.run/fal-ai/uso?fal_max_queue_length=3",
                "Queue fal-ai/uso?fal_max_queue_length=3",
            ),
            (Method::POST, "https://fal.run/fal-ai/uso", "Run fal-ai/uso"),
            (
                Method::POST,
                "https://queue.fal.run/workflows/me/mine/step",
                "Queue workflows/me/mine/step",
            ),
            (
                Method::GET,
                "https://queue.fal.run/workflows/me/mine/requests/r-1",
                "Queue workflows/me/mine/requests/r-1",
            ),
            (
                Method::GET,
                "https://queue.fal.run/fal-ai/uso/requests/r-1/status?logs=true",
                "Queue fal-ai/uso/requests/r-1/status?logs=1",
            ),
            (
                Method::GET,
                "http://127.0.0.1:7700/queue/fal-ai/uso/requests/r-1/status/stream",
                "Queue fal-ai/uso/requests/r-1/status/stream",
            ),
            (
                Method::PUT,
                "https://queue.fal.run/fal-ai/uso/requests/r-1/cancel",
                "Queue fal-ai/uso/requests/r-1/cancel",
            ),
            (
                Method::POST,
                "https://rest.fal.ai/storage/upload/initiate-multipart?storage_type=fal-cdn-v3",
                "Rest storage/upload/initiate-multipart?storage_type=fal-cdn-v3",
            ),
        ] {
            assert_eq!(
                read(&method, text, &bases).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn a_configured_base_is_one_only_where_it_is_configured() {
        let fal = BaseUrls::fal().unwrap();
        let local = "http://127.0.0.1:7700/queue/fal-ai/uso";
        assert!(read(&Method::POST, local, &fal).is_err());
        let bases = BaseUrls::single_origin("http://127.0.0.1:7700").unwrap();
        assert!(read(&Method::POST, local, &bases).is_ok());
        for other in [
            "http://127.0.0.1:7701/queue/fal-ai/uso",
            "https://127.0.0.1:7700/queue/fal-ai/uso",
            "http://127.0.0.1:7700/fal-ai/uso",
            "http://127.0.0.1:7700/queuefal-ai/uso",
            "http://127.0.0.1:7700/platform/v1/meta",
        ] {
            assert!(read(&Method::POST, other, &bases).is_err(), "{other}");
        }
    }
}
