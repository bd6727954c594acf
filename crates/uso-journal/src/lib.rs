//! Durable purchases: a journal that buys at most once for a key, however many callers, processes
//! and restarts use the key.
//!
//! The crate is the wall around SQL. It must not know HTTP, nor the form of a request on the wire:
//! it buys through the facade `uso`.
//!
//! ```no_run
//! use uso::{Client, Request};
//! use uso_journal::{Journal, State};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::from_env()?;
//! let journal = Journal::open_default()?;
//! let purchase = journal
//!     .purchase(&client, "catalogue/1234", Request::restyle("photo.jpg", "ink.webp"))
//!     .folder("pictures")
//!     .await?;
//! match purchase.state {
//!     State::Done => println!("{}", purchase.pictures[0].path.display()),
//!     State::Unknown => println!("{} may have been bought: do not use another key", purchase.id),
//!     other => println!("{other}: {:?}", purchase.reason),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is guaranteed
//!
//! - **At most one purchase a key.** The row `sending` is on disk before the POST leaves, and the
//!   request id is on disk before anything waits for the job. A process that dies in between leaves
//!   the row `unknown`, which is looked up in the account's listing and never sent again by itself.
//! - **Nothing that was bought is forgotten**, also when the power fails: every change from
//!   `sending` on is synced to the disk before its caller goes on. A reservation is seen by every
//!   process at once and reaches the disk with `sending`.
//! - **A purchase is closed only on proof**: every picture is whole on disk and its folder is
//!   synced; or nothing was bought; or the service said twice that the job failed or was cancelled;
//!   or its owner wrote it off. Every closed purchase that was sent can be reopened.
//! - **Caps hold**, over all processes of one journal: the upper bound of a purchase is reserved in
//!   the transaction that claims it, and settled by the bill. A purchase that is `unknown` stays
//!   reserved. A bill above the upper bound is booked as it is, and may exceed a cap afterwards.
//! - **Accounts never mix**: every row belongs to one service and one account (a digest of the key's
//!   id), and only a client of both sees it.
//!
//! What is left: a process that is frozen between the last look at its row and the POST, for longer
//! than it takes another process to be told that it is dead, cannot occur on one machine, because a
//! frozen process keeps its lock. A disk that reports a sync and does not do one can forget the last
//! commits; a copy of the file that is restored forgets what was bought since, so that its keys buy
//! again.
//!
//! # On a server
//!
//! With the feature `postgres`, [`Journal::connect`] takes a `postgres://` URL, and any number of
//! machines share the journal. Rows, states and guarantees are the same; [`guides::fleet`] says how
//! the machines share the work, and what a lease is.
//!
//! # Why a database and a state machine
//!
//! A program that sends one POST and is killed after the response arrived and before the engine noted
//! it, then started again, sent on engines that were tried:
//!
//! | engine | POSTs | reported as |
//! | --- | --- | --- |
//! | DBOS for Rust 0.5.0 with PostgreSQL 15 | 2 | success |
//! | apalis 1.0.0 with apalis-sqlite 1.0.0 | 2 | done |
//! | Restate 1.7.12 with restate-sdk 0.13, one attempt | 2 | completed |
//!
//! An engine repeats a step whose end it does not know, which is right for every step that costs
//! nothing. None has a state for "sent, and the response is not known". That state, and the look into
//! the account's listing that ends it, is what the journal adds; claims, locks, transactions and
//! durability are those of the database.
//!
//! # States
//!
//! `pending → reserved → sending → submitted → done | failed | cancelled`, and `unknown` beside
//! `submitted` where the response to the submit was lost. [`State`] says what each one means,
//! [`Cause`] why a purchase is in it.
//!
//! | state | the next [`Journal::purchase`] with its key |
//! | --- | --- |
//! | no row, `pending`, `failed` with nothing bought | buys |
//! | `reserved`, `sending` of a process that lives | waits, and returns what that process is told |
//! | `reserved` of a dead process | buys |
//! | `sending` of a dead process, `unknown` | looks it up once; returns `unknown`, or collects it |
//! | `submitted` | waits for the job and saves its pictures |
//! | `done`, `failed`, `cancelled`, pruned | returns it |
//!
//! A failed or cancelled purchase is bought again by [`Buy::again`], or after [`Journal::retry`]; an
//! unknown one is written off first, with [`Journal::write_off`].
//!
//! # In a workflow engine
//!
//! Workflow engines run a step again when a process dies between the step and its checkpoint. With
//! the journal inside, the repeated step finds the first purchase: [`guides::durable_buying`] has
//! DBOS, Temporal, Restate and cron.
//!
//! # The file
//!
//! One SQLite file in WAL mode, synced as said above, `-wal` and `-shm` beside it, and a folder
//! `-workers` with a lock for each process that has it open. Folder and files are readable by their
//! owner alone; the contents are not encrypted. They hold prompts, the URLs of pictures and
//! webhooks, and paths, until [`Journal::prune`] erases them; they never hold an API key. Copy the
//! file with SQLite's own backup (`sqlite3 journal.db '.backup copy.db'`), not while it is open.
//!
//! Other programs may read the view `jobs`, whose columns are stable:
//!
//! ```sql
//! SELECT id, key, batch, origin, account, endpoint, state, attempt, cause, kind, message, request_id,
//!        fingerprint, input, pictures, seed, estimate_micro_dollars, reserved_micro_dollars,
//!        billed_micro_dollars, created_at, changed_at
//! FROM jobs WHERE state = 'unknown';
//! ```
//!
//! A network file system is refused, since WAL needs memory that all processes share. The library
//! refuses a SQLite older than 3.51.3, which can damage a file that several processes write to.

mod active;
mod asked;
mod awaited;
mod batch;
mod batch_event;
mod batch_row;
mod buy;
mod cancel;
mod claiming;
mod columns;
mod difference;
mod driver;
mod error;
pub mod guides;
mod host;
mod import;
mod jobs;
mod journal;
mod money;
mod notified;
mod offers;
mod pace;
pub mod path_text;
mod place;
#[cfg(feature = "postgres")]
mod postgres;
mod progress;
mod purchase;
mod relay;
mod relays;
mod row;
mod save;
mod saved_file;
mod sendable;
mod shared;
mod source;
mod sqlite;
mod state;
mod stop;
mod store;
mod submits;
mod target;
mod verbs;
mod watch;
mod work;
mod worker;

pub use crate::batch::{Batch, Run};
pub use crate::batch_event::{BatchEvent, RowOutcome, Stopped, Summary};
pub use crate::batch_row::BatchRow;
pub use crate::buy::Buy;
pub use crate::cancel::{CancelOutcome, Cancelled};
pub use crate::error::{BudgetStop, Error, Scope};
pub use crate::import::Imported;
pub use crate::jobs::Jobs;
pub use crate::journal::Journal;
pub use crate::money::{Budget, Quote, UnitPrice};
pub use crate::notified::Notified;
pub use crate::progress::Progress;
pub use crate::purchase::{Cause, Cost, LocalId, NoLocalId, Purchase, Reason, SavedPicture};
pub use crate::relay::{Relay, RelayEnd, RelayGuard, RelayLimits, RelayRefusal};
pub use crate::row::NotAllowed;
pub use crate::state::State;
pub use crate::stop::Stop;
pub use crate::target::Target;
pub use crate::watch::{Watch, WatchEvent};

// The examples of the README are compiled with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
