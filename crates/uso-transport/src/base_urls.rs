//! Base URLs of fal's services, and the hosts that may receive the key.

use url::Url;

use crate::confidential::is_this_machine;
use crate::error::{Error, Result};
use crate::kind::{ErrorKind, Operation};

/// Base URL of each of fal's services.
///
/// The key is sent to `run`, `queue`, `rest` and `platform` and to no other origin; `cdn` never
/// sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrls {
    pub(crate) run: Url,
    pub(crate) queue: Url,
    pub(crate) rest: Url,
    pub(crate) cdn: Url,
    pub(crate) platform: Url,
}

impl BaseUrls {
    /// fal's own hosts: `fal.run`, `queue.fal.run`, `rest.fal.ai`, `v3.fal.media`, `api.fal.ai`.
    ///
    /// # Errors
    ///
    /// None in practice: the addresses are constants.
    pub fn fal() -> Result<Self> {
        Self::for_hosts("fal.run", "queue.fal.run")
    }

    /// Base URLs below one origin that serves all of fal's hosts under the prefixes `/run`, `/queue`,
    /// `/rest`, `/cdn` and `/platform`, as the emulator does, or a gateway of one's own.
    ///
    /// ```
    /// # use uso_transport::BaseUrls;
    /// let urls = BaseUrls::single_origin("http://127.0.0.1:7700")?;
    /// assert_eq!(urls.queue().as_str(), "http://127.0.0.1:7700/queue");
    /// # Ok::<(), uso_transport::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when it is not an `https` URL, or an `http` URL of this machine.
    pub fn single_origin(base: &str) -> Result<Self> {
        let base = base_url("base URL", base)?;
        let prefixed = |prefix: &str| {
            let mut url = base.clone();
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty().push(prefix);
            }
            url
        };
        Ok(Self {
            run: prefixed("run"),
            queue: prefixed("queue"),
            rest: prefixed("rest"),
            cdn: prefixed("cdn"),
            platform: prefixed("platform"),
        })
    }

    /// fal's hosts with other names for run and queue, as `FAL_RUN_HOST` and
    /// `FAL_QUEUE_RUN_HOST` give them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when `https://{host}` is not a usable URL.
    pub fn for_hosts(run: &str, queue: &str) -> Result<Self> {
        let host = |name: &str, host: &str| base_url(name, &format!("https://{host}"));
        Ok(Self {
            run: host("run host", run)?,
            queue: host("queue host", queue)?,
            rest: host("rest host", "rest.fal.ai")?,
            cdn: host("CDN host", "v3.fal.media")?,
            platform: host("platform host", "api.fal.ai")?,
        })
    }

    /// The hosts that the environment names: `USO_BASE_URL` for one origin, or `FAL_RUN_HOST` and
    /// `FAL_QUEUE_RUN_HOST` (`queue.{FAL_RUN_HOST}` when it is not set); else fal's own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when a value is unusable.
    pub fn from_vars(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        if let Some(base) = set("USO_BASE_URL") {
            return Self::single_origin(base.trim());
        }
        let run = set("FAL_RUN_HOST").unwrap_or_else(|| "fal.run".to_owned());
        let queue = set("FAL_QUEUE_RUN_HOST").unwrap_or_else(|| format!("queue.{run}"));
        Self::for_hosts(run.trim(), queue.trim())
    }

    /// The queue: submit, status, result, cancel.
    pub fn queue(&self) -> &Url {
        &self.queue
    }

    /// The synchronous run.
    pub fn run(&self) -> &Url {
        &self.run
    }

    /// Uploads and tokens.
    pub fn rest(&self) -> &Url {
        &self.rest
    }

    /// Files.
    pub fn cdn(&self) -> &Url {
        &self.cdn
    }

    /// Whether a URL is the CDN's own, which knows its token: results are files there.
    pub fn is_on_cdn(&self, url: &Url) -> bool {
        const NAME: &str = "fal.media";
        let is_fals = |url: &Url| {
            let host = url.host_str().unwrap_or_default();
            let label = host.strip_suffix(NAME);
            url.scheme() == "https"
                && label.is_some_and(|label| label.is_empty() || label.ends_with('.'))
        };
        url.origin() == self.cdn.origin() || (is_fals(url) && is_fals(&self.cdn))
    }

    /// Prices and the listing of requests.
    pub fn platform(&self) -> &Url {
        &self.platform
    }

    pub(crate) fn all(&self) -> [&Url; 5] {
        [
            &self.run,
            &self.queue,
            &self.rest,
            &self.cdn,
            &self.platform,
        ]
    }
}

/// A base URL that may be given the key: `https`, or `http` where it cannot leave the machine.
fn base_url(name: &str, text: &str) -> Result<Url> {
    let refuse = |why: &str| {
        Error::new(
            Operation::Configure,
            ErrorKind::Config,
            format!("the {name} {text:?} {why}"),
        )
        .with_hint("give it as https://host, or as http://127.0.0.1:port for this machine")
    };
    let url = Url::parse(text).map_err(|_| refuse("is not a URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        let why = "must not carry a user or a password";
        return Err(Error::new(
            Operation::Configure,
            ErrorKind::Config,
            format!("the {name} {why}"),
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("must have neither query nor fragment"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_this_machine(&url) => Ok(url),
        "http" => Err(refuse(
            "would send the key in clear text to another machine",
        )),
        _ => Err(refuse("is neither https nor http")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_stays_on_this_machine() {
        for base in [
            "http://localhost:1",
            "http://127.8.0.1:1/fal/",
            "http://[::1]:1",
            "https://gateway.example",
        ] {
            assert!(BaseUrls::single_origin(base).is_ok(), "{base}");
        }
        for base in [
            "http://gateway.example",
            "http://a.localhost:1",
            "ftp://127.0.0.1",
            "gateway",
            "https://a:b@host",
            "https://h/?q",
            "http://127.0.0.1.example",
        ] {
            assert!(BaseUrls::single_origin(base).is_err(), "{base}");
        }
        let urls = BaseUrls::single_origin("http://127.0.0.1:1/fal/").unwrap();
        assert_eq!(urls.queue().as_str(), "http://127.0.0.1:1/fal/queue");
    }
}
