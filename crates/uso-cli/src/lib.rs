//! The `uso` command: pictures from fal's endpoint `fal-ai/uso`, on the command line.
//!
//! Data goes to stdout, messages to stderr, and the exit code says what to do next. The crate turns
//! arguments into calls of the facade and their outcome into text or JSON; it must not know the
//! protocol. Its library face is [`main`], so that the binary is one call, and the guide [`agents`].

mod args;
mod batch;
mod bounded_file;
mod cancellation;
mod cmd;
mod configuration;
mod connection;
mod credentials;
mod destination;
mod document;
mod environment;
mod escape;
mod exit_code;
mod failure;
mod given;
mod journal;
mod mcp;
mod notifications;
mod output_names;
mod picture_request;
mod price;
mod printer;
mod progress;
mod progress_line;
mod purchase;
mod recovery;
mod report;
mod reservation;
mod root_cause;
mod same_file;
pub mod serve;
mod signals;
mod spending;
mod standard_output;
mod usage_error;
mod viewing;

use std::process::ExitCode;

use clap::FromArgMatches as _;
use clap::error::ErrorKind as Usage;

use crate::args::{Cli, Command, Global};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::picture_request::Kind;
use crate::printer::Printer;
use crate::signals::Signals;

#[doc = include_str!("../docs/agents.md")]
pub mod agents {}

/// Runs the command line of this process to its exit code.
pub fn main() -> ExitCode {
    clap_complete::CompleteEnv::with_factory(cmd::completions::command)
        .var(cmd::completions::VARIABLE)
        .complete();
    // Help and the errors of the command line do not depend on the file.
    let (configuration, unreadable) = match Configuration::read() {
        Ok(configuration) => (configuration, None),
        Err(failure) => (Configuration::default(), Some(failure)),
    };
    let matches = configuration.apply(args::command()).try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &configuration),
    };
    let printer = Printer::new(cli.global.json, cli.global.quiet);
    if let Some(failure) = unreadable {
        printer.failure(&failure);
        return failure.code();
    }
    log(cli.global.verbose);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(async {
                let outcome = run(&cli, &configuration, &printer).await;
                journal::close(&cli.global).await;
                outcome
            });
            // Work that was detached from must not hold the exit up.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Failure::other(format!(
            "the runtime could not be started: {error}"
        ))),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            printer.failure(&failure);
            keep_response(&cli.global, &failure, &printer);
            if let Some(signal) = failure.signal() {
                signals::end_by(signal);
            }
            failure.code()
        }
    }
}

/// A response that was paid for and could not be understood is kept; as JSON it is in the error.
fn keep_response(global: &Global, failure: &Failure, printer: &Printer) {
    let Some(body) = failure.unreadable_response().filter(|_| !printer.json) else {
        return;
    };
    printer.hint(
        &match journal::keep_response(global, failure.request_id(), body) {
            Ok(path) => format!("the response is kept as it came in {}", path.display()),
            Err(error) => format!("the response could not be kept: {error}"),
        },
    );
}

/// Prints the requests of the client on stderr, and with `-vv` what the libraries below it tell.
fn log(verbosity: u8) {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
    use tracing_subscriber::util::SubscriberInitExt as _;
    let wanted = match verbosity {
        0 => return,
        1 => Targets::new().with_target("uso", LevelFilter::DEBUG),
        // The messages of an agent hold prompts.
        _ => Targets::new()
            .with_default(LevelFilter::DEBUG)
            .with_target("rmcp", LevelFilter::OFF),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .with_level(false)
        .with_target(verbosity > 1);
    tracing_subscriber::registry()
        .with(lines.with_filter(wanted))
        .init();
}

async fn run(
    cli: &Cli,
    configuration: &Configuration,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Generate(args) => cmd::generate::run(global, Kind::Generate, args, printer).await,
        Command::Restyle(args) => cmd::generate::run(global, Kind::Restyle, args, printer).await,
        Command::Estimate(args) => until_signal(cmd::estimate::run(args, printer)).await,
        Command::List(args) => until_signal(cmd::list::run(global, args, printer)).await,
        Command::Budget(args) => until_signal(cmd::budget::run(global, args, printer)).await,
        Command::Journal(args) => until_signal(cmd::journal::run(global, args, printer)).await,
        Command::Prune(args) => until_signal(cmd::prune::run(global, args, printer)).await,
        Command::Status(args) => until_signal(cmd::status::run(global, args, printer)).await,
        Command::Watch(args) => until_signal(cmd::watch::run(global, args, printer)).await,
        Command::Result(args) => until_signal(cmd::result::run(global, args, printer)).await,
        Command::Cancel(args) => until_signal(cmd::cancel::run(global, args, printer)).await,
        Command::Resume(args) => cmd::resume::run(global, args, printer).await,
        Command::Batch(args) => cmd::batch::run(global, args, printer).await,
        Command::Rerun(args) => cmd::rerun::run(global, args, printer).await,
        Command::Upload(args) => until_signal(cmd::upload::run(global, args, printer)).await,
        Command::Webhook(args) => cmd::webhook::run(global, args, printer).await,
        Command::Studio(args) => cmd::studio::run(global, args, printer).await,
        Command::Mcp(args) => cmd::mcp::run(global, args, printer).await,
        Command::Skill => cmd::skill::run(printer),
        Command::Proxy(args) => cmd::proxy::run(global, args, printer).await,
        Command::Emulator(args) => cmd::emulator::run(args, printer).await,
        Command::Login => until_signal(cmd::login::login(printer)).await,
        Command::Logout => cmd::login::logout(printer),
        Command::Doctor => until_signal(cmd::doctor::run(global, configuration, printer)).await,
        Command::Completions(args) => cmd::completions::run(args, printer),
        Command::Man(args) => cmd::man::run(args, printer),
    }
}

/// Runs a command that a signal ends at once: dropping it removes its line of progress, and the
/// process then ends by the signal.
async fn until_signal(
    command: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen().map_err(Failure::no_signals)?;
    tokio::select! {
        outcome = command => outcome,
        signal = signals.next() => Err(Failure::interrupted(signal, "interrupted")),
    }
}

/// Help and version go to stdout as they are; a wrong command line is an error like any other.
fn usage(error: &clap::Error, configuration: &Configuration) -> ExitCode {
    let is_asked_for = matches!(error.kind(), Usage::DisplayHelp | Usage::DisplayVersion);
    if is_asked_for || error.kind() == Usage::DisplayHelpOnMissingArgumentOrSubcommand {
        return match error.print() {
            Ok(()) if is_asked_for => ExitCode::SUCCESS,
            Ok(()) => ExitCode::from(exit_code::USAGE),
            Err(_) => ExitCode::from(exit_code::OTHER),
        };
    }
    let mut failure = Failure::usage(usage_error::message(error));
    failure = match (
        configuration.is_source_of(error),
        usage_error::variable(error),
    ) {
        (_, Some(name)) => failure
            .at(&name)
            .with_hint(format!("correct the variable {name}, or remove it")),
        (Some(path), None) => failure
            .at(&path.display().to_string())
            .with_hint("correct the value in that file"),
        (None, None) => failure.with_hint(usage_error::hint(error)),
    };
    Printer::of_arguments().failure(&failure);
    failure.code()
}
