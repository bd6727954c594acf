//! Unit tests of an application: faults of the service, assertions on money, and virtual time.
//!
//! The tests start an emulator each, and need neither an account nor a network:
//!
//! ```sh
//! cargo test --example testing
//! ```
//!
//! In an application of your own, these are the development dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! uso-emulator = "0.1"
//! ```
//!
//! The program itself takes the service from the environment, here an emulator:
//!
//! ```sh
//! uso emulator &
//! USO_BASE_URL=http://127.0.0.1:7700 FAL_KEY=any:key cargo run --example testing -- "a cat at dusk"
//! ```

use uso::error::NextStep;
use uso::{Client, Picture, Request, Result};

/// The picture whose subject the posters show.
const MASCOT: &str = "https://example.org/mascot.png";

/// Makes a poster and returns its URL. An error that says that the job is bought, or may be, is
/// followed up and not answered by a second purchase.
async fn poster(client: &Client, prompt: &str) -> Result<String> {
    let output = match client.generate(Request::subject(MASCOT, prompt)).await {
        Ok(output) => output,
        Err(error) => match error.next_step() {
            NextStep::Resume(ticket) => client.job(ticket).wait().await?,
            _ => return Err(error),
        },
    };
    let urls = output.images().iter().map(Picture::url);
    Ok(urls.collect::<Vec<_>>().join(" "))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let prompt = std::env::args().nth(1).unwrap_or_default();
    println!("{}", poster(&Client::from_env()?, &prompt).await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uso::ErrorKind;
    use uso::error::Billed;
    use uso_emulator::{Emulator, Fault, Operation, Scenario};

    use super::*;

    async fn emulator_with(scenario: Scenario) -> (Emulator, Client) {
        let emulator = Emulator::builder().scenario(scenario).start().await;
        let emulator = emulator.expect("the loopback interface is there");
        let client = uso::testing::client(&emulator.origin()).expect("the origin is a base URL");
        (emulator, client)
    }

    #[tokio::test]
    async fn a_poster_is_bought_once() {
        let (emulator, client) = emulator_with(Scenario::new()).await;
        let url = poster(&client, "a cat").await.expect("a poster");
        assert!(url.starts_with(&emulator.origin()), "{url}");
        let ledger = emulator.ledger();
        assert_eq!(ledger.purchases().len(), 1);
        assert_eq!(ledger.purchases()[0].input["prompt"], "a cat");
    }

    /// The submit is accepted and its response is lost. The client looks the purchase up in the
    /// account's listing; the clock is paused, so that the pauses between its looks take no time.
    #[tokio::test(start_paused = true)]
    async fn a_lost_response_does_not_buy_twice() {
        let lost = Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop);
        let (emulator, client) = emulator_with(lost).await;
        poster(&client, "a cat").await.expect("a poster");
        assert_eq!(emulator.ledger().purchases().len(), 1);
    }

    /// Two jobs run already, and the account may run no more: the poster waits for the ten minutes
    /// that a job has to start within, and is not billed.
    #[tokio::test(start_paused = true)]
    async fn a_poster_that_does_not_start_costs_nothing() {
        let builder = Emulator::builder().inference_time(Duration::from_secs(3600));
        let emulator = builder.start().await.expect("an emulator");
        let client = uso::testing::client(&emulator.origin()).expect("a client");
        for _ in 0..2 {
            let request = Request::subject(MASCOT, "a dog");
            client.submit(request).await.expect("a job that runs");
        }
        let error = poster(&client, "a cat").await.expect_err("no poster");
        assert_eq!(error.kind(), ErrorKind::Deadline);
        assert_eq!(error.billed(), Billed::Free);
        assert_eq!(emulator.ledger().total_micro_dollars(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_breaks_at_the_result_is_made_again() {
        let broken = Scenario::new()
            .on(Operation::Result, Fault::Status(503))
            .times(2);
        let (emulator, client) = emulator_with(broken).await;
        poster(&client, "a cat").await.expect("a poster");
        assert_eq!(emulator.ledger().billed().count(), 1);
    }
}
