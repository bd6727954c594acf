//! `uso doctor`: checks what a purchase depends on, each with its remedy.

mod finding;
mod hosts;

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use self::finding::Finding;
use crate::args::Global;
use crate::configuration::{Configuration, SETTINGS};
use crate::exit_code::OTHER;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::{connection, credentials, environment, journal, viewing};

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
            findings.extend(hosts::with_key(config).await);
        }
        Err(failure) => {
            findings.push(Finding::of("key", &failure));
            findings.extend(match connection::base_urls(global) {
                Ok(urls) => hosts::without_key(urls).await,
                Err(failure) => vec![Finding::of("hosts", &failure)],
            });
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
    let set = |name: &str| environment::set(name).is_some();
    if set("FAL_KEY") {
        return "from FAL_KEY, well-formed".to_owned();
    }
    if set("FAL_KEY_ID") && set("FAL_KEY_SECRET") {
        return "from FAL_KEY_ID and FAL_KEY_SECRET, well-formed".to_owned();
    }
    let path = credentials::path().map(|path| path.display().to_string());
    format!("from uso login, in {}", path.unwrap_or_default())
}

fn proxy() -> Finding {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let set = names
        .into_iter()
        .find(|name| environment::set(name).is_some());
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
