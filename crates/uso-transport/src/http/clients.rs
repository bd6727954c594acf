//! Clients: one connection pool for each lane and scheme, made when first used.

use std::sync::OnceLock;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::RootCertStore;

use super::lanes::{IDLE_CONNECTION, LANES};
use super::tls::{own_roots, tls_config, with_system_roots};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::http_options::{HttpOptions, ProxyChoice, check_proxy_variables, is_http_proxy};
use crate::kind::{ErrorKind, Operation};

/// The connection pools, and the settings that they are made with.
pub(super) struct Clients {
    own_roots: RootCertStore,
    tls: OnceLock<rustls::ClientConfig>,
    connect_within: Duration,
    agent: HeaderValue,
    headers: HeaderMap,
    proxy: Proxy,
    plain: [OnceLock<reqwest::Client>; LANES],
    secure: [OnceLock<reqwest::Client>; LANES],
}

enum Proxy {
    None,
    Environment,
    Url(Box<reqwest::Proxy>),
}

impl Clients {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let options = &config.http;
        let agent = concat!("uso/", env!("CARGO_PKG_VERSION"));
        let agent = options.user_agent.as_deref().unwrap_or(agent);
        let agent = HeaderValue::from_str(agent)
            .map_err(|_| unusable("the user agent has a character that no header may carry"))?;
        let base_urls = config.base_urls.all();
        let stays_here = base_urls.iter().all(|url| url.scheme() == "http");
        let clients = Self {
            own_roots: own_roots(config)?,
            tls: OnceLock::new(),
            connect_within: config.connect_within,
            agent,
            headers: headers(options)?,
            proxy: proxy(&options.proxy, stays_here)?,
            plain: Default::default(),
            secure: Default::default(),
        };
        // The first one now, so that settings that cannot be used are told at once.
        clients.get(0, !stays_here)?;
        Ok(clients)
    }

    /// The client of a lane, for `https` or for `http`.
    pub(super) fn get(&self, lane: usize, is_secure: bool) -> Result<&reqwest::Client> {
        let lanes = match is_secure {
            true => &self.secure,
            false => &self.plain,
        };
        let place = lanes.get(lane).or(lanes.first());
        let place = place.ok_or_else(|| unusable("there is no connection lane"))?;
        match place.get() {
            Some(client) => Ok(client),
            None => {
                let client = self.make(is_secure)?;
                Ok(place.get_or_init(|| client))
            }
        }
    }

    /// The TLS settings. The system's certificates are read only where they are needed.
    fn tls(&self, is_secure: bool) -> Result<rustls::ClientConfig> {
        if !is_secure && matches!(self.proxy, Proxy::None) {
            return tls_config(RootCertStore::empty());
        }
        match self.tls.get() {
            Some(tls) => Ok(tls.clone()),
            None => {
                let tls = tls_config(with_system_roots(self.own_roots.clone())?)?;
                Ok(self.tls.get_or_init(|| tls).clone())
            }
        }
    }

    fn make(&self, is_secure: bool) -> Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls(is_secure)?)
            .connect_timeout(self.connect_within)
            .pool_idle_timeout(IDLE_CONNECTION)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            // Only our own retry decision may send a purchase again.
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(self.agent.clone())
            .default_headers(self.headers.clone());
        builder = match &self.proxy {
            Proxy::None => builder.no_proxy(),
            Proxy::Environment => builder,
            Proxy::Url(proxy) => builder.no_proxy().proxy(reqwest::Proxy::clone(proxy)),
        };
        let built = builder.build();
        built.map_err(|error| unusable("the HTTP client could not be made").with_source(error))
    }
}

fn unusable(message: &str) -> Error {
    Error::new(Operation::Configure, ErrorKind::Config, message)
}

fn proxy(choice: &ProxyChoice, stays_here: bool) -> Result<Proxy> {
    match choice {
        ProxyChoice::None => Ok(Proxy::None),
        // Clear text is for this machine only, which a proxy could not reach.
        ProxyChoice::Environment if stays_here => Ok(Proxy::None),
        ProxyChoice::Environment => {
            check_proxy_variables(|name| std::env::var(name).ok())?;
            Ok(Proxy::Environment)
        }
        ProxyChoice::Url(url) if is_http_proxy(url) => {
            // The URL may have a password, so that the cause is not kept either.
            let proxy = reqwest::Proxy::all(url.as_str());
            let proxy = proxy.map_err(|_| unusable("the proxy's URL cannot be used"))?;
            Ok(Proxy::Url(Box::new(proxy)))
        }
        ProxyChoice::Url(_) => {
            let message = "the proxy's URL is not of the form http://host:port";
            Err(unusable(message))
        }
    }
}

/// The further headers of every request.
fn headers(options: &HttpOptions) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.headers {
        let refuse = || unusable(&format!("the header {name:?} cannot be sent"));
        let key = HeaderName::try_from(name).map_err(|_| refuse())?;
        let mut value = HeaderValue::try_from(value).map_err(|_| refuse())?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}
