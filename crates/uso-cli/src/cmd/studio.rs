//! `uso studio`: serves the page for making pictures until Ctrl-C.

use std::io::Write as _;
use std::process::ExitCode;

use http::HeaderMap;
use serde_json::json;
use uso_studio::{Settings, Studio};

use crate::args::{Global, StudioArgs};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::journal;
use crate::printer::Printer;
use crate::serve::{listen, say_reach, serve_until_signal};
use crate::signals::Signals;
use crate::viewing;

pub(crate) async fn run(
    global: &Global,
    args: &StudioArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    if !args.listen.ip().is_loopback() && args.allow_host.is_empty() {
        return Err(Failure::usage(format!(
            "--listen {}: other machines can reach this address, and --allow-host is missing",
            args.listen
        ))
        .with_hint("name the host that browsers will use, such as --allow-host studio.lan"));
    }
    let connection = Connection::open(global).await?;
    let journal = journal::open(global, &connection).await?;
    let cannot_listen = |error: std::io::Error| Failure::cannot_listen(args.listen, &error);
    let mut signals = Signals::listen().map_err(Failure::no_signals)?;
    let listener = listen(args.listen).map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let mut settings = Settings::new()
        .budget(args.budget)
        .emulated(connection.is_emulated());
    for host in &args.allow_host {
        settings = settings.allow_host(host);
    }
    let place = journal.path().with_file_name("studio");
    let studio = Studio::open(connection.client.clone(), journal, address, settings)
        .map_err(|error| Failure::other(format!("the studio cannot be opened: {error}")))?;
    let url = studio.url();
    printer.data(&json!({ "studio": url }), std::slice::from_ref(&url))?;
    printer.say(&match connection.is_emulated() {
        true => "the service is emulated: nothing is bought, and nothing is kept".to_owned(),
        false => format!("the page may spend {} until the command ends", args.budget),
    });
    say_reach(address, printer);
    // Dropped at the end, which removes the file.
    let _page = match args.open {
        true => Some(open(&place, &url, printer)?),
        false => None,
    };
    let known = studio.clone();
    let proves = move |headers: &HeaderMap| known.is_known(headers);
    let stopping = "stopping: submits that are under way end first; Ctrl-C again stops at once";
    let (router, close) = (studio.router(), studio.close());
    let is_done = serve_until_signal(
        listener,
        router,
        proves,
        close,
        &mut signals,
        printer,
        stopping,
    )
    .await;
    match is_done {
        true => Ok(ExitCode::SUCCESS),
        false => Err(
            Failure::unknown("the studio stopped before all submits had their outcome")
                .with_hint("start it again: it looks such purchases up"),
        ),
    }
}

/// Opens the page in the browser by way of a private file, since other users of this machine can
/// see the arguments of a program.
fn open(
    place: &std::path::Path,
    url: &str,
    printer: &Printer,
) -> Result<tempfile::TempPath, Failure> {
    let written = || -> std::io::Result<tempfile::TempPath> {
        let mut file = tempfile::Builder::new()
            .prefix("open-")
            .suffix(".html")
            .tempfile_in(place)?;
        write!(
            file,
            "<!doctype html><meta charset=utf-8><meta name=referrer content=no-referrer>\
             <meta http-equiv=refresh content=\"0;url={url}\"><a href=\"{url}\">Open the studio</a>"
        )?;
        Ok(file.into_temp_path())
    };
    let path = written().map_err(|error| {
        Failure::io(format!("the page cannot be opened: {error}"))
            .with_hint("open the printed address yourself")
    })?;
    viewing::open(&[path.to_path_buf()], printer);
    Ok(path)
}
