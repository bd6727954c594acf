//! `uso login` and `uso logout`: the key on this machine.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::json;
use tokio::sync::oneshot;
use uso::ApiKey;

use crate::credentials;
use crate::environment;
use crate::failure::Failure;
use crate::printer::Printer;

/// Longest line that is read as a key, in bytes.
const LONGEST: u64 = 4 << 10;

pub(crate) async fn login(printer: &Printer) -> Result<ExitCode, Failure> {
    let is_asked = io::stdin().is_terminal();
    let read = {
        // Before the question: what is typed at once must not be shown either.
        let _hidden = is_asked.then(Hidden::new);
        if is_asked {
            // A terminal that is gone has no reader.
            let _ = write!(io::stderr(), "Key from fal's dashboard (it is not shown): ");
        }
        read_line().await
    };
    let key =
        read.map_err(|error| Failure::io(format!("standard input cannot be read: {error}")))?;
    let key = key.trim();
    if key.is_empty() {
        return Err(Failure::usage("no key was given; nothing was stored")
            .with_hint("copy it from fal.ai/dashboard/keys"));
    }
    ApiKey::new(key).map_err(|error| Failure::auth(format!("{error}; nothing was stored")))?;
    let path = credentials::store(key)?;
    let path = path.display().to_string();
    printer.data(&json!({ "key_file": path }), &[])?;
    printer.say(&format!("the key is stored in {path}, for you alone"));
    if environment::set("FAL_KEY").is_some() {
        printer.warn("FAL_KEY is set, and wins over the stored key");
    }
    Ok(ExitCode::SUCCESS)
}

/// A line of standard input. It is read in a thread that a signal need not wait for.
async fn read_line() -> io::Result<String> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::Read::take(io::stdin().lock(), LONGEST).read_line(&mut line);
        let _ = tell.send(read.map(|_| line));
    });
    told.await.map_err(io::Error::other)?
}

pub(crate) fn logout(printer: &Printer) -> Result<ExitCode, Failure> {
    let removed = credentials::remove()?;
    printer.data(&json!({ "removed": removed }), &[])?;
    printer.say(match removed {
        true => "the stored key is removed; it stays valid until it is deleted in fal's dashboard",
        false => "there was no stored key",
    });
    Ok(ExitCode::SUCCESS)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Hidden {
    fn new() -> Self {
        #[cfg(unix)]
        {
            use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
            let before = tcgetattr(io::stdin()).ok();
            if let Some(before) = &before {
                let mut hidden = before.clone();
                hidden.local_modes.remove(LocalModes::ECHO);
                // Where it cannot be hidden, it is still read.
                let _ = tcsetattr(io::stdin(), OptionalActions::Now, &hidden);
            }
            Self { before }
        }
        #[cfg(not(unix))]
        Self {}
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(before) = &self.before {
            use rustix::termios::{OptionalActions, tcsetattr};
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
        // The end of the line was not shown either.
        let _ = writeln!(io::stderr());
    }
}
