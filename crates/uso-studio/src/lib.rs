//! The studio: one local web page to make pictures with `fal-ai/uso`.
//!
//! The crate is an axum router, a hand-written page and a guard in front of both. It keeps no jobs:
//! every job is a row of the journal, so that a reload, a second tab, a crash and a restart lose
//! nothing and buy nothing twice. It must not know HTTP clients, SQL, or the form of a request on the
//! wire: it buys through `uso-journal` and the facade `uso`.
//!
//! ```no_run
//! use std::net::SocketAddr;
//!
//! use uso::Client;
//! use uso_journal::Journal;
//! use uso_studio::{Settings, Studio};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let address = SocketAddr::from(([127, 0, 0, 1], 7703));
//! let journal = Journal::open_default()?;
//! let studio = Studio::open(Client::from_env()?, journal, address, Settings::new())?;
//! println!("{}", studio.url());
//! let router: axum::Router = studio.router(); // served at the address
//! # Ok(())
//! # }
//! ```
//!
//! The command `uso studio` is this program, with an accept loop that limits slow connections.
//!
//! # Purchases
//!
//! - The button shows the price of exactly this input. Its upper bound goes with the purchase, which
//!   is refused when the price has risen meanwhile.
//! - Each press of the button has a random key. A press that is sent again, by a double click, a
//!   reload or a restart in between, buys nothing more.
//! - A session, which lasts from one start of the studio to its end, has a budget: $1 unless it is
//!   said. The journal reserves the upper bound of each purchase before the purchase is sent.
//! - A studio that starts goes on with the jobs that an earlier studio left. Jobs of the command line
//!   and of batches are shown, with their verbs, and are left to their own commands.
//! - A purchase whose response was lost is looked up, and never sent again unless it was written off.
//!
//! # Access
//!
//! A page that can spend is a target, and loopback is no boundary: every page in the same browser can
//! send requests to it. Before routing, each request has to name one of the studio's hosts exactly
//! (a rebound name does not); a change has to come from the studio's own origin, as JSON or as the
//! bounded bytes of a picture, with the cookie and with a header; a read of anything but the page's
//! own files needs the cookie. The token is in the fragment of the URL, which the page removes; the
//! page exchanges the token for the cookie (`HttpOnly`, `SameSite=Strict`) and for the value of the
//! header, which the page keeps in the storage of its origin. The token lies beside the journal in a
//! file of its owner alone, and is new when that file was removed. Nothing inline runs, no text becomes
//! markup, no other host is asked, and no other page can frame this one.
//!
//! What is left: HTTP is clear text, so that an address that other machines reach needs a server with
//! TLS in front ([`Settings::allow_host`] takes its origin); the token of the fragment is in the browser's memory until the page is closed; and a
//! browser sends the cookie to the servers of every port of this machine, so that a server of another
//! user whose page is opened in the same browser can read jobs and pictures, and change nothing.
//!
//! # Compared with other pages
//!
//! From the public documentation and the issue threads of each project, read on 26 November 2026.
//!
//! | | studio | fal's playground | fal's sandbox | InvokeAI | ComfyUI |
//! | --- | --- | --- | --- | --- | --- |
//! | price before | of this input, on the button; upper bound where it differs | of the model | models × quantity, before the submit | local, no price | badge of each API node, wrong at times |
//! | price after | estimated against billed, of each job | – | – | – | the server's header |
//! | pictures by role | content and up to two styles; a wrong mix cannot be made | flat array of URLs for this endpoint | by operation | reference slots | by node |
//! | hard budget | of the session, reserved before the submit | – | – | – | – |
//! | queue and log | position, log, elapsed time | yes | yes | queue tab, retry | yes |
//! | history after a reload | yes, and after a crash and a restart | in the dashboard | yes | yes | weak |
//! | compare | slider, beside, instant switch, two jobs with their differences | – | over models | slider, beside | node |
//! | seeds | lock, lists, the seed of each result | field | – | remix without seed | yes |
//! | keyboard | everything, and shortcuts outside of fields | – | – | good | some |
//! | lost response | row `unknown`, looked up, never sent again unasked | – | – | – | – |
//!
//! A dash means that none was found. What the others have and the studio has not: other models, search
//! by picture or colour and links to share (sandbox), canvas and layers (InvokeAI), graphs (ComfyUI).

mod access;
mod body;
mod buying;
mod draft;
mod following;
mod guard;
mod headers;
mod hosts;
mod inputs;
mod job_view;
mod jobs;
mod json;
mod live;
mod options;
mod page;
mod pictures;
mod quote;
mod refusal;
mod routes;
mod settings;
mod shared;
mod small_jpeg;
mod studio;
mod thumbnails;
mod verbs;

pub use crate::settings::Settings;
pub use crate::small_jpeg::small_jpeg;
pub use crate::studio::Studio;

#[doc = include_str!("../docs/studio.md")]
pub mod guide {}
