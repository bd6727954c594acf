//! Settings of a studio.

use uso::MicroDollars;

/// What a session may spend unless it is said: one dollar.
const BUDGET: u64 = 1_000_000;

/// Settings of a studio.
#[derive(Clone, Debug)]
#[must_use]
pub struct Settings {
    pub(crate) budget: MicroDollars,
    pub(crate) hosts: Vec<String>,
    pub(crate) is_emulated: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// A budget of $1, loopback names only, and a service that bills.
    pub fn new() -> Self {
        Self {
            budget: MicroDollars::new(BUDGET),
            hosts: Vec::new(),
            is_emulated: false,
        }
    }

    /// Caps what the page may spend until the studio is started again. The journal holds the cap:
    /// the upper bound of each purchase is reserved before the purchase is sent.
    pub fn budget(mut self, budget: MicroDollars) -> Self {
        self.budget = budget;
        self
    }

    /// A further name under which browsers reach the studio, such as `studio.lan` or
    /// `192.0.2.7:7703`; with `https://` in front, that of a TLS server that passes the requests on
    /// with their `Host`.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Says in the page that the service is an emulator, where nothing is bought.
    pub fn emulated(mut self, is_emulated: bool) -> Self {
        self.is_emulated = is_emulated;
        self
    }
}
