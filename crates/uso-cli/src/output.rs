//! stdout is data, stderr is talk.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use crate::args::Global;
use crate::exit::Failure;
use crate::target::{free, sanitised};

/// Prints in the form that was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Printer {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) terminal: bool,
}

impl Printer {
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// The command's data: one JSON document, or the lines of `text`.
    pub(crate) fn data(&self, value: &Value, text: &[String]) {
        // A reader that went away is no reason to fail after the work is done.
        let _ = self.try_data(value, text);
    }

    /// The same, for data that must not be lost.
    pub(crate) fn try_data(&self, value: &Value, text: &[String]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.json {
            return writeln!(stdout, "{value}");
        }
        text.iter().try_for_each(|line| writeln!(stdout, "{line}"))
    }

    /// A line for the person who watches.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    /// A line that must be seen, also when it is quiet.
    pub(crate) fn warn(&self, line: &str) {
        let _ = writeln!(io::stderr(), "{line}");
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            print_json(&failure.to_json());
            return;
        }
        self.warn(&format!("uso: {}", failure.chain()));
        if let Some(advice) = failure.advice() {
            self.warn(&format!("     {advice}"));
        }
        if let Some(raw) = failure.raw_answer() {
            self.keep(raw, failure);
        }
    }

    /// Writes an answer that could not be understood beside the pictures that it should have been.
    fn keep(&self, raw: &[u8], failure: &Failure) {
        let id = sanitised(failure.request_id().unwrap_or("unknown"));
        let path = free(&failure.folder().join(format!("uso-{id}.answer")));
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| file.write_all(raw));
        let path = path.display();
        self.warn(&match written {
            Ok(()) => format!("     the service's answer, as it came, is in {path}"),
            Err(error) => {
                format!("     the service's answer could not be written to {path}: {error}")
            }
        });
    }
}

pub(crate) fn print_json(value: &Value) {
    let _ = writeln!(io::stdout(), "{value}");
}
