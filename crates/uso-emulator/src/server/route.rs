//! From method, service and path to what is wanted: a pure function.

use http::Method;

use super::address::Service;
use crate::scenario::Operation;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Submit to the queue or run at once; the whole endpoint id.
    Submit(String),
    Run(String),
    FollowUp(FollowUp),
    File(String),
    OpenApi,
    Platform(Platform),
    Page(Page),
    Preflight,
    WrongMethod,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FollowUp {
    pub(crate) endpoint_id: String,
    pub(crate) request_id: String,
    pub(crate) verb: Verb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Status,
    Stream,
    Result,
    Cancel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    Models,
    Pricing,
    Estimate,
    Listing,
    Meta,
}

/// The emulator's own pages, under a path that fal does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Home,
    Requests,
    Ledger,
}

impl Route {
    pub(crate) fn of(method: &Method, service: Service, path: &str) -> Self {
        if method == Method::OPTIONS {
            return Self::Preflight;
        }
        let reads = method == Method::GET || method == Method::HEAD;
        match service {
            Service::Queue => Self::queue(method, path),
            Service::Run if path.len() < 2 => Self::Unknown,
            Service::Run if method == Method::POST => Self::Run(endpoint(path)),
            Service::Run => Self::WrongMethod,
            Service::Cdn if !path.starts_with("/files/") => Self::Unknown,
            Service::Cdn if reads => Self::File(path.to_owned()),
            Service::Cdn => Self::WrongMethod,
            Service::Platform => Self::platform(method, path),
            Service::Site => match path {
                "" | "/emulator" if reads => Self::Page(Page::Home),
                "/emulator/requests" if reads => Self::Page(Page::Requests),
                "/emulator/ledger" if reads => Self::Page(Page::Ledger),
                "/api/openapi/queue/openapi.json" if reads => Self::OpenApi,
                _ => Self::Unknown,
            },
            Service::Rest => Self::Unknown,
        }
    }

    fn queue(method: &Method, path: &str) -> Self {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let Some(mark) = segments.iter().rposition(|segment| *segment == "requests") else {
            return match path.len() {
                0 | 1 => Self::Unknown,
                _ if method == Method::POST => Self::Submit(endpoint(path)),
                _ => Self::WrongMethod,
            };
        };
        let (owner, rest) = segments.split_at(mark);
        // Three forms are in use: bare, under the whole endpoint id, and with `/response`.
        let (request_id, verb) = match rest {
            [_, id] | [_, id, "response"] => (id, Verb::Result),
            [_, id, "status"] => (id, Verb::Status),
            [_, id, "status", "stream"] => (id, Verb::Stream),
            [_, id, "cancel"] => (id, Verb::Cancel),
            _ => return Self::Unknown,
        };
        let expected = if verb == Verb::Cancel {
            Method::PUT
        } else {
            Method::GET
        };
        if *method != expected {
            return Self::WrongMethod;
        }
        Self::FollowUp(FollowUp {
            endpoint_id: owner.join("/"),
            request_id: (*request_id).to_owned(),
            verb,
        })
    }

    fn platform(method: &Method, path: &str) -> Self {
        // The version is part of the host's base address; a caller may or may not count it in.
        let (platform, expected) = match path.strip_prefix("/v1").unwrap_or(path) {
            "/models" => (Platform::Models, Method::GET),
            "/models/pricing" => (Platform::Pricing, Method::GET),
            "/models/pricing/estimate" => (Platform::Estimate, Method::POST),
            "/models/requests/by-endpoint" => (Platform::Listing, Method::GET),
            "/meta" => (Platform::Meta, Method::GET),
            _ => return Self::Unknown,
        };
        if *method == expected {
            Self::Platform(platform)
        } else {
            Self::WrongMethod
        }
    }

    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::Submit(_) => Operation::Submit,
            Self::Run(_) => Operation::Run,
            Self::FollowUp(follow_up) => match follow_up.verb {
                Verb::Status => Operation::Status,
                Verb::Stream => Operation::Stream,
                Verb::Result => Operation::Result,
                Verb::Cancel => Operation::Cancel,
            },
            Self::File(_) => Operation::File,
            Self::OpenApi => Operation::OpenApi,
            Self::Platform(platform) => match platform {
                Platform::Models => Operation::Models,
                Platform::Pricing => Operation::Pricing,
                Platform::Estimate => Operation::Estimate,
                Platform::Listing => Operation::Listing,
                Platform::Meta => Operation::Meta,
            },
            Self::Page(_) => Operation::Page,
            Self::Preflight => Operation::Preflight,
            Self::WrongMethod | Self::Unknown => Operation::Other,
        }
    }
}

fn endpoint(path: &str) -> String {
    path.trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow_up(path: &str, method: Method) -> Option<(String, String, Verb)> {
        match Route::of(&method, Service::Queue, path) {
            Route::FollowUp(FollowUp {
                endpoint_id,
                request_id,
                verb,
            }) => Some((endpoint_id, request_id, verb)),
            _ => None,
        }
    }

    #[test]
    fn all_three_follow_up_forms_are_known() {
        for (path, endpoint, verb) in [
            ("/fal-ai/uso/requests/7", "fal-ai/uso", Verb::Result),
            (
                "/fal-ai/uso/requests/7/response",
                "fal-ai/uso",
                Verb::Result,
            ),
            ("/fal-ai/uso/requests/7/status", "fal-ai/uso", Verb::Status),
            (
                "/fal-ai/uso/requests/7/status/stream",
                "fal-ai/uso",
                Verb::Stream,
            ),
            (
                "/fal-ai/uso/sub/path/requests/7/status",
                "fal-ai/uso/sub/path",
                Verb::Status,
            ),
            ("/workflows/a/b/requests/7", "workflows/a/b", Verb::Result),
        ] {
            let expected = (endpoint.to_owned(), "7".to_owned(), verb);
            assert_eq!(follow_up(path, Method::GET), Some(expected), "{path}");
        }
        assert!(follow_up("/fal-ai/uso/requests/7/cancel", Method::PUT).is_some());
        assert_eq!(
            follow_up("/fal-ai/uso/requests/7/cancel", Method::GET),
            None
        );
        assert_eq!(follow_up("/fal-ai/uso/requests/7/else", Method::GET), None);
    }

    #[test]
    fn the_rest_has_its_places() {
        for (method, service, path, operation) in [
            (
                Method::POST,
                Service::Queue,
                "/fal-ai/uso",
                Operation::Submit,
            ),
            (Method::GET, Service::Queue, "/fal-ai/uso", Operation::Other),
            (Method::POST, Service::Run, "/fal-ai/uso", Operation::Run),
            (
                Method::GET,
                Service::Cdn,
                "/files/b/0/x.png",
                Operation::File,
            ),
            (Method::GET, Service::Cdn, "/else", Operation::Other),
            (
                Method::GET,
                Service::Platform,
                "/v1/models/pricing",
                Operation::Pricing,
            ),
            (Method::GET, Service::Platform, "/models", Operation::Models),
            (
                Method::GET,
                Service::Site,
                "/emulator/ledger",
                Operation::Page,
            ),
            (
                Method::GET,
                Service::Site,
                "/api/openapi/queue/openapi.json",
                Operation::OpenApi,
            ),
            (
                Method::OPTIONS,
                Service::Queue,
                "/fal-ai/uso",
                Operation::Preflight,
            ),
            (Method::POST, Service::Queue, "", Operation::Other),
        ] {
            assert_eq!(
                Route::of(&method, service, path).operation(),
                operation,
                "{path}"
            );
        }
    }
}
