//! HTTP options: proxy, user agent, further headers, and time limits per operation.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use url::Url;

use crate::error::{Error, Result};
use crate::kind::{ErrorKind, Operation};

/// Options of the HTTP layer, for [`Config::http`](crate::Config::http).
///
/// Values are checked when the client is made, which then ends with [`ErrorKind::Config`].
///
/// ```
/// use std::time::Duration;
/// # use uso_transport::{HttpOptions, Operation};
///
/// let options = HttpOptions::new()
///     .proxy("http://proxy.example:3128")
///     .user_agent("my-service/1.0")
///     .header("x-trace", "abc")
///     .timeout(Operation::Status, Duration::from_secs(10));
/// ```
#[derive(Clone, Default)]
pub struct HttpOptions {
    pub(crate) proxy: ProxyChoice,
    pub(crate) user_agent: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    timeouts: HashMap<Operation, Duration>,
}

/// Which proxy requests go through.
#[derive(Clone, Default)]
pub(crate) enum ProxyChoice {
    /// The one that the environment names.
    #[default]
    Environment,
    Url(String),
    None,
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's URL may have a password, and a header may be a credential.
        f.debug_struct("HttpOptions")
            .field("user_agent", &self.user_agent)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

impl HttpOptions {
    /// The defaults: the proxy of the environment, and the crate's user agent.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends every request through this HTTP proxy, `http://` or `https://`, whatever the
    /// environment says.
    ///
    /// Without this option, `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count, in
    /// capitals or in lower case. `HTTPS_PROXY` is for `https` URLs, as all of fal's are. A client
    /// all of whose base URLs are `http` on this machine uses no proxy.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = ProxyChoice::Url(url.into());
        self
    }

    /// Sends every request directly, whatever the environment says.
    #[must_use]
    pub fn without_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::None;
        self
    }

    /// The `User-Agent` of every request. Default: `uso/` and the version.
    #[must_use]
    pub fn user_agent(mut self, text: impl Into<String>) -> Self {
        self.user_agent = Some(text.into());
        self
    }

    /// A further header of every request, downloads included. A header that the protocol sets
    /// itself keeps the protocol's value.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The longest time for one HTTP attempt of this operation, in place of
    /// [`Config::answer_within`](crate::Config::answer_within). For a stream and a download the
    /// time counts until the response begins.
    #[must_use]
    pub fn timeout(mut self, operation: Operation, limit: Duration) -> Self {
        self.timeouts.insert(operation, limit);
        self
    }

    pub(crate) fn timeout_of(&self, operation: Operation) -> Option<Duration> {
        self.timeouts.get(&operation).copied()
    }
}

/// Refuses environment variables whose proxy the client could not use: going out directly instead
/// would pass by a proxy that is there on purpose.
pub(crate) fn check_proxy_variables(variable: impl Fn(&str) -> Option<String>) -> Result<()> {
    for pair in [
        ["HTTPS_PROXY", "https_proxy"],
        ["HTTP_PROXY", "http_proxy"],
        ["ALL_PROXY", "all_proxy"],
    ] {
        let values = pair
            .into_iter()
            .filter_map(|name| Some((name, variable(name)?)));
        if let Some((name, value)) = values.into_iter().find(|(_, value)| !value.is_empty())
            && !is_http_proxy(&value)
        {
            // The value may have a password and is not quoted.
            let message = format!("the proxy in {name} cannot be used");
            return Err(Error::new(Operation::Configure, ErrorKind::Config, message).with_hint(
                format!("set {name} to http://host:port, with user:password@ where the proxy wants it, or unset it"),
            ));
        }
    }
    Ok(())
}

/// Whether the text is the address of an HTTP proxy; a scheme may be missing, and is then `http`.
pub(crate) fn is_http_proxy(text: &str) -> bool {
    let with_scheme = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let url = Url::parse(&with_scheme);
    url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        && text.parse::<http::Uri>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_proxy_is_refused_by_the_name_of_its_variable_only() {
        for value in [
            "http://user:secret@proxy:port",
            "socks5://secret:1080",
            "http://",
            "secret proxy:3128",
            "http://[secret",
        ] {
            for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"] {
                let set = |asked: &str| (asked == name).then(|| value.to_owned());
                let error = check_proxy_variables(set).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(error.to_string().contains(name), "{error}");
                assert!(!format!("{error:?}").contains("secret"), "{error:?}");
            }
        }
    }

    #[test]
    fn usable_and_empty_variables_pass() {
        for value in [
            "",
            "proxy:3128",
            "proxy.example",
            "http://user:pass@proxy:3128",
            "https://10.0.0.1:8443",
            "http://[::1]:3128/",
        ] {
            assert!(
                check_proxy_variables(|_| Some(value.to_owned())).is_ok(),
                "{value}"
            );
        }
        assert!(check_proxy_variables(|_| None).is_ok());
    }
}
