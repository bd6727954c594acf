//! Headers that are passed on, in both directions.

use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, DATE, RETRY_AFTER,
    USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The target URL; responses vary by it, since all of them share the proxy's one URL.
pub(crate) const TARGET_URL: HeaderName = HeaderName::from_static("x-fal-target-url");

const CLIENT_PROXY: HeaderName = HeaderName::from_static("x-fal-client-proxy");
const DISABLE_FALLBACK: HeaderName = HeaderName::from_static("x-app-fal-disable-fallback");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const CDN_TOKEN: HeaderName = HeaderName::from_static("x-fal-cdn-token");

const NAME: HeaderValue =
    HeaderValue::from_static(concat!("uso-proxy/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Headers that a page may set: they concern its own request in the queue, and nothing of the
/// account. A header that is not listed may one day spend money or open data.
const PAGES: [HeaderName; 8] = [
    ACCEPT,
    USER_AGENT,
    DISABLE_FALLBACK,
    HeaderName::from_static("x-fal-no-retry"),
    HeaderName::from_static("x-fal-queue-priority"),
    HeaderName::from_static("x-fal-request-start-timeout"),
    HeaderName::from_static("x-fal-request-timeout"),
    HeaderName::from_static("x-fal-runner-hint"),
];

/// Headers that a page may not set, since the account decides them.
const ACCOUNTS: [&str; 6] = [
    // Without the stored payload a purchase whose answer was lost cannot be found again, and a
    // result is gone after minutes.
    "x-fal-store-io",
    // How long files are kept, and who may read them.
    "x-fal-object-lifecycle",
    "x-fal-object-lifecycle-preference",
    // What the bill is filed under.
    "x-fal-tags",
    // Which team pays.
    "x-fal-user-id",
    // How often the account's own apps are run again.
    "x-fal-retry-config",
];

/// Why a request's headers are refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The account's to decide.
    Reserved(HeaderName),
    /// Given more than once.
    Repeated(HeaderName),
}

/// Whether a page may send this header to the proxy, which may drop it.
pub(crate) fn is_known(name: &HeaderName) -> bool {
    [ACCEPT, CONTENT_TYPE, USER_AGENT, DISABLE_FALLBACK].contains(name)
        || name.as_str().starts_with("x-fal-")
}

/// The headers of a request that go to the service.
pub(crate) fn passed_on(headers: &HeaderMap) -> Result<HeaderMap, Problem> {
    let mut passed = HeaderMap::new();
    for name in headers.keys() {
        if ACCOUNTS.contains(&name.as_str()) {
            return Err(Problem::Reserved(name.clone()));
        }
        if !PAGES.contains(name) {
            continue;
        }
        let mut values = headers.get_all(name).iter();
        if let Some(value) = values.next() {
            passed.insert(name.clone(), value.clone());
        }
        if values.next().is_some() {
            return Err(Problem::Repeated(name.clone()));
        }
    }
    passed.entry(ACCEPT).or_insert(JSON);
    passed.insert(CLIENT_PROXY, NAME);
    Ok(passed)
}

/// The headers of the service's response that go to the page.
///
/// Any header that does not concern the body or the request is dropped: browsers would take cookies,
/// redirects and security policies of the service's host for the proxy's own.
pub(crate) fn handed_back(headers: &HeaderMap) -> HeaderMap {
    let about_the_response = [
        CONTENT_DISPOSITION,
        CONTENT_ENCODING,
        CONTENT_TYPE,
        DATE,
        RETRY_AFTER,
    ];
    let mut handed = HeaderMap::new();
    for (name, value) in headers {
        let is_fals = name.as_str().starts_with("x-fal-") && *name != CDN_TOKEN;
        if is_fals || about_the_response.contains(name) {
            handed.append(name.clone(), value.clone());
        }
    }
    // All responses share one URL, so no cache may keep them.
    handed.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if is_event_stream(headers) {
        // Some web servers in front buffer a response unless told otherwise.
        handed.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    handed
}

pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// The only value of a header; `None` when there is none, or more than one.
pub(crate) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name, value);
        }
        map
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn headers_of_the_client_are_passed_on_and_none_of_the_browser() {
        let passed = passed_on(&map(&[
            ("accept", "text/event-stream"),
            ("content-type", "application/json"),
            ("user-agent", "a browser"),
            ("x-fal-queue-priority", "low"),
            ("x-fal-request-timeout", "30"),
            ("x-fal-runner-hint", "a"),
            ("x-fal-no-retry", "1"),
            ("x-fal-of-tomorrow", "1"),
            ("x-fal-webhook", "https://evil.example"),
            ("x-fal-cdn-token", "secret"),
            ("x-app-fal-disable-fallback", "true"),
            ("x-fal-target-url", "https://queue.fal.run/fal-ai/uso"),
            ("x-fal-client-proxy", "another proxy"),
            ("authorization", "Key id:secret"),
            ("cookie", "session=1"),
            ("origin", "https://app.example"),
            ("referer", "https://app.example/private"),
            ("x-forwarded-for", "10.0.0.1"),
            ("accept-encoding", "gzip"),
        ]))
        .unwrap();
        assert_eq!(
            names(&passed),
            [
                "accept",
                "user-agent",
                "x-app-fal-disable-fallback",
                "x-fal-client-proxy",
                "x-fal-no-retry",
                "x-fal-queue-priority",
                "x-fal-request-timeout",
                "x-fal-runner-hint",
            ]
        );
        assert_eq!(passed[ACCEPT], "text/event-stream");
        assert_eq!(passed[CLIENT_PROXY], NAME);
    }

    #[test]
    fn a_header_of_the_account_and_a_repeated_one_are_refused() {
        for name in ACCOUNTS {
            let found = passed_on(&map(&[(name, "1")]));
            assert_eq!(found, Err(Problem::Reserved(HeaderName::from_static(name))));
        }
        let twice = map(&[
            ("x-fal-request-timeout", "1"),
            ("x-fal-request-timeout", "9"),
        ]);
        assert!(matches!(passed_on(&twice), Err(Problem::Repeated(_))));
    }

    #[test]
    fn policies_of_the_service_are_dropped() {
        let handed = handed_back(&map(&[
            ("content-type", "text/event-stream; charset=utf-8"),
            ("content-encoding", "gzip"),
            ("content-length", "7"),
            ("transfer-encoding", "chunked"),
            ("connection", "keep-alive"),
            ("set-cookie", "a=1"),
            ("location", "https://elsewhere.example/"),
            ("strict-transport-security", "max-age=1"),
            ("access-control-allow-origin", "*"),
            ("cache-control", "public, max-age=600"),
            ("x-fal-request-id", "r-1"),
            ("x-fal-cdn-token", "secret"),
            ("retry-after", "3"),
        ]));
        assert_eq!(
            names(&handed),
            [
                "cache-control",
                "content-encoding",
                "content-type",
                "retry-after",
                "x-accel-buffering",
                "x-fal-request-id",
            ]
        );
        assert_eq!(handed[CACHE_CONTROL], "no-store");
    }
}
