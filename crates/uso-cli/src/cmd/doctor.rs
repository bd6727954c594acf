//! `uso doctor`: checks what a purchase depends on, each with its remedy.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method};
use serde_json::{Value, json};
use url::Url;
use uso::Config;
use uso::error::Operation;
use uso::webhook::{FalKeys, KeySource as _};
use uso_transport::{Expected, Forward, Service, Transport};

use crate::args::Global;
use crate::configuration::{Configuration, SETTINGS};
use crate::exit_code::OTHER;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::{connection, credentials, environment, journal, viewing};

/// How far the clock may be off: notifications are refused beyond five minutes.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// How long a host may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request id that no job has.
const NO_JOB: &str = "00000000-0000-0000-0000-000000000000";

/// One check.
#[derive(Clone)]
struct Finding {
    name: &'static str,
    is_good: bool,
    text: String,
    remedy: Option<String>,
}

impl Finding {
    fn good(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            is_good: true,
            text: text.into(),
            remedy: None,
        }
    }

    fn bad(name: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            name,
            is_good: false,
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn of(name: &'static str, failure: &Failure) -> Self {
        Self {
            name,
            is_good: false,
            text: failure.chain(),
            remedy: failure.next_step(),
        }
    }

    fn line(&self) -> String {
        let mark = if self.is_good { "ok" } else { "!!" };
        let remedy = self
            .remedy
            .as_ref()
            .map(|remedy| format!("\n   {:9} remedy: {remedy}", ""));
        format!(
            "{mark} {:9} {}{}",
            self.name,
            self.text,
            remedy.unwrap_or_default()
        )
    }

    fn to_json(&self) -> Value {
        json!({ "check": self.name, "ok": self.is_good, "message": self.text, "remedy": self.remedy })
    }
}

pub(crate) async fn run(
    global: &Global,
    configuration: &Configuration,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let mut findings = vec![Finding::good(
        "version",
        format!("uso {}", env!("CARGO_PKG_VERSION")),
    )];
    match connection::config(global) {
        Ok(config) => {
            findings.push(Finding::good("key", key_source()));
            findings.extend(hosts(config).await);
        }
        Err(failure) => {
            findings.push(Finding::of("key", &failure));
            match connection::base_urls(global) {
                Ok(urls) => {
                    let host = urls.rest().clone();
                    let config = Config::keyless(urls);
                    let check = async { vec![keys_host(&config).await] };
                    findings.extend(within("uploads", &host, check).await);
                }
                Err(failure) => findings.push(Finding::of("hosts", &failure)),
            }
        }
    }
    findings.push(proxy());
    findings.push(recorded(global).await);
    findings.push(folder("folder", Path::new(".")));
    findings.push(Finding::good("terminal", terminal(printer)));
    let settings = settings(configuration);
    let is_good = findings.iter().all(|finding| finding.is_good);
    let document = json!({
        "ok": is_good,
        "checks": findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
        "settings": settings.iter().map(|(key, value, source)| {
            json!({ "key": key, "value": value, "source": source })
        }).collect::<Vec<_>>(),
    });
    let mut lines: Vec<String> = findings.iter().map(Finding::line).collect();
    lines.push("settings:".to_owned());
    lines.extend(
        settings
            .iter()
            .map(|(key, value, source)| format!("   {key:16} {value} ({source})")),
    );
    printer.data(&document, &lines)?;
    Ok(match is_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(OTHER),
    })
}

fn key_source() -> String {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("FAL_KEY") {
        return "from FAL_KEY, well-formed".to_owned();
    }
    if set("FAL_KEY_ID") && set("FAL_KEY_SECRET") {
        return "from FAL_KEY_ID and FAL_KEY_SECRET, well-formed".to_owned();
    }
    let path = credentials::path().map(|path| path.display().to_string());
    format!("from uso login, in {}", path.unwrap_or_default())
}

/// The hosts, the service's opinion of the key, and the clock against the service's.
async fn hosts(config: Config) -> Vec<Finding> {
    let urls = config.base_urls().clone();
    let transport = match Transport::new(config.clone()) {
        Ok(transport) => transport,
        Err(error) => return vec![Finding::of("queue", &Failure::from(error))],
    };
    let (uploads, queue, lookup, files) = tokio::join!(
        within("uploads", urls.rest(), async {
            vec![keys_host(&config).await]
        }),
        within("queue", urls.queue(), queue(&transport)),
        within("lookup", urls.platform(), async {
            vec![lookup(&transport).await]
        }),
        within("files", urls.cdn(), async { vec![files(&transport).await] }),
    );
    [uploads, queue, lookup, files].concat()
}

/// The findings of a check, unless its host is silent.
async fn within(
    name: &'static str,
    host: &Url,
    check: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    let silent = |_| {
        let why = format!("no response within {} s", PATIENCE.as_secs());
        vec![unreachable(name, host.as_str(), &why)]
    };
    tokio::time::timeout(PATIENCE, check)
        .await
        .unwrap_or_else(silent)
}

