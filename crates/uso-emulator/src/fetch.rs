//! Fetches references as the service would: http, https and data URIs, bounded in every way.
//!
//! Unlike the service it also fetches from loopback and private addresses, because that is where
//! tests have their pictures. Its own CDN is read directly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_url::DataUrl;
use http::header::{ACCEPT, HOST, LOCATION, USER_AGENT};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use url::{Position, Url};

use crate::clock::Moment;
use crate::files::Files;

/// fal's cap on pictures.
const MAX_BYTES: usize = 50 << 20;
const MAX_REDIRECTS: usize = 5;
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) enum Unfetched {
    /// It could not be downloaded.
    Download(String),
    /// A data URI that is not one.
    Data(String),
}

pub(crate) struct Fetcher {
    files: Arc<Files>,
    own: SocketAddr,
    tls: OnceCell<TlsConnector>,
}

impl Fetcher {
    pub(crate) fn new(files: Arc<Files>, own: SocketAddr) -> Self {
        Self {
            files,
            own,
            tls: OnceCell::new(),
        }
    }

    pub(crate) async fn fetch(&self, reference: &str, now: Moment) -> Result<Bytes, Unfetched> {
        if reference
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("data:"))
        {
            return inline(reference);
        }
        match tokio::time::timeout(TIMEOUT, self.download(reference, now)).await {
            Ok(result) => result.map_err(Unfetched::Download),
            Err(_) => Err(Unfetched::Download("timed out".to_owned())),
        }
    }

    async fn download(&self, reference: &str, now: Moment) -> Result<Bytes, String> {
        let mut url = Url::parse(reference).map_err(|error| error.to_string())?;
        for _ in 0..=MAX_REDIRECTS {
            if let Some(path) = self.own_file(&url) {
                return self
                    .files
                    .get(&path, now)
                    .map(|file| file.bytes())
                    .ok_or_else(|| "HTTP status 404".to_owned());
            }
            let response = self.get(&url).await?;
            let status = response.status();
            if status.is_redirection()
                && let Some(to) = response
                    .headers()
                    .get(LOCATION)
                    .and_then(|to| to.to_str().ok())
            {
                url = url.join(to).map_err(|error| error.to_string())?;
                continue;
            }
            if !status.is_success() {
                return Err(format!("HTTP status {}", status.as_u16()));
            }
            return match Limited::new(response.into_body(), MAX_BYTES)
                .collect()
                .await
            {
                Ok(body) => Ok(body.to_bytes()),
                Err(error) => Err(error.to_string()),
            };
        }
        Err(format!("more than {MAX_REDIRECTS} redirects"))
    }

    /// The CDN path of a URL that leads to this emulator.
    pub(crate) fn own_file(&self, url: &Url) -> Option<String> {
        let host = url.host_str()?;
        if matches!(host, "v3.fal.media" | "v3b.fal.media") {
            return Some(url.path().to_owned());
        }
        let own = url.port_or_known_default() == Some(self.own.port())
            && (host == "localhost" || host == self.own.ip().to_string());
        own.then(|| url.path().strip_prefix("/cdn"))
            .flatten()
            .map(str::to_owned)
    }

    async fn get(&self, url: &Url) -> Result<Response<Incoming>, String> {
        let request = Request::get("/")
            .header(ACCEPT, "image/*,*/*;q=0.8")
            .header(USER_AGENT, "Mozilla/5.0 (compatible; uso-emulator)")
            .body(Bytes::new())
            .map_err(|error| error.to_string())?;
        self.send(url, request).await
    }

    /// Sends a request to a URL, whose path and host it then has; redirects are not followed.
    pub(crate) async fn send(
        &self,
        url: &Url,
        request: Request<Bytes>,
    ) -> Result<Response<Incoming>, String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("unsupported scheme {}", url.scheme()));
        }
        let host = url.host_str().ok_or("no host in the address")?;
        let port = url
            .port_or_known_default()
            .ok_or("no port in the address")?;
        // Brackets belong to an IPv6 address in a URL, not to its name.
        let name = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let tcp = TcpStream::connect((name.as_str(), port))
            .await
            .map_err(|error| error.to_string())?;
        if url.scheme() == "http" {
            return exchange(tcp, url, request).await;
        }
        let connector = self.tls.get_or_try_init(connector).await?;
        let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
        let tls = connector
            .connect(name, tcp)
            .await
            .map_err(|error| error.to_string())?;
        exchange(tls, url, request).await
    }
}

/// Loading the system's certificates takes a while, so it waits for the first https URL.
async fn connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // One unreadable certificate must not take the others with it.
        let _ = roots.add(certificate);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn inline(reference: &str) -> Result<Bytes, Unfetched> {
    let wrong = |why: &str| Unfetched::Data(why.to_owned());
    let url = DataUrl::process(reference).map_err(|_| wrong("not a data URI"))?;
    let (bytes, _) = url.decode_to_vec().map_err(|_| wrong("not valid base64"))?;
    if bytes.len() > MAX_BYTES {
        return Err(wrong("larger than 50 MiB"));
    }
    Ok(bytes.into())
}

async fn exchange<S>(
    stream: S,
    url: &Url,
    request: Request<Bytes>,
) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let explain = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(explain)?;
    tokio::spawn(connection);
    let mut request = request.map(Full::new);
    let target = url[Position::BeforePath..Position::AfterQuery].parse();
    *request.uri_mut() = target.map_err(|error: http::uri::InvalidUri| error.to_string())?;
    let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
    let host = host.map_err(|error| error.to_string())?;
    request.headers_mut().insert(HOST, host);
    sender.send_request(request).await.map_err(explain)
}
