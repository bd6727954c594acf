//! The client that the global options ask for.

use std::time::Duration;

use uso::{ApiKey, BaseUrls, Client, Config, ErrorKind};
use uso_emulator::Emulator;

use crate::args::Global;
use crate::exit::Failure;

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
                .start()
                .await;
            let emulator = emulator.map_err(|error| {
                Failure::other(format!("the emulator could not be started: {error}"))
            })?;
            let base_urls = BaseUrls::single_origin(&emulator.origin())?;
            let client = Client::new(Config::new(ApiKey::new("emulated:key")?, base_urls))?;
            return Ok(Self {
                client,
                emulator: Some(emulator),
            });
        }
        let config = Config::from_vars(|name| match (name, &global.base_url) {
            ("USO_BASE_URL", Some(base_url)) => Some(base_url.clone()),
            _ => std::env::var(name).ok(),
        });
        let config = config.map_err(|error| {
            let no_key =
                error.kind() == ErrorKind::Config && error.to_string() == "there is no API key";
            let failure = Failure::from(error);
            if no_key {
                failure.with_hint(
                    "set FAL_KEY to a key from fal's dashboard, or try it for free with --emulator",
                )
            } else {
                failure
            }
        })?;
        Ok(Self {
            client: Client::new(config)?,
            emulator: None,
        })
    }

    pub(crate) fn is_emulated(&self) -> bool {
        self.emulator.is_some()
    }
}