/// The queue, and what its response says about the key and the clock.
async fn queue(transport: &Transport) -> Vec<Finding> {
    let host = transport.config().base_urls().queue().to_string();
    let mut findings = Vec::new();
    let path = ["fal-ai", "uso", "requests", NO_JOB, "status"];
    let asked = question(Operation::Status, Service::Queue, &path, &[]);
    match transport.forward(asked).await {
        Ok(response) => {
            findings.push(Finding::good("queue", format!("{host} answers")));
            findings.push(match response.status.as_u16() {
                401 | 403 => Finding::bad(
                    "account",
                    format!(
                        "the service refuses the key (status {})",
                        response.status.as_u16()
                    ),
                    "make a new key in fal's dashboard, and set FAL_KEY or run uso login",
                ),
                404 => Finding::good("account", "the service accepts the key"),
                other => Finding::good(
                    "account",
                    format!("not known: the service answered {other}"),
                ),
            });
            findings.push(clock(&response.headers));
        }
        Err(error) => findings.push(unreachable("queue", &host, &Failure::from(error).chain())),
    }
    findings
}

fn question(
    operation: Operation,
    service: Service,
    path: &[&str],
    query: &[(&str, &str)],
) -> Forward {
    let text = |text: &&str| (*text).to_owned();
    Forward {
        operation,
        service,
        method: Method::GET,
        path: path.iter().map(text).collect(),
        query: query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
    }
}

/// The listing by which a purchase is found whose response was lost.
async fn lookup(transport: &Transport) -> Finding {
    let host = transport.config().base_urls().platform().to_string();
    let path = ["v1", "models", "requests", "by-endpoint"];
    let query = [("endpoint_id", "fal-ai/uso"), ("limit", "1")];
    let asked = question(Operation::Find, Service::Platform, &path, &query);
    match transport.forward(asked).await {
        Ok(response) if response.status.is_success() => Finding::good(
            "lookup",
            format!("{host} answers, and the key may list the account's requests"),
        ),
        Ok(response) if matches!(response.status.as_u16(), 401 | 403) => Finding::bad(
            "lookup",
            format!(
                "{host} does not let the key list the account's requests (status {})",
                response.status.as_u16()
            ),
            "use a key that may: without the list, a purchase whose response is lost stays unknown",
        ),
        Ok(response) => Finding::good(
            "lookup",
            format!("{host} answers, with status {}", response.status.as_u16()),
        ),
        Err(error) => unreachable("lookup", &host, &Failure::from(error).chain()),
    }
}

/// The host that uploads and pictures are fetched from. No file has the name that is asked for.
async fn files(transport: &Transport) -> Finding {
    let cdn = transport.config().base_urls().cdn();
    let mut url = cdn.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["files", NO_JOB]);
    }
    match transport.fetch(url.as_str(), &Expected::anything()).await {
        Err(error) if error.status().is_none() => {
            unreachable("files", cdn.as_str(), &Failure::from(error).chain())
        }
        _ => Finding::good("files", format!("{cdn} answers")),
    }
}

/// The host of uploads and of the public keys for webhooks.
async fn keys_host(config: &Config) -> Finding {
    let host = config.base_urls().rest().to_string();
    let keys = match FalKeys::new(config) {
        Ok(keys) => keys,
        Err(error) => return Finding::of("uploads", &Failure::from(error)),
    };
    match keys.keys().await {
        Ok(_) => Finding::good("uploads", format!("{host} answers")),
        Err(error) => unreachable("uploads", &host, &error.to_string()),
    }
}

fn unreachable(name: &'static str, host: &str, why: &str) -> Finding {
    Finding::bad(
        name,
        format!("{host}: {why}"),
        "check the network, a firewall, and HTTPS_PROXY",
    )
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

fn proxy() -> Finding {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let set = names
        .into_iter()
        .find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    Finding::good(
        "proxy",
        match set {
            Some(name) => format!("requests go through the proxy of {name}"),
            None => "none".to_owned(),
        },
    )
}

async fn recorded(global: &Global) -> Finding {
    let checked = async {
        let journal = journal::connect(global).await?;
        journal.check().await?;
        Ok(journal)
    };
    match checked.await {
        Ok(journal) => Finding::good(
            "journal",
            format!("{} is whole and writable", journal.location()),
        ),
        Err(failure) => Finding::of("journal", &failure),
    }
}

/// Whether files can be made in a folder.
fn folder(name: &'static str, folder: &Path) -> Finding {
    let shown = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    match tempfile::tempfile_in(folder) {
        Ok(_) => Finding::good(name, format!("{} is writable", shown.display())),
        Err(error) => Finding::bad(
            name,
            format!("{} is not writable: {error}", shown.display()),
            "check its permissions and the free space",
        ),
    }
}

fn terminal(printer: &Printer) -> String {
    match printer.terminal {
        true => format!(
            "progress on one line; --preview shows {:?}",
            viewing::detected()
        )
        .to_lowercase(),
        false => "none: progress is printed as plain lines".to_owned(),
    }
}

/// Each setting with its value and where that comes from.
fn settings(configuration: &Configuration) -> Vec<(&'static str, String, String)> {
    let file = configuration
        .path
        .as_ref()
        .map(|path| path.display().to_string());
    let told = SETTINGS.iter().map(|setting| {
        let variable = setting.variable.and_then(|name| {
            let value = environment::variable(name).filter(|value| !value.is_empty())?;
            Some((value, name.to_owned()))
        });
        let in_file = || Some((configuration.get(setting.key)?.to_owned(), file.clone()?));
        let (value, source) = variable
            .or_else(in_file)
            .unwrap_or_else(|| (setting.default.to_owned(), "default".to_owned()));
        (setting.key, value, source)
    });
    told.collect()
}
