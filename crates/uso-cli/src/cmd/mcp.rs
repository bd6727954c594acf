//! `uso mcp`: serves an agent over stdin and stdout until its client goes.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rmcp::serve_server;
use rmcp::service::ServerInitializeError;
use rmcp::transport::stdio;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use crate::args::{Global, McpArgs};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::journal;
use crate::mcp::{Root, Server, Session};
use crate::printer::Printer;
use crate::signals::Signals;

/// The longest wait at the end for submits that are under way.
const GRACE: Duration = Duration::from_secs(20);

/// How long `buy` looks for a purchase whose response was lost; `wait` goes on looking.
const LOOKUP: Duration = Duration::from_secs(1);

pub(crate) async fn run(
    global: &Global,
    args: &McpArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen().map_err(Failure::no_signals)?;
    let root = args.root.as_deref().unwrap_or_else(|| ".".as_ref());
    let root = Root::open(root).map_err(|error| {
        Failure::input(format!(
            "--root: {} cannot be used: {error}",
            root.display()
        ))
    })?;
    let connection =
        Connection::configured(global, |config| config.reconcile_within(LOOKUP)).await?;
    let journal = journal::open(global, &connection).await?;
    if connection.is_emulated() {
        printer.say("the service is emulated: nothing is bought");
    }
    printer.say(&format!(
        "agents may spend {} in all, and send pictures from {}",
        args.budget,
        root.path().display()
    ));
    let unsent = TaskTracker::new();
    let session = Session {
        client: connection.client.clone(),
        journal,
        root,
        output: args.output.clone(),
        budget: args.budget,
        asks: !args.yes,
        unsent: unsent.clone(),
    };
    let server = Server::new(Arc::new(session));
    let serving = async {
        match serve_server(server, stdio()).await {
            Ok(running) => {
                let ended = running.waiting().await;
                ended.map(drop).map_err(|error| error.to_string())
            }
            // A client that goes before it says anything wants nothing.
            Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    };
    let (ended, signal) = tokio::select! {
        ended = serving => (ended, None),
        signal = signals.next() => (Ok(()), Some(signal)),
    };
    // A response that is waited for names its job; without it the purchase would have to be looked up.
    unsent.close();
    let signal = tokio::select! {
        () = unsent.wait() => signal,
        () = sleep(GRACE) => signal,
        again = signals.next() => Some(again),
    };
    match (signal, ended) {
        (Some(signal), _) => Err(Failure::interrupted(signal, "interrupted")),
        (None, Err(error)) => Err(Failure::other(format!(
            "the client cannot be served: {error}"
        ))),
        (None, Ok(())) => Ok(ExitCode::SUCCESS),
    }
}
