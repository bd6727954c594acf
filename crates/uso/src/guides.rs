//! Guides, a page for each task.
//!
//! | guide | subject |
//! | --- | --- |
//! | [`money`] | what a picture costs, what an error costs, and caps |
//! | [`local_pictures`] | what happens to a picture file before it is sent |
//! | [`testing`] | the emulator in your tests |
//! | [`webhooks`] | notifications when a job has ended |
//! | [`other_endpoints`] | typed calls of any endpoint of fal |
//! | [`from_fal_clients`] | fal's JavaScript and Python clients, call by call |
//! | [`speed`] | time and memory, measured |
//! | [`unknowns`] | what fal does not publish |
//!
//! Guides of the other crates: [durable buying], [batches] and [several machines], the [studio],
//! [agents], and a [proxy] for web pages.
//!
//! [durable buying]: https://docs.rs/uso-journal/latest/uso_journal/guides/durable_buying/index.html
//! [batches]: https://docs.rs/uso-journal/latest/uso_journal/guides/batches/index.html
//! [several machines]: https://docs.rs/uso-journal/latest/uso_journal/guides/fleet/index.html
//! [studio]: https://docs.rs/uso-studio/latest/uso_studio/guide/index.html
//! [agents]: https://docs.rs/uso-cli/latest/uso_cli/agents/index.html
//! [proxy]: https://docs.rs/uso-proxy/latest/uso_proxy/guide/index.html

#[cfg(doc)]
use crate::{
    BaseUrls, Client, Config, Error, Job, Output, Request, Ticket, config,
    endpoint::Endpoint,
    error::Verdict,
    faults, pictures,
    purchase::{Order, Recovery},
    webhook,
};

#[doc = include_str!("../docs/money.md")]
pub mod money {}

#[doc = include_str!("../docs/local-pictures.md")]
pub mod local_pictures {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/webhooks.md")]
pub mod webhooks {}

#[doc = include_str!("../docs/other-endpoints.md")]
pub mod other_endpoints {}

#[doc = include_str!("../docs/from-fal-clients.md")]
pub mod from_fal_clients {}

#[doc = include_str!("../docs/speed.md")]
pub mod speed {}

#[doc = include_str!("../docs/unknowns.md")]
pub mod unknowns {}
