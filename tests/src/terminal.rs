//! A command in a pseudo-terminal, and the screen that it leaves.

use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::process::{Child, Command, ExitStatus};

use pty_process::blocking::Pty;

/// A terminal with a command in it.
pub struct Terminal {
    pty: Pty,
    child: Child,
    screen: vt100::Parser,
    raw: Vec<u8>,
}

/// The outcome of a command in a terminal.
#[derive(Debug)]
pub struct Session {
    /// How the process ended.
    pub status: ExitStatus,
    /// The text on the screen at the end.
    pub screen: String,
    /// Everything that was written, with its escape sequences.
    pub raw: String,
}

impl Terminal {
    /// Starts a command in a terminal of this many columns. Its standard input is the terminal.
    ///
    /// # Panics
    ///
    /// When there is no pseudo-terminal, or the command cannot be started.
    #[expect(clippy::expect_used, reason = "a test without its terminal ends here")]
    pub fn start(command: &Command, columns: u16) -> Self {
        const ROWS: NonZero<u16> = NonZero::new(50).unwrap();
        let (pty, pts) = pty_process::blocking::open().expect("a pseudo-terminal");
        pty.resize(pty_process::Size::new(ROWS.get(), columns))
            .expect("a terminal has a size");
        // The command's own standard streams would be those of the test.
        let mut inside = pty_process::blocking::Command::new(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("TERM", "xterm-256color");
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                inside = inside.env(name, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            inside = inside.current_dir(folder);
        }
        let child = inside.spawn(pts).expect("the command starts");
        Self {
            pty,
            child,
            screen: vt100::Parser::new(ROWS, columns.try_into().unwrap_or(NonZero::<u16>::MIN), 0),
            raw: Vec::new(),
        }
    }

    /// Reads until this text is on the screen.
    ///
    /// # Panics
    ///
    /// When the command ends before.
    pub fn until(&mut self, text: &str) -> &mut Self {
        while !self.screen.screen().contents().contains(text) {
            assert!(
                self.read(),
                "the command ended without {text:?}: {}",
                String::from_utf8_lossy(&self.raw)
            );
        }
        self
    }

    /// Types these characters; `\x03` is Ctrl-C.
    ///
    /// # Panics
    ///
    /// When the terminal is gone.
    #[expect(clippy::expect_used, reason = "a test without its terminal ends here")]
    pub fn press(&mut self, keys: &str) -> &mut Self {
        self.pty
            .write_all(keys.as_bytes())
            .expect("the terminal takes keys");
        self
    }

    /// Reads to the end of the command.
    ///
    /// # Panics
    ///
    /// When the command cannot be waited for.
    #[expect(clippy::expect_used, reason = "a test without its command ends here")]
    pub fn end(mut self) -> Session {
        while self.read() {}
        let status = self.child.wait().expect("the command ends");
        Session {
            status,
            screen: self.screen.screen().contents(),
            raw: String::from_utf8_lossy(&self.raw).into_owned(),
        }
    }

    /// Reads once; `false` when the other side is closed.
    fn read(&mut self) -> bool {
        let mut chunk = [0; 4096];
        // Linux reports the end of the other side as an input/output error.
        let length = self.pty.read(&mut chunk).unwrap_or(0);
        let read = chunk.get(..length).unwrap_or_default();
        self.screen.process(read);
        self.raw.extend_from_slice(read);
        length > 0
    }
}
