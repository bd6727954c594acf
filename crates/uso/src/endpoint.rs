//! Other endpoints of fal, with typed inputs and outputs and the promises of this crate.
//!
//! `cargo xtask codegen --schema flux.json --for-uso --out src/flux.rs` writes the types of any
//! document that fal publishes; types of your own that serde can read and write do as well.
//!
//! ```no_run
//! # mod flux {
//! #     pub const ENDPOINT_ID: &str = "fal-ai/flux/schnell";
//! #     #[derive(Default, serde::Serialize)]
//! #     pub struct FluxSchnellInput { pub prompt: String, pub seed: Option<u64> }
//! #     impl FluxSchnellInput {
//! #         pub fn validate(&self) -> Result<(), uso::endpoint::support::Violations> { Ok(()) }
//! #     }
//! #     #[derive(serde::Deserialize)]
//! #     pub struct Image { pub url: String }
//! #     #[derive(serde::Deserialize)]
//! #     pub struct FluxSchnellOutput { pub images: Vec<Image> }
//! # }
//! use flux::{ENDPOINT_ID, FluxSchnellInput, FluxSchnellOutput};
//! use uso::endpoint::Endpoint;
//!
//! # async fn example(client: uso::Client) -> uso::Result<()> {
//! let flux = Endpoint::<FluxSchnellInput, FluxSchnellOutput>::new(&client, ENDPOINT_ID)?;
//! let prompt = "a lighthouse at dusk".to_owned();
//! let input = FluxSchnellInput { prompt, seed: Some(7), ..Default::default() };
//! input.validate()?; // bounds of the schema
//! let job = flux.submit(&input).await?;
//! println!("{}", job.ticket().request_id()); // flux.job(ticket) resumes the job
//! let output = job.wait().await?;
//! output.save(&output.value.images[0].url, "lighthouse.png").await?;
//! # Ok(())
//! # }
//! ```
//!
//! A submit is sent again only when it provably never left, and is looked for in the account's
//! list of requests when its response is lost. The list is searched for exactly this input: give
//! each purchase a seed of its own where the endpoint takes one, since two purchases of the same
//! input cannot be told apart.
//!
//! The price of another endpoint is not known here, and its pictures are not made fit. Where a
//! purchase has to survive its process, `Journal::purchase_order` of `uso-journal` buys an
//! [`Endpoint::order`].
//!
//! In tests, `uso_emulator::Emulator::builder().endpoint(document)` serves an endpoint by its
//! document, with outputs that are made up.

mod typed_output;

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uso_transport::{
    EndpointId, Error, ErrorKind, Intent, InvalidEndpointId, Operation, Order, Result, Ticket,
};
/// Support of generated types: bounds check, decoding of unions, lossy decoding of results.
pub use uso_types::support;

pub use self::typed_output::TypedOutput;
use crate::client::Client;
pub use crate::from_result::FromResult;
use crate::job::Job;
use crate::recovery::Recovery;
use crate::runtime;

/// An endpoint of fal, with the types of its input and output.
pub struct Endpoint<I, O> {
    client: Client,
    id: EndpointId,
    types: PhantomData<fn(&I) -> O>,
}

impl<I, O> Clone for Endpoint<I, O> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            id: self.id.clone(),
            types: PhantomData,
        }
    }
}

impl<I, O> fmt::Debug for Endpoint<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<I, O> Endpoint<I, O> {
    /// The endpoint of this id, called through a client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the text is not the id of an endpoint.
    pub fn new(client: &Client, id: &str) -> Result<Self> {
        let invalid = |error: InvalidEndpointId| {
            Error::new(Operation::Prepare, ErrorKind::Input, error.to_string())
        };
        Ok(Self {
            client: client.clone(),
            id: id.parse().map_err(invalid)?,
            types: PhantomData,
        })
    }
}

impl<I: Serialize, O: DeserializeOwned> Endpoint<I, O> {
    /// The order of an input; nothing is sent. Its [`intent`](Order::intent) can be written down
    /// before [`Endpoint::place`] buys it; of an order that was made some time ago, that of
    /// [`Order::again`], which is then placed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the input is not a JSON object.
    pub fn order(&self, input: &I) -> Result<Order> {
        let body = serde_json::to_vec(input).map_err(|error| {
            let why = "the input cannot be written as JSON";
            Error::new(Operation::Prepare, ErrorKind::Input, why).with_source(error)
        })?;
        Order::new(self.id.clone(), body, self.client.config().start_limit())
    }

    /// Buys an order, once, as [`Client::place`](crate::Client::place) does.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::place`](crate::Client::place).
    ///
    /// # Errors
    ///
    /// As [`Client::place`](crate::Client::place).
    pub async fn place(&self, order: &Order) -> Result<Job<TypedOutput<O>>> {
        Ok(self.job(self.client.buy(order).await?))
    }

    /// Buys a job: [`Endpoint::order`] and [`Endpoint::place`] in one.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::submit`](crate::Client::submit).
    ///
    /// # Errors
    ///
    /// As [`Endpoint::order`] and [`Endpoint::place`].
    pub async fn submit(&self, input: &I) -> Result<Job<TypedOutput<O>>> {
        self.place(&self.order(input)?).await
    }

    /// The job of a ticket, which may come from another process.
    pub fn job(&self, ticket: Ticket) -> Job<TypedOutput<O>> {
        Job::new(self.client.transport().clone(), ticket)
    }

    /// Finds out what became of a purchase whose response was lost.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// As [`Client::recover`](crate::Client::recover).
    pub async fn recover(&self, intent: &Intent) -> Result<Recovery<TypedOutput<O>>> {
        runtime::check(Operation::Find)?;
        let recovered = self.client.transport().recover(intent).await?;
        Ok(Recovery::of(recovered, |ticket| self.job(ticket)))
    }
}
