//! A program that buys through a journal, for the tests that kill it, run many of it, or cut its
//! power.
//!
//! Arguments: journal, origin of the emulator, folder of the pictures, cap in dollars or `-`, how
//! many at a time, keys. Each outcome is a line of JSON on stdout.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uso::config::RetryPolicy;
use uso::{Client, ImageSize, MicroDollars, Request};
use uso_journal::{Error, Journal};
use uso_tests::rig::{config_for, content};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [journal, origin, folder, cap, at_once, keys @ ..] = arguments.as_slice() else {
        return Err("arguments: JOURNAL ORIGIN FOLDER CAP AT_ONCE KEY...".into());
    };
    let delay = Duration::from_millis(5);
    let quick = RetryPolicy::default()
        .first_delay(delay)
        .longest_delay(delay);
    let config = config_for(origin)?
        .answer_within(Duration::from_secs(20))
        .without_reconciliation()
        .retry(quick);
    let client = Client::new(config)?;
    let journal = Journal::connect(journal).await?;
    let cap: Option<MicroDollars> = match cap.as_str() {
        "-" => None,
        cap => Some(cap.parse()?),
    };
    if cap.is_some() {
        journal.set_caps(&client, None, cap).await?;
    }
    let gate = std::sync::Arc::new(Semaphore::new(at_once.parse()?));
    let mut buying = JoinSet::new();
    for key in keys {
        let size = ImageSize {
            width: Some(1000),
            height: Some(1000),
        };
        let request =
            Request::subject(content(), key).size(uso::types::ImageSizeChoice::from(size));
        let buy = journal.purchase(&client, key, request).folder(folder);
        let gate = std::sync::Arc::clone(&gate);
        let key = key.clone();
        buying.spawn(async move {
            let _permit = gate.acquire_owned().await;
            (key, buy.await)
        });
    }
    while let Some(ended) = buying.join_next().await {
        let (key, outcome) = ended?;
        println!("{}", line(&key, &outcome)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn line(
    key: &str,
    outcome: &Result<uso_journal::Purchase, Error>,
) -> Result<Value, serde_json::Error> {
    Ok(match outcome {
        Ok(purchase) => serde_json::to_value(purchase)?,
        Err(Error::Budget(stop)) => json!({ "key": key, "budget": stop.to_string() }),
        Err(error) => json!({ "key": key, "error": format!("{error:#}: {error:?}") }),
    })
}
