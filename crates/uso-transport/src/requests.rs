//! Requests of the protocol, as values.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use url::{Position, Url};

use crate::config::Config;
use crate::endpoint::EndpointId;
use crate::order::Order;
use crate::ticket::Ticket;

/// A request, before it is sent. The URL is kept as it was made: `http::Request` would have it
/// parsed twice more.
pub(crate) struct Request<B> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: B,
}

impl<B> Request<B> {
    pub(crate) fn map<C>(self, change: impl FnOnce(B) -> C) -> Request<C> {
        Request {
            method: self.method,
            url: self.url,
            headers: self.headers,
            body: change(self.body),
        }
    }
}

/// Which of a job's follow-up URLs is meant.
#[derive(Clone, Copy)]
enum FollowUp {
    Status,
    Stream,
    Result,
    Cancel,
}

/// Builds every request of the protocol from the settings.
pub(crate) struct Requests<'a> {
    config: &'a Config,
}

impl<'a> Requests<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self { config }
    }

    pub(crate) fn submit(&self, order: &Order) -> Request<Bytes> {
        let mut url = purchase_url(&self.config.base_urls.queue, order);
        if let Some(webhook) = order.webhook() {
            let address = webhook.url().as_str();
            url.query_pairs_mut().append_pair("fal_webhook", address);
        }
        self.purchase(url, order)
    }

    pub(crate) fn run(&self, order: &Order) -> Request<Bytes> {
        self.purchase(purchase_url(&self.config.base_urls.run, order), order)
    }

    fn purchase(&self, url: Url, order: &Order) -> Request<Bytes> {
        let mut request = self.request(Method::POST, url, order.input().clone());
        for (name, value) in order.headers() {
            request.headers.insert(name, value.clone());
        }
        request
    }

    /// A page of at most `length` requests of the account, with their inputs.
    pub(crate) fn listing(
        &self,
        endpoint: &EndpointId,
        since: SystemTime,
        length: u16,
        cursor: Option<&str>,
    ) -> Request<Bytes> {
        let path = ["v1", "models", "requests", "by-endpoint"];
        let mut url = extend(&self.config.base_urls.platform, path);
        url.query_pairs_mut()
            .append_pair("endpoint_id", endpoint.as_str())
            .append_pair(
                "start",
                &humantime::format_rfc3339_seconds(since).to_string(),
            )
            .append_pair("expand", "payloads")
            .append_pair("limit", &length.to_string())
            .extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
        self.request(Method::GET, url, Bytes::new())
    }

    pub(crate) fn status(&self, ticket: &Ticket, logs: bool) -> Request<Bytes> {
        let mut url = self.follow_up(ticket, FollowUp::Status);
        url.set_query(Some(logs_query(logs)));
        self.request(Method::GET, url, Bytes::new())
    }

    pub(crate) fn stream(&self, ticket: &Ticket, logs: bool) -> Request<Bytes> {
        let mut url = self.follow_up(ticket, FollowUp::Stream);
        url.set_query(Some(logs_query(logs)));
        let mut request = self.request(Method::GET, url, Bytes::new());
        let events = HeaderValue::from_static("text/event-stream");
        request.headers.insert(ACCEPT, events);
        request
    }

    pub(crate) fn result(&self, ticket: &Ticket) -> Request<Bytes> {
        self.request(
            Method::GET,
            self.follow_up(ticket, FollowUp::Result),
            Bytes::new(),
        )
    }

    pub(crate) fn cancel(&self, ticket: &Ticket) -> Request<Bytes> {
        self.request(
            Method::PUT,
            self.follow_up(ticket, FollowUp::Cancel),
            Bytes::new(),
        )
    }

    /// The URL that the server gave, if its origin is the configured one; otherwise the one that
    /// the id makes. The key goes nowhere else.
    fn follow_up(&self, ticket: &Ticket, which: FollowUp) -> Url {
        let queue = &self.config.base_urls.queue;
        let (given, extra): (_, &[&str]) = match which {
            FollowUp::Status => (ticket.status_url(), &[]),
            FollowUp::Stream => (ticket.status_url(), &["stream"]),
            FollowUp::Result => (ticket.response_url(), &[]),
            FollowUp::Cancel => (ticket.cancel_url(), &[]),
        };
        let origin = &queue[..Position::BeforePath];
        let given = given.and_then(|given| Url::parse(given).ok());
        if let Some(given) = given.filter(|given| &given[..Position::BeforePath] == origin) {
            let mut url = match extra {
                [] => given,
                extra => extend(&given, extra.iter().copied()),
            };
            url.set_fragment(None);
            return url;
        }
        let made: &[&str] = match which {
            FollowUp::Status => &["status"],
            FollowUp::Stream => &["status", "stream"],
            FollowUp::Result => &[],
            FollowUp::Cancel => &["cancel"],
        };
        let job = ticket
            .endpoint()
            .app()
            .split('/')
            .chain(["requests", ticket.request_id()]);
        extend(queue, job.chain(made.iter().copied()))
    }

    /// The public keys of webhooks, which need no key of ours.
    pub(crate) fn jwks(&self, at: Option<&Url>) -> Request<Bytes> {
        let published = || {
            let path = [".well-known", "jwks.json"];
            extend(&self.config.base_urls.rest, path)
        };
        let url = at.cloned().unwrap_or_else(published);
        plain_request(Method::GET, url, Bytes::new())
    }

    pub(crate) fn request(&self, method: Method, url: Url, body: Bytes) -> Request<Bytes> {
        let has_body = !body.is_empty();
        let mut request = plain_request(method, url, body);
        let headers = &mut request.headers;
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(key) = self.config.key.header() {
            headers.insert(AUTHORIZATION, key);
        }
        request
    }
}

/// A request without the key, as files are fetched and sent.
pub(crate) fn plain_request<B>(method: Method, url: Url, body: B) -> Request<B> {
    Request {
        method,
        url,
        headers: HeaderMap::new(),
        body,
    }
}

fn logs_query(logs: bool) -> &'static str {
    if logs { "logs=1" } else { "logs=0" }
}

fn purchase_url(base: &Url, order: &Order) -> Url {
    extend(base, order.intent().endpoint().as_str().split('/'))
}

/// A URL with more segments in its path; its query stays.
pub(crate) fn extend<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base_urls::BaseUrls;
    use crate::key::ApiKey;

    fn config() -> Config {
        Config::new(ApiKey::new("id:secret").unwrap(), BaseUrls::fal().unwrap())
    }

    fn ticket(status_url: &str) -> Ticket {
        Ticket::for_request("fal-ai/flux/dev".parse().unwrap(), "r-1")
            .unwrap()
            .with_urls(Some(status_url.to_owned()), None, None)
    }

    #[test]
    fn follow_ups_use_the_servers_url_on_its_own_origin_only() {
        let config = config();
        let requests = Requests::new(&config);
        let stream = |given: &str| requests.stream(&ticket(given), true).url.to_string();
        let given = "https://queue.fal.run/somewhere/else/r-1/status";
        assert_eq!(
            stream(given),
            "https://queue.fal.run/somewhere/else/r-1/status/stream?logs=1"
        );
        let made = "https://queue.fal.run/fal-ai/flux/requests/r-1/status/stream?logs=1";
        for foreign in [
            "https://queue.fal.run.example/r-1/status",
            "http://queue.fal.run/r-1/status",
            "https://queue.fal.run:8443/r-1/status",
            "https://user@queue.fal.run/r-1/status",
            "not a url",
        ] {
            assert_eq!(stream(foreign), made, "{foreign}");
        }
    }
}
