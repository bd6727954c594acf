//! SIGINT and SIGTERM: handled first, and then the process ends by the signal.

use std::io;

/// A signal that asks the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix sends it"))]
    Terminate,
}

impl Signal {
    /// The signal's number on every Unix.
    fn number(self) -> u8 {
        match self {
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }

    /// The exit code that a shell shows for a process that the signal ended.
    pub(crate) fn exit_code(self) -> u8 {
        128 + self.number()
    }
}

/// Ends the process by the signal itself, so that a shell loop or a script around the command
/// stops too: an exit code alone would let it go on.
pub(crate) fn end_by(signal: Signal) {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let number = match signal {
            Signal::Interrupt => SIGINT,
            Signal::Terminate => SIGTERM,
        };
        // It returns only when the default action could not be taken; the exit code is left then.
        let _ = signal_hook::low_level::emulate_default_handler(number);
    }
    let _ = signal;
}

/// Listens from now on: these signals no longer end the process by themselves.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    /// The next signal.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> Signal {
        let (received, signal) = tokio::select! {
            received = self.interrupt.recv() => (received, Signal::Interrupt),
            received = self.terminate.recv() => (received, Signal::Terminate),
        };
        if received.is_none() {
            std::future::pending::<()>().await;
        }
        signal
    }

    /// The next signal.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}
