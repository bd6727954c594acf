//! Routes: a pure function of method, host and path.

use http::Method;

use super::address::Service;
use crate::pages::page::Page;
use crate::scenario::Operation;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Submit to the queue or run at once; the whole endpoint id.
    Submit(String),
    Run(String),
    /// A run that is answered as a stream of events.
    RunStream(String),
    FollowUp(FollowUp),
    File(String),
    Storage(Storage),
    OpenApi,
    Jwks,
    Listing,
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

/// Uploads and what belongs to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// Against the key, for a presigned address.
    Initiate,
    InitiateMultipart,
    /// Against the key, for a token of the CDN.
    Token,
    /// To a presigned address.
    Put {
        upload: String,
    },
    Part {
        upload: String,
        number: u32,
    },
    PartAddress {
        upload: String,
        number: u32,
    },
    Complete {
        upload: String,
    },
    /// With the token.
    Direct,
    DirectMultipart,
    DirectPart {
        path: String,
        upload: String,
        number: u32,
    },
    DirectComplete {
        path: String,
        upload: String,
    },
    Sign {
        path: String,
    },
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
            Service::Run if method == Method::POST => match path.strip_suffix("/stream") {
                Some(path) if path.len() > 1 => Self::RunStream(endpoint(path)),
                _ => Self::Run(endpoint(path)),
            },
            Service::Run => Self::WrongMethod,
            Service::Cdn if reads && path.starts_with("/files/") => Self::File(path.to_owned()),
            Service::Cdn => Self::cdn(method, path),
            Service::Rest => Self::rest(method, path),
            Service::Platform => Self::platform(method, path),
            Service::Site if reads => match path {
                "/api/openapi/queue/openapi.json" => Self::OpenApi,
                _ => Page::of(path).map_or(Self::Unknown, Self::Page),
            },
            Service::Site => Self::Unknown,
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

    fn rest(method: &Method, path: &str) -> Self {
        let storage = match path {
            "/storage/upload/initiate" => Storage::Initiate,
            "/storage/upload/initiate-multipart" => Storage::InitiateMultipart,
            "/storage/auth/token" => Storage::Token,
            "/.well-known/jwks.json" if method == Method::GET => return Self::Jwks,
            "/.well-known/jwks.json" => return Self::WrongMethod,
            _ => return Self::Unknown,
        };
        if method == Method::POST {
            Self::Storage(storage)
        } else {
            Self::WrongMethod
        }
    }

    fn cdn(method: &Method, path: &str) -> Self {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let puts = method == Method::PUT;
        let posts = method == Method::POST;
        if !puts && !posts {
            return Self::WrongMethod;
        }
        let part = |text: &str| {
            text.parse::<u32>()
                .ok()
                .filter(|n| (1..=10_000).contains(n))
        };
        let storage = match *segments {
            ["uploads", upload] if puts => Storage::Put {
                upload: upload.to_owned(),
            },
            ["uploads", upload, "complete"] if posts => Storage::Complete {
                upload: upload.to_owned(),
            },
            ["uploads", upload, number] => match part(number) {
                Some(number) if puts => Storage::Part {
                    upload: upload.to_owned(),
                    number,
                },
                Some(number) => Storage::PartAddress {
                    upload: upload.to_owned(),
                    number,
                },
                None => return Self::Unknown,
            },
            ["files", "upload"] if posts => Storage::Direct,
            ["files", "upload", "multipart"] if posts => Storage::DirectMultipart,
            ["files", store, folder, name, "multipart", upload, last] => {
                let path = format!("/files/{store}/{folder}/{name}");
                let upload = upload.to_owned();
                match part(last) {
                    Some(number) if puts => Storage::DirectPart {
                        path,
                        upload,
                        number,
                    },
                    None if posts && last == "complete" => Storage::DirectComplete { path, upload },
                    _ => return Self::Unknown,
                }
            }
            ["files", store, folder, name, "sign"] if posts => Storage::Sign {
                path: format!("/files/{store}/{folder}/{name}"),
            },
            _ => return Self::Unknown,
        };
        Self::Storage(storage)
    }

    fn platform(method: &Method, path: &str) -> Self {
        // The version is part of the host's base address; a caller may or may not count it in.
        match path.strip_prefix("/v1").unwrap_or(path) {
            "/models/requests/by-endpoint" if *method == Method::GET => Self::Listing,
            "/models/requests/by-endpoint" => Self::WrongMethod,
            _ => Self::Unknown,
        }
    }

    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::Submit(_) => Operation::Submit,
            Self::Run(_) | Self::RunStream(_) => Operation::Run,
            Self::FollowUp(follow_up) => match follow_up.verb {
                Verb::Status => Operation::Status,
                Verb::Stream => Operation::Stream,
                Verb::Result => Operation::Result,
                Verb::Cancel => Operation::Cancel,
            },
            Self::File(_) => Operation::File,
            Self::Storage(storage) => match storage {
                Storage::Initiate | Storage::InitiateMultipart | Storage::DirectMultipart => {
                    Operation::Initiate
                }
                Storage::Token => Operation::Token,
                Storage::Put { .. } | Storage::Direct => Operation::Upload,
                Storage::Part { .. } | Storage::PartAddress { .. } | Storage::DirectPart { .. } => {
                    Operation::Part
                }
                Storage::Complete { .. } | Storage::DirectComplete { .. } => Operation::Complete,
                Storage::Sign { .. } => Operation::Sign,
            },
            Self::OpenApi => Operation::OpenApi,
            Self::Jwks => Operation::Jwks,
            Self::Listing => Operation::Listing,
            Self::Page(_) => Operation::Page,
            Self::Preflight => Operation::Preflight,
            Self::WrongMethod | Self::Unknown => Operation::Other,
        }
    }
}

impl Route {
    /// Whether a page that is open in a browser asks by itself, over and over.
    pub(super) fn is_of_the_live_page(&self) -> bool {
        matches!(self, Self::Page(page) if page.is_of_the_live_page())
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
                Method::POST,
                Service::Rest,
                "/storage/upload/initiate",
                Operation::Initiate,
            ),
            (Method::PUT, Service::Cdn, "/uploads/7", Operation::Upload),
            (Method::PUT, Service::Cdn, "/uploads/7/3", Operation::Part),
            (Method::PUT, Service::Cdn, "/uploads/7/0", Operation::Other),
            (
                Method::POST,
                Service::Cdn,
                "/uploads/7/complete",
                Operation::Complete,
            ),
            (
                Method::POST,
                Service::Cdn,
                "/files/upload",
                Operation::Upload,
            ),
            (
                Method::PUT,
                Service::Cdn,
                "/files/b/0/x.png/multipart/7/1",
                Operation::Part,
            ),
            (
                Method::POST,
                Service::Cdn,
                "/files/b/0/x.png/multipart/7/complete",
                Operation::Complete,
            ),
            (
                Method::GET,
                Service::Platform,
                "/v1/models/requests/by-endpoint",
                Operation::Listing,
            ),
            (Method::GET, Service::Platform, "/models", Operation::Other),
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
