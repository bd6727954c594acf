//! Checks of the service: its hosts, its opinion of the key, and the clock against its own.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method};
use url::Url;
use uso::error::Operation;
use uso::webhook::{FalKeys, KeySource as _};
use uso::{BaseUrls, Config};
use uso_transport::{Expected, Forward, Forwarded, Service, Transport};

use super::finding::Finding;
use crate::failure::Failure;

/// How far the clock may be off: notifications are refused beyond five minutes.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// How long a host may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request id that no job has.
const NO_JOB: &str = "00000000-0000-0000-0000-000000000000";

/// The findings of a check; `Err` says why its host cannot be reached.
type Checked = Result<Vec<Finding>, String>;

/// Checks of every host.
pub(super) async fn with_key(config: Config) -> Vec<Finding> {
    let urls = config.base_urls();
    let transport = match Transport::new(config.clone()) {
        Ok(transport) => transport,
        Err(error) => return vec![Finding::of("queue", &Failure::from(error))],
    };
    let checks = tokio::join!(
        within("uploads", urls.rest(), keys(&config)),
        within("queue", urls.queue(), queue(&transport)),
        within("lookup", urls.platform(), lookup(&transport)),
        within("files", urls.cdn(), files(&transport)),
    );
    [checks.0, checks.1, checks.2, checks.3].concat()
}

/// The check that needs no key.
pub(super) async fn without_key(urls: BaseUrls) -> Vec<Finding> {
    let config = Config::keyless(urls);
    within("uploads", config.base_urls().rest(), keys(&config)).await
}

/// The findings of a check, unless its host cannot be reached or is silent.
async fn within(
    name: &'static str,
    host: &Url,
    check: impl Future<Output = Checked>,
) -> Vec<Finding> {
    let silent = |_| Err(format!("no response within {} s", PATIENCE.as_secs()));
    let checked = tokio::time::timeout(PATIENCE, check).await;
    checked.unwrap_or_else(silent).unwrap_or_else(|why| {
        vec![Finding::bad(
            name,
            format!("{host}: {why}"),
            "check the network, a firewall, and HTTPS_PROXY",
        )]
    })
}

/// The queue, and what its response says about the key and the clock.
async fn queue(transport: &Transport) -> Checked {
    let host = transport.config().base_urls().queue();
    let path = ["fal-ai", "uso", "requests", NO_JOB, "status"];
    let response = ask(transport, Operation::Status, Service::Queue, &path, &[]).await?;
    let account = match response.status.as_u16() {
        status @ (401 | 403) => Finding::bad(
            "account",
            format!("the service refuses the key (status {status})"),
            "make a new key in fal's dashboard, and set FAL_KEY or run uso login",
        ),
        404 => Finding::good("account", "the service accepts the key"),
        other => Finding::good(
            "account",
            format!("not known: the service answered {other}"),
        ),
    };
    let queue = Finding::good("queue", format!("{host} answers"));
    Ok(vec![queue, account, clock(&response.headers)])
}

/// The response to a GET.
async fn ask(
    transport: &Transport,
    operation: Operation,
    service: Service,
    path: &[&str],
    query: &[(&str, &str)],
) -> Result<Forwarded, String> {
    let query = query
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let asked = Forward {
        operation,
        service,
        method: Method::GET,
        path: path.iter().map(|part| (*part).to_owned()).collect(),
        query: query.collect(),
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
    };
    let response = transport.forward(asked).await;
    response.map_err(|error| Failure::from(error).chain())
}

/// The listing by which a purchase is found whose response was lost.
async fn lookup(transport: &Transport) -> Checked {
    let host = transport.config().base_urls().platform();
    let path = ["v1", "models", "requests", "by-endpoint"];
    let query = [("endpoint_id", "fal-ai/uso"), ("limit", "1")];
    let response = ask(transport, Operation::Find, Service::Platform, &path, &query).await?;
    Ok(vec![match response.status.as_u16() {
        200..=299 => Finding::good(
            "lookup",
            format!("{host} answers, and the key may list the account's requests"),
        ),
        status @ (401 | 403) => Finding::bad(
            "lookup",
            format!("{host} does not let the key list the account's requests (status {status})"),
            "use a key that may: without the list, a purchase whose response is lost stays unknown",
        ),
        status => Finding::good("lookup", format!("{host} answers, with status {status}")),
    }])
}

/// The host that uploads and pictures are fetched from. No file has the name that is asked for.
async fn files(transport: &Transport) -> Checked {
    let cdn = transport.config().base_urls().cdn();
    let mut url = cdn.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["files", NO_JOB]);
    }
    match transport.fetch(url.as_str(), &Expected::anything()).await {
        Err(error) if error.status().is_none() => Err(Failure::from(error).chain()),
        _ => Ok(vec![Finding::good("files", format!("{cdn} answers"))]),
    }
}

/// The host of uploads and of the public keys for webhooks.
async fn keys(config: &Config) -> Checked {
    let keys = match FalKeys::new(config) {
        Ok(keys) => keys,
        Err(error) => return Ok(vec![Finding::of("uploads", &Failure::from(error))]),
    };
    keys.keys().await.map_err(|error| error.to_string())?;
    let host = config.base_urls().rest();
    Ok(vec![Finding::good("uploads", format!("{host} answers"))])
}

fn clock(headers: &HeaderMap) -> Finding {
    let date = headers
        .get(http::header::DATE)
        .and_then(|date| date.to_str().ok());
    let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        return Finding::good("clock", "not known: the service did not tell its time");
    };
    let ours = SystemTime::now();
    let off = ours
        .duration_since(theirs)
        .unwrap_or_else(|error| error.duration());
    let off = Duration::from_secs(off.as_secs());
    let text = format!(
        "{} apart from the service's",
        humantime::format_duration(off)
    );
    match off > CLOCK_TOLERANCE {
        true => Finding::bad(
            "clock",
            text,
            "set the clock of this machine; notifications are refused otherwise",
        ),
        false => Finding::good("clock", text),
    }
}
