//! Keeps the fal key on the server: an axum router that web pages call in fal's place, through the
//! official client's `proxyUrl`.
//!
//! The proxy is closed by default: no caller passes but through the check that you give, no page but
//! those of the origins that you name, no target but those of one endpoint, no request id but the
//! caller's own, and no run, whose picture would be lost with its response. It passes requests and
//! responses on, adds the key, and drops every header that does not concern the page. It knows
//! nothing of pictures, and it sends nothing twice. The transport alone has the key, and sends it
//! only to the configured origins.
//!
//! ```no_run
//! use http::HeaderMap;
//! use uso_proxy::{Proxy, Settings, SharedTokens, stand_alone};
//! use uso_transport::{Config, Transport};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let transport = Transport::new(Config::from_env()?)?; // FAL_KEY stays here
//! let settings = Settings::new().allow_origin("https://app.example")?;
//! let tokens = SharedTokens::new([std::env::var("USO_PROXY_TOKEN")?])?;
//! let check = tokens.clone();
//! let proxy = Proxy::new(transport, settings, move |headers: HeaderMap| {
//!     std::future::ready(check.caller(&headers))
//! });
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:7702").await?;
//! axum::serve(listener, stand_alone(&proxy, &tokens))
//!     .with_graceful_shutdown(async move {
//!         tokio::signal::ctrl_c().await.unwrap_or_default();
//!         proxy.close().await; // every purchase has its outcome
//!     })
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! `axum::serve` has no limit for connections that send no request. `uso proxy` has one; elsewhere a
//! web server in front must have it.
//!
//! # Allowed targets
//!
//! | method | target | operation |
//! | --- | --- | --- |
//! | POST | `https://queue.fal.run/{endpoint}` | submit; `fal_max_queue_length` may be given |
//! | POST | `https://fal.run/{endpoint}` | run, with [`Settings::allow_run`] |
//! | GET | `https://queue.fal.run/{owner/alias}/requests/{id}` | result |
//! | GET | `…/{id}/status`, `…/{id}/status/stream` | status; `logs` may be given |
//! | PUT | `…/{id}/cancel` | cancel |
//! | POST | `https://rest.fal.ai/storage/upload/initiate` and `initiate-multipart` | upload, with `storage_type=fal-cdn-v3` |
//!
//! Every other target is refused, and `fal_webhook` as well: it would have fal call an address that
//! the page chooses. A target counts only in the normal form of the URL standard. Where the
//! transport has other base URLs, such as those of an emulator, fal's public names stand for them.
//!
//! # Responses
//!
//! | response | when |
//! | --- | --- |
//! | that of the service | otherwise: status and body as they came, streams as they come |
//! | 400, a JSON string | no target, a target that is not allowed, a reserved header, no JSON object, a size or a number that could be read in two ways |
//! | 401, `"Unauthorized"` | the check knows no caller |
//! | 403 | the origin of the page is not allowed; a purchase costs more than the limit of a whole day; the account's budget has no room for a purchase |
//! | 404, in the service's words | the request is not the caller's, or does not exist |
//! | 409 | the same input while it is being bought, or a moment after its response was lost |
//! | 413, 408 | the body is too large, or too slow |
//! | 429 with `Retry-After` | the caller's share is used up: requests a minute or at once, money, memory, requests that are kept |
//! | 502, 504 | the service was not reached, or did not respond; the text says whether a purchase may have been accepted |
//! | 503 | the proxy is closing, cannot record purchases, or (with `Retry-After`) has no room: streams, memory, requests that are kept |
//!
//! # Headers
//!
//! These headers of a page go to the service: `accept`, `user-agent`,
//! `x-app-fal-disable-fallback`, `x-fal-no-retry`, `x-fal-queue-priority`,
//! `x-fal-request-start-timeout`, `x-fal-request-timeout` and `x-fal-runner-hint`. A body is always
//! sent as `application/json`. Any other header is dropped, whatever a newer service makes of it.
//!
//! The account decides these headers, and a page that sets one gets 400: `x-fal-store-io` (a
//! purchase without stored payload cannot be found again when its response is lost),
//! `x-fal-object-lifecycle` and `x-fal-object-lifecycle-preference` (how long files are kept and who
//! may read them), `x-fal-tags` (the label on the bill), `x-fal-user-id` (the team that pays),
//! `x-fal-retry-config` (how often the account's own apps are run again).
//!
//! Of the service's headers, those about the body, `retry-after` and `x-fal-*` go to the page. All
//! responses are `no-store`: they share one URL.
//!
//! # Buying once
//!
//! The official clients repeat a submit, although the first may have been accepted: the JavaScript
//! client after a 502, a 503 or a 504, and in Node after a broken connection; the Python client also
//! after a 409. So the same input of the same caller is refused with 409 while it is being bought,
//! and for two minutes after its outcome or its response was lost. The response names the request id
//! if it is known, and the caller can collect the request by it. To buy two pictures of one input at
//! once, give each a seed of its own.
//!
//! The Python client repeats the POST on this 409 as well, up to ten times in about a minute. Each
//! attempt gets the same 409, nothing is bought, and the client ends with the status 409 and the
//! proxy's text.
//!
//! The deduplication does not cover:
//!
//! - a browser that is gone without closing its connection: a response that the connection took
//!   counts as received;
//! - a person who waits for more than two minutes, or who changes anything in the input;
//! - a restart, with [`MemoryRecords`]: owners, repeated inputs and spending are forgotten with the
//!   process.
//!
//! # Records
//!
//! Each [`Purchase`] is recorded before it is sent and again when its outcome is known, also when the
//! browser has left: in [`Records`], and as `tracing` events of the target `uso_proxy::purchase`. A
//! purchase that cannot be recorded is not sent. An outcome that cannot be recorded is recorded again
//! until that succeeds, and the caller can collect the request meanwhile. A record without an
//! outcome, after a kill, means that the outcome is unknown: look for the purchase in the account.
//! After a restart, [`Proxy::adopt`] gives callers their requests back.

mod allowed_target;
mod caller;
mod cors;
mod endpoint;
mod handler;
mod headers;
mod memory_records;
mod pass_through;
mod price;
mod proxy;
mod purchase;
mod purchase_task;
mod records;
mod refusal;
mod request_body;
mod request_id_scan;
mod routes;
mod settings;
mod shared_state;
mod shared_tokens;
mod spending;
mod traffic;
mod unrecorded;

pub use crate::caller::Caller;
pub use crate::memory_records::MemoryRecords;
pub use crate::proxy::Proxy;
pub use crate::purchase::Purchase;
pub use crate::records::{
    Guard, NOT_REPEATED_FOR, NotBegun, PurchaseLimits, Recording, Records, RecordsError,
};
pub use crate::routes::{PROXY_PATH, SESSION_PATH, stand_alone};
pub use crate::settings::Settings;
pub use crate::shared_tokens::SharedTokens;

#[doc = include_str!("../docs/web-pages.md")]
pub mod guide {}
