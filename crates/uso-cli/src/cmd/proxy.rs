//! `uso proxy`: serves web pages in fal's place until Ctrl-C.

mod journal_records;
mod lines;

use std::future::ready;
use std::process::ExitCode;
use std::time::Duration;

use http::HeaderMap;
use serde_json::json;
use uso_proxy::{Caller, PROXY_PATH, Proxy, SESSION_PATH, Settings, SharedTokens, stand_alone};
use uso_transport::Transport;

use self::journal_records::JournalRecords;
use crate::args::{Global, ProxyArgs};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::journal;
use crate::printer::Printer;
use crate::serve::{listen, say_reach, serve_until_signal};
use crate::signals::Signals;

/// The longest wait for the records of purchases that are given up; each is told before its end. A
/// journal that is away is asked again for longer.
const LAST_RECORDS: Duration = Duration::from_secs(6);

pub(crate) async fn run(
    global: &Global,
    args: &ProxyArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let tokens = tokens(args)?;
    let settings = settings(args)?;
    let connection = Connection::open(global).await?;
    let journal = journal::open(global, &connection).await?;
    let records = JournalRecords::new(journal, connection.client.clone(), *printer);
    let settings = settings.records(records.clone());
    // Those of earlier runs, and of other proxies that died.
    records.warn_of_unknown().await;
    let transport = Transport::new(connection.client.config().clone())?;
    let check = tokens.clone();
    let proxy = Proxy::new(transport, settings, move |headers| {
        ready(check.caller(&headers))
    });

    let cannot_listen = |error: std::io::Error| Failure::cannot_listen(args.listen, &error);
    let mut signals = Signals::listen().map_err(Failure::no_signals)?;
    let listener = listen(args.listen).map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let (url, session) = (
        format!("http://{address}{PROXY_PATH}"),
        format!("http://{address}{SESSION_PATH}"),
    );
    let callers: Vec<&str> = tokens.callers().map(Caller::as_str).collect();
    printer.data(
        &json!({ "proxy": url, "session": session, "callers": callers }),
        std::slice::from_ref(&url),
    )?;
    printer.say(&format!(
        "callers, in the order of their tokens: {}",
        callers.join(", ")
    ));
    printer.say(&format!(
        "pages of {} may call; sessions are at {session}",
        args.allow_origin.join(", ")
    ));
    if connection.is_emulated() {
        printer.say("the service is emulated: nothing is bought");
    }
    say_reach(address, printer);

    let proves = {
        let tokens = tokens.clone();
        move |headers: &HeaderMap| tokens.caller(headers).is_some()
    };
    let router = stand_alone(&proxy, &tokens);
    let stopping = "stopping: open requests end first; Ctrl-C again stops at once";
    let close = proxy.close();
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
    // The purchases that are left are recorded, too.
    let recording = async {
        proxy.give_up().await;
        records.warn_of_unknown().await;
    };
    let is_recorded = tokio::select! {
        () = recording => true,
        _ = signals.next() => false,
        () = tokio::time::sleep(LAST_RECORDS) => false,
    };
    if !is_recorded {
        // The drop of a journal waits for the writes that have begun.
        std::mem::forget(records);
    }
    match is_done {
        true => Ok(ExitCode::SUCCESS),
        false => Err(unfinished()),
    }
}

fn unfinished() -> Failure {
    Failure::unknown("the proxy stopped before all requests had ended")
        .with_hint("a purchase may have been accepted: look among the requests in fal's dashboard")
}

fn tokens(args: &ProxyArgs) -> Result<SharedTokens, Failure> {
    let given = args.token.iter().map(|token| token.0.as_str());
    let given: Vec<&str> = given.filter(|token| !token.is_empty()).collect();
    if given.is_empty() {
        return Err(
            Failure::usage("there is no token, so no caller could authenticate").with_hint(
                "set USO_PROXY_TOKEN to a long random token, such as `openssl rand -hex 32` prints",
            ),
        );
    }
    SharedTokens::new(given).map_err(unusable)
}

fn settings(args: &ProxyArgs) -> Result<Settings, Failure> {
    if args.allow_origin.is_empty() {
        return Err(
            Failure::usage("there is no --allow-origin, so no page could call")
                .with_hint("give the origin of your pages, such as https://app.example or http://localhost:5173"),
        );
    }
    let mut settings = Settings::new()
        .requests_per_minute(args.requests_per_minute)
        .spending_per_day(args.spend_per_day)
        .max_body(args.max_body);
    for origin in &args.allow_origin {
        settings = settings.allow_origin(origin).map_err(unusable)?;
    }
    Ok(settings)
}

/// A wrong argument is wrong usage, whichever layer finds it.
fn unusable(error: uso::Error) -> Failure {
    let failure = Failure::usage(error.to_string());
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}
