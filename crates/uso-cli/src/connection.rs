//! The client that the global options and the environment describe.

use std::time::Duration;

use uso::{ApiKey, BaseUrls, Client, Config};
use uso_emulator::{Emulator, PictureMode};

use crate::args::Global;
use crate::credentials;
use crate::environment;
use crate::failure::Failure;

/// Long enough to be seen, short enough not to be waited for.
const INFERENCE_TIME: Duration = Duration::from_millis(300);

/// A client, and the emulator that it talks to when there is one in this process.
pub(crate) struct Connection {
    pub(crate) client: Client,
    emulator: Option<Emulator>,
}

impl Connection {
    /// The emulator is used when it is asked for, and never chosen silently.
    pub(crate) async fn open(global: &Global) -> Result<Self, Failure> {
        Self::configured(global, |config| config).await
    }

    /// As [`Connection::open`], with another limit for the wait for a job.
    pub(crate) async fn waiting(global: &Global, limit: Option<Duration>) -> Result<Self, Failure> {
        Self::configured(global, |config| match limit {
            Some(limit) => config.finish_within(limit),
            None => config,
        })
        .await
    }

    /// As [`Connection::open`], with other settings.
    pub(crate) async fn configured(
        global: &Global,
        configure: impl FnOnce(Config) -> Config,
    ) -> Result<Self, Failure> {
        let (config, emulator) = match global.emulator {
            true => {
                let emulator = Emulator::builder()
                    .inference_time(INFERENCE_TIME)
                    .picture(PictureMode::Restyled)
                    .start()
                    .await;
                let emulator = emulator.map_err(|error| {
                    Failure::other(format!("the emulator could not be started: {error}"))
                })?;
                let base_urls = BaseUrls::single_origin(&emulator.origin())?;
                let key = ApiKey::new("emulated:key").map_err(uso::Error::from)?;
                (Config::new(key, base_urls), Some(emulator))
            }
            false => (config(global)?, None),
        };
        Ok(Self {
            client: Client::new(configure(config))?,
            emulator,
        })
    }

    pub(crate) fn is_emulated(&self) -> bool {
        self.emulator.is_some()
    }

    /// The service that records belong to.
    pub(crate) fn origin(&self) -> String {
        origin(&self.client)
    }
}

/// The settings of the client, with the key from the environment or from `uso login`.
pub(crate) fn config(global: &Global) -> Result<Config, Failure> {
    let set = |name: &str| variable(global, name).is_some_and(|value| !value.trim().is_empty());
    let has_key = set("FAL_KEY") || (set("FAL_KEY_ID") && set("FAL_KEY_SECRET"));
    let stored = match has_key {
        true => None,
        false => credentials::stored()?,
    };
    if !has_key && stored.is_none() {
        for (given, missing) in [
            ("FAL_KEY_ID", "FAL_KEY_SECRET"),
            ("FAL_KEY_SECRET", "FAL_KEY_ID"),
        ] {
            if set(given) {
                let message = format!("{given} is set, and {missing} is not");
                return Err(Failure::auth(message)
                    .with_hint(format!("set {missing} too, or FAL_KEY to the whole key")));
            }
        }
        return Err(
            Failure::auth("there is no key: FAL_KEY is not set, and none is stored")
                .with_hint(no_key_hint(global)),
        );
    }
    let variable = |name: &str| match name {
        "FAL_KEY" if stored.is_some() => stored.clone(),
        name => variable(global, name),
    };
    for name in ["FAL_KEY", "FAL_KEY_ID", "FAL_KEY_SECRET"] {
        let value = variable(name).filter(|value| !value.trim().is_empty());
        if let Some(Err(error)) = value.map(ApiKey::new) {
            let name = match stored {
                Some(_) => "the stored key",
                None => name,
            };
            return Err(Failure::auth(format!("{name}: {error}"))
                .with_hint("copy the key from fal's dashboard again, as one line without blanks"));
        }
    }
    Ok(Config::from_vars(variable)?)
}

fn no_key_hint(global: &Global) -> &'static str {
    match global.base_url.is_some() || std::env::var_os("USO_BASE_URL").is_some() {
        true => "set FAL_KEY; an emulator takes any key, such as FAL_KEY=any:key",
        false => {
            "set FAL_KEY to a key from fal's dashboard, or store one with uso login; without an account, run uso emulator in another terminal and use the line that it prints, or try uso restyle or uso studio with --emulator"
        }
    }
}

/// The service that records belong to.
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
        _ => environment::variable(name),
    }
}
