//! The client that the global options ask for.

use std::time::Duration;

use uso::{ApiKey, BaseUrls, Client, Config};
use uso_emulator::{Emulator, PictureMode};

use crate::args::Global;
use crate::cmd::purchase::forget;
use crate::exit::Failure;
use crate::output::Printer;
use crate::state::State;

/// Long enough to be seen, short enough not to be waited for.
const INFERENCE_TIME: Duration = Duration::from_millis(300);

/// A client, and the emulator it talks to when there is one in this process.
pub(crate) struct Connection {
    pub(crate) client: Client,
    emulator: Option<Emulator>,
}

impl Connection {
    /// The emulator is used when it is asked for, and never chosen silently.
    pub(crate) async fn open(global: &Global) -> Result<Self, Failure> {
        if global.emulator {
            let emulator = Emulator::builder()
                .inference_time(INFERENCE_TIME)
                .picture(PictureMode::Restyled)
                .start()
                .await;
            let emulator = emulator.map_err(|error| {
                Failure::other(format!("the emulator could not be started: {error}"))
            })?;
            let base_urls = BaseUrls::single_origin(&emulator.origin())?;
            let client = Client::new(Config::new(
                ApiKey::new("emulated:key").map_err(uso::Error::from)?,
                base_urls,
            ))?;
            return Ok(Self {
                client,
                emulator: Some(emulator),
            });
        }
        let variable = |name: &str| variable(global, name);
        let set = |name| variable(name).is_some_and(|value| !value.trim().is_empty());
        let has_key = set("FAL_KEY") || (set("FAL_KEY_ID") && set("FAL_KEY_SECRET"));
        let config = Config::from_vars(variable).map_err(|error| {
            let failure = Failure::from(error);
            if has_key {
                return failure;
            }
            failure.with_hint(
                "set FAL_KEY to a key from fal's dashboard, or try it for free with --emulator",
            )
        })?;
        Ok(Self {
            client: Client::new(config)?,
            emulator: None,
        })
    }

    pub(crate) fn is_emulated(&self) -> bool {
        self.emulator.is_some()
    }

    /// What tells the services apart that records belong to.
    pub(crate) fn origin(&self) -> String {
        origin(&self.client)
    }

    /// Forgets the record of a request that is over, unless another process works on it.
    pub(crate) fn settle(&self, request_id: &str, printer: &Printer) {
        if self.is_emulated() {
            return;
        }
        let Ok(state) = State::locate() else { return };
        if let Some(entry) = state.take_by_id(&self.origin(), request_id) {
            forget(entry, printer);
        }
    }
}

/// What tells the services apart that records belong to.
pub(crate) fn origin(client: &Client) -> String {
    client.config().base_urls().queue().to_string()
}

/// The hosts that the global options and the environment name, for what needs no key.
pub(crate) fn base_urls(global: &Global) -> Result<BaseUrls, Failure> {
    Ok(BaseUrls::from_vars(|name| variable(global, name))?)
}

fn variable(global: &Global, name: &str) -> Option<String> {
    match (name, &global.base_url) {
        ("USO_BASE_URL", Some(base_url)) => Some(base_url.clone()),
        _ => std::env::var(name).ok(),
    }
}
