//! Keeps the fal key on the server: an axum router that web pages call in fal's place, through the
//! official client's `proxyUrl`.
//!
//! It is closed by default: nobody is let in but by the check that you give it, no page but those
//! of the origins that you name, no target but those of one endpoint, no request id but the caller's
//! own, and no run, whose picture would be lost with its answer. It passes requests on and answers
//! back, adds the key on the one way and drops what is not the page's on the other. It must not know what a picture is, retry anything, or let the key out:
//! the transport alone has it, and sends it only to the configured origins.
//!
//! ```no_run
//! use axum::Router;
//! use http::HeaderMap;
//! use uso_proxy::{PROXY_PATH, Proxy, Settings, SharedTokens};
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
//! let router = Router::new().nest_service(PROXY_PATH, proxy.router());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:7702").await?;
//! let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
//! uso_proxy::serve(listener, router, proxy, stop).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What goes through
//!
//! | method | target | what |
//! | --- | --- | --- |
//! | POST | `https://queue.fal.run/{endpoint}` | submit; `fal_max_queue_length` may be given |
//! | POST | `https://fal.run/{endpoint}` | run, where [`Settings::allow_run`] opens it |
//! | GET | `https://queue.fal.run/{owner/alias}/requests/{id}` | result |
//! | GET | `…/{id}/status`, `…/{id}/status/stream` | status; `logs` may be given |
//! | PUT | `…/{id}/cancel` | cancel |
//! | POST | `https://rest.fal.ai/storage/upload/initiate` and `initiate-multipart` | upload, with `storage_type=fal-cdn-v3` |
//!
//! Everything else is refused, `fal_webhook` too: it would have fal call an address of the page's
//! choice. A target counts only in the form in which the URL standard writes it. Where the transport
//! has other base URLs, such as an emulator's, fal's public names stand for them.
//!
//! # What the page is told
//!
//! | answer | when |
//! | --- | --- |
//! | as the service gave it | otherwise: status and body as they came, streams as they come |
//! | 400, a JSON string | no target, one that is not allowed, a reserved header, no JSON object, a size or a number that could be read in two ways |
//! | 401, `"Unauthorized"` | the check lets nobody in |
//! | 403 | the page's origin is not allowed; a purchase dearer than a whole day's limit |
//! | 404, as the service says it | the request is not the caller's, or not known |
//! | 409 | the same input while it is being bought, or a moment after its answer was lost |
//! | 413, 408 | the body is too large, or too slow |
//! | 429 with `Retry-After` | the caller's share is used up: requests a minute or at once, money, memory, requests that are kept |
//! | 502, 504 | the service was not reached, or did not answer; the text says whether a purchase may have been accepted |
//! | 503 | the proxy is closing, cannot record purchases, or (with `Retry-After`) has no room: streams, memory, requests that are kept |
//!
//! # Headers
//!
//! Of a page's headers, these go to the service: `accept`, `user-agent`,
//! `x-app-fal-disable-fallback`, `x-fal-no-retry`, `x-fal-queue-priority`,
//! `x-fal-request-start-timeout`, `x-fal-request-timeout` and `x-fal-runner-hint`. A body is always
//! said to be `application/json`. Others stay here, whatever a newer service would make of them.
//!
//! These are the account's to decide, and a page that sets one gets 400: `x-fal-store-io` (a
//! purchase without stored payload cannot be found again when its answer is lost),
//! `x-fal-object-lifecycle` and `x-fal-object-lifecycle-preference` (how long files are kept and who
//! may read them), `x-fal-tags` (what the bill is filed under), `x-fal-user-id` (which team pays),
//! `x-fal-retry-config` (how often the account's own apps are run again).
//!
//! Of the service's headers, those about the body, `retry-after` and `x-fal-*` go to the page. All
//! answers are `no-store`: they share one URL.
//!
//! # Buying once
//!
//! The proxy sends nothing twice. The official client does: after a 502, a 503 or a 504, and in Node
//! after a broken connection, it sends a submit again, although the first may have been accepted. So
//! the same input of the same caller is refused with 409 while it is being bought, and for two
//! minutes after its outcome or its answer was lost; where the request's id is known, the answer
//! names it, and the caller can collect it. Whoever wants two pictures of one input at once gives
//! each a seed of its own.
//!
//! What this does not cover:
//!
//! - A browser that is gone without a word. An answer that the connection took counts as delivered,
//!   also when nobody was left to read it.
//! - A person who waits for more than two minutes, or who changes anything in the input.
//! - A restart. Which request is whose, what was bought a moment ago and what was spent are kept in
//!   memory, and forgotten with the process.
//!
//! A purchase goes on when its browser leaves, and is recorded like every other one: as a `tracing`
//! event of the target `uso_proxy::purchase` when it is sent and again when its outcome is known,
//! and to [`Settings::on_purchase`] once, at the latest when the process drops it. Only a process
//! that is killed leaves the first event alone. After a restart the operator has the records and
//! `uso result`; a web service of its own that keeps them has [`Proxy::adopt`], by which callers
//! reach their requests again.

mod audit;
mod caller;
mod flights;
mod headers;
mod limits;
mod origins;
mod owners;
mod price;
mod proxy;
mod purchase;
mod refusal;
mod relay;
mod repeats;
mod serve;
mod settings;
mod stall;
mod target;
mod token;

pub use crate::audit::Purchase;
pub use crate::caller::Caller;
pub use crate::proxy::Proxy;
pub use crate::serve::{PROXY_PATH, SESSION_PATH, serve, stand_alone};
pub use crate::settings::Settings;
pub use crate::token::SharedTokens;
