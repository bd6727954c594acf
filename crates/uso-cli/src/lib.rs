//! The `uso` command: pictures from fal's endpoint `fal-ai/uso`, on the command line.
//!
//! stdout is data, stderr is talk, and the exit code says what to do next. The crate turns
//! arguments into calls of the facade and their outcome into text or JSON; it must not know the
//! protocol. Its library face is [`main`] alone, so that the binary is one call.

mod advice;
mod args;
mod cmd;
mod exit;
mod known;
mod output;
mod progress;
pub mod serve;
mod signals;
mod state;
mod target;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind as Usage;

use crate::args::{Cli, Command};
use crate::exit::Failure;
use crate::output::Printer;

/// Runs the command line of this process to its exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let printer = Printer::new(&cli.global);
    if cli.global.verbose > 0 {
        let level = match cli.global.verbose {
            1 => tracing_subscriber::filter::LevelFilter::INFO,
            _ => tracing_subscriber::filter::LevelFilter::DEBUG,
        };
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_max_level(level)
            .init();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(run(&cli, &printer));
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
            failure.code()
        }
    }
}

async fn run(cli: &Cli, printer: &Printer) -> Result<ExitCode, Failure> {
    match &cli.command {
        Command::Generate(args) => {
            let request = args.request()?;
            args.check()?;
            cmd::generate::run(&cli.global, request, &args.knobs, printer).await
        }
        Command::Restyle(args) => {
            cmd::generate::run(&cli.global, args.request()?, &args.knobs, printer).await
        }
        Command::Estimate(args) => cmd::estimate::run(args, printer).await,
        Command::Status(args) => cmd::status::run(&cli.global, args, printer).await,
        Command::Watch(args) => cmd::watch::run(&cli.global, args, printer).await,
        Command::Result(args) => cmd::result::run(&cli.global, args, printer).await,
        Command::Cancel(args) => cmd::cancel::run(&cli.global, args, printer).await,
        Command::Resume(args) => cmd::resume::run(&cli.global, args, printer).await,
        Command::Upload(args) => cmd::upload::run(&cli.global, args, printer).await,
        Command::Webhook(args) => cmd::webhook::run(&cli.global, args, printer).await,
        Command::Proxy(args) => cmd::proxy::run(&cli.global, args, printer).await,
        Command::Emulator(args) => cmd::emulator::run(args, printer).await,
        Command::Completions(args) => Ok(cmd::completions::run(args, printer)),
    }
}

/// Help and version go to stdout as they are; a wrong command line goes to stderr, or as JSON to
/// stdout where that was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), Usage::DisplayHelp | Usage::DisplayVersion) {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        let text = error.to_string();
        let message = text.trim().trim_start_matches("error: ");
        let message = message.split("\n\nUsage").next().unwrap_or(message);
        output::print_json(&Failure::usage(message).to_json());
    } else {
        let _ = error.print();
    }
    ExitCode::from(exit::USAGE)
}
