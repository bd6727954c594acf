//! Clients for tests against a local emulator.
//!
//! Start an emulator (`uso emulator`, or the crate `uso-emulator` as a development dependency) and
//! give its origin to [`client`]:
//!
//! ```no_run
//! # async fn example() -> uso::Result<()> {
//! use uso::Request;
//!
//! let client = uso::testing::client("http://127.0.0.1:7700")?;
//! let output = client.generate(Request::subject("https://example.org/a.png", "a cat")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Deadlines such as the search for a lost submit pass at once on Tokio's paused clock
//! (`#[tokio::test(start_paused = true)]`, feature `test-util` of Tokio), which works with the real
//! sockets of the emulator.

use std::time::Duration;

use uso_transport::{ApiKey, BaseUrls, Config, Result, RetryPolicy};

use crate::client::Client;

/// Settings for the emulator at this origin: a made-up key, and repeats after milliseconds.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) when the origin is not one.
pub fn config(origin: &str) -> Result<Config> {
    let pause = Duration::from_millis(5);
    let retry = RetryPolicy::default()
        .first_delay(pause)
        .longest_delay(pause);
    let key = ApiKey::new("test-id:test-secret")?;
    Ok(Config::new(key, BaseUrls::single_origin(origin)?).retry(retry))
}

/// A client of the emulator at this origin, with the settings of [`config`].
///
/// # Errors
///
/// As [`config`].
pub fn client(origin: &str) -> Result<Client> {
    Client::new(config(origin)?)
}
