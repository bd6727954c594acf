//! Output of a command: data on stdout, messages on stderr.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use serde_json::Value;

use crate::environment;
use crate::escape;
use crate::failure::Failure;

/// Prints in the form that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    /// Whether stderr is a terminal.
    pub(crate) terminal: bool,
}

impl Printer {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self {
            json,
            quiet,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// The printer for a command line that cannot be read: `--json` may stand anywhere in it.
    pub(crate) fn of_arguments() -> Self {
        Self {
            json: std::env::args_os().any(|argument| argument == "--json"),
            quiet: false,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// The command's data: one JSON document, or these lines.
    pub(crate) fn data(&self, value: &Value, text: &[String]) -> Result<(), Failure> {
        self.try_data(value, text).or_else(unwritable)
    }

    /// The same, for data that must not be lost: also a reader that closed the pipe is an error.
    pub(crate) fn try_data(&self, value: &Value, text: &[String]) -> io::Result<()> {
        if self.json {
            return print_json(&value.to_string());
        }
        let mut stdout = io::stdout().lock();
        let lines = text.iter().flat_map(|text| text.split('\n'));
        // In a pipe the lines are data for a program, byte for byte.
        let is_shown = stdout.is_terminal();
        for line in lines {
            match is_shown {
                true => writeln!(stdout, "{}", escape::line(line))?,
                false => writeln!(stdout, "{line}")?,
            }
        }
        stdout.flush()
    }

    /// The JSON document as text.
    pub(crate) fn json_text(&self, document: &str) -> Result<(), Failure> {
        print_json(document).or_else(unwritable)
    }

    /// As [`Printer::data`], for files: in a pipe a path is printed byte for byte.
    pub(crate) fn paths(&self, value: &Value, paths: &[PathBuf]) -> Result<(), Failure> {
        if self.json || io::stdout().is_terminal() {
            let text: Vec<String> = paths
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            return self.data(value, &text);
        }
        let mut stdout = io::stdout().lock();
        let mut written = Ok(());
        for path in paths {
            written = written.and_then(|()| {
                stdout.write_all(path.as_os_str().as_encoded_bytes())?;
                stdout.write_all(b"\n")
            });
        }
        written.and_then(|()| stdout.flush()).or_else(unwritable)
    }

    /// A message that `--quiet` leaves out.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{}", escape::line(line));
        }
    }

    /// A message that is always printed.
    pub(crate) fn warn(&self, line: &str) {
        self.labelled("warning:", "33", line);
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        // Where stdout cannot take the document, the message goes to stderr.
        if self.json && print_json(&failure.to_json().to_string()).is_ok() {
            return;
        }
        self.labelled("error:", "31", &failure.chain());
        if let Some(hint) = failure.next_step() {
            self.hint(&hint);
        }
    }

    /// The line below an error.
    pub(crate) fn hint(&self, hint: &str) {
        self.labelled(" hint:", "36", hint);
    }

    /// A line after a word that is bold and in colour on a terminal.
    fn labelled(&self, word: &str, colour: &str, line: &str) {
        let line = escape::line(line);
        // A terminal that is gone has no reader to tell.
        let _ = match self.terminal && has_colours() {
            true => writeln!(io::stderr(), "\x1b[1;{colour}m{word}\x1b[0m {line}"),
            false => writeln!(io::stderr(), "{word} {line}"),
        };
    }
}

/// `NO_COLOR` and a dumb terminal switch colours off.
fn has_colours() -> bool {
    environment::set("NO_COLOR").is_none()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A reader that closed the pipe has what it wanted; anything else lost data.
fn unwritable(error: io::Error) -> Result<(), Failure> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    let message = format!("standard output could not be written: {error}");
    Err(Failure::io(message).with_hint("check where it is redirected to, and the free space there"))
}

fn print_json(document: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", escape::json(document))?;
    stdout.flush()
}
