//! The journal: opening it, and the verbs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uso::purchase::Order;
use uso::{Client, MicroDollars, Request};

use crate::asked::Asked;
use crate::batch::Batch;
use crate::batch_row::BatchRow;
use crate::buy::Buy;
use crate::error::Error;
use crate::import::{self, Imported};
use crate::jobs::Jobs;
use crate::money::Budget;
use crate::place;
use crate::purchase::{Purchase, to_ms};
use crate::row::Row;
use crate::shared::Shared;
use crate::source::Source;
use crate::sqlite::Sqlite;

/// Shorter starts of request ids are typing errors more often than ids.
const SHORTEST_START: usize = 4;

/// A journal of purchases. Clones share one open file; the file is closed with the last of them and
/// the work that they began.
///
/// # Cancel safety
///
/// Dropping the future of a call loses nothing: a change of the journal is made whole or not at all,
/// the work on a purchase goes on in a task of its own, and the next call goes on with what a dropped
/// one began.
#[derive(Clone, Debug)]
pub struct Journal {
    pub(crate) shared: Shared,
}

impl Journal {
    /// Opens the journal at this path, which is made if it is not there; of a folder, the file
    /// `journal.db` in it.
    ///
    /// # Errors
    ///
    /// [`Error::NetworkFileSystem`], [`Error::Newer`], [`Error::Damaged`] or [`Error::Io`]. The file
    /// is left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_at(place::file_of(path.as_ref())?, None)
    }

    /// Opens the journal that a text names: a `postgres://` URL, or a path as for [`Journal::open`].
    ///
    /// A journal on a server is shared by any number of machines. Its tables are made where they are
    /// missing, if the role may do so. What the URL leaves out comes from `PGUSER`, `PGPASSWORD`,
    /// `PGPASSFILE` (or `~/.pgpass`) and `PGSSLROOTCERT`. A server on another machine is reached with
    /// TLS and a verified certificate alone; `sslrootcert=FILE` names a private authority.
    ///
    /// # Errors
    ///
    /// As [`Journal::open`]; [`Error::Address`], [`Error::NotMigrated`], and [`Error::Database`]
    /// while the server cannot be reached. Without the feature `postgres`, [`Error::Address`].
    pub async fn connect(place: &str) -> Result<Self, Error> {
        if !place::is_url(place) {
            return Self::open(place);
        }
        #[cfg(feature = "postgres")]
        {
            let store = crate::postgres::Postgres::at(place)?;
            store.prepare().await?;
            Self::on_server(store)
        }
        #[cfg(not(feature = "postgres"))]
        Err(without_postgres())
    }

    /// As [`Journal::connect`], and neither a file nor a table is made; `None` where there is no
    /// journal.
    ///
    /// # Errors
    ///
    /// As [`Journal::connect`]. Tables of an older version on a server are [`Error::NotMigrated`].
    pub async fn existing(place: impl AsRef<Path>) -> Result<Option<Self>, Error> {
        let place = place.as_ref();
        let Some(url) = place.to_str().filter(|place| place::is_url(place)) else {
            let file = place::file_of(place)?;
            let is_there = file.exists();
            return is_there.then(|| Self::open_at(file, None)).transpose();
        };
        #[cfg(feature = "postgres")]
        {
            let store = crate::postgres::Postgres::at(url)?;
            let is_there = store.has_tables().await?;
            is_there.then(|| Self::on_server(store)).transpose()
        }
        #[cfg(not(feature = "postgres"))]
        {
            let _ = url;
            Err(without_postgres())
        }
    }

    #[cfg(feature = "postgres")]
    fn on_server(store: crate::postgres::Postgres) -> Result<Self, Error> {
        let location = store.location().to_owned();
        let beside = place::beside(&location)?;
        Ok(Self {
            shared: Shared::new(Arc::new(store), location, beside, None),
        })
    }

    /// Opens the journal that `USO_JOURNAL` names, or the one at the platform's place for the state
    /// of programs: `$XDG_STATE_HOME/uso/journal.db` or `~/.local/state/uso/journal.db`, on macOS
    /// `~/Library/Application Support/uso/journal.db`, on Windows `%LOCALAPPDATA%\uso\journal.db`.
    ///
    /// # Errors
    ///
    /// As [`Journal::open`], and [`Error::NoPlace`].
    pub fn open_default() -> Result<Self, Error> {
        Self::open(place::default_path()?)
    }

    /// The path that [`Journal::open_default`] opens.
    ///
    /// # Errors
    ///
    /// [`Error::NoPlace`].
    pub fn default_path() -> Result<PathBuf, Error> {
        place::default_path()
    }

    /// Opens a journal that is removed when it is closed: for a single run against an emulator.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when there is no place for temporary files.
    pub fn temporary() -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("uso-journal-").tempdir();
        let folder = folder.map_err(|error| Error::io(&std::env::temp_dir(), "used", error))?;
        Self::open_at(folder.path().join("journal.db"), Some(folder))
    }

    fn open_at(path: PathBuf, temporary: Option<tempfile::TempDir>) -> Result<Self, Error> {
        let store = Arc::new(Sqlite::open(&path)?);
        Ok(Self {
            shared: Shared::new(store, path.display().to_string(), path, temporary),
        })
    }

    /// Keeps in this folder what belongs to a journal on a server and stays on this machine: pictures
    /// without another place, and records of batches.
    #[must_use]
    pub fn keep_in(mut self, folder: impl AsRef<Path>) -> Self {
        self.shared.path = place::name_in(folder.as_ref());
        self
    }

    /// Location of the journal: its file, or its server and database without user and password.
    pub fn location(&self) -> &str {
        &self.shared.location
    }

    /// The journal's file. For a journal on a server, a path under which there is no file: what stays
    /// on this machine is kept beside it.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Buys what the request asks for, at most once for this key, and returns what became of it.
    ///
    /// However many callers, tasks and processes use one key, one of them buys and all are told the
    /// same. A purchase that was begun by a process that has ended is gone on with. The result is
    /// the purchase in one of the states `Done`, `Failed`, `Cancelled` and `Unknown` of
    /// [`State`](crate::State): `Unknown` means that the submit may have been accepted, and this
    /// call has looked for it in the account's listing.
    ///
    /// A purchase that failed is returned until [`Journal::retry`] asks for a new attempt. Where
    /// nothing was bought, the next call may buy.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the work goes on in a task of its own, as long as the
    /// runtime lives. The next call with the key waits for it or goes on with it.
    ///
    /// # Errors
    ///
    /// [`Error::Request`], [`Error::Conflict`], [`Error::Budget`] before anything is sent;
    /// [`Error::NotBought`] when nothing was bought; [`Error::NotCollected`] when the job is bought
    /// and its pictures are not on disk yet.
    pub fn purchase(
        &self,
        client: &Client,
        key: impl Into<String>,
        request: impl Into<Request>,
    ) -> Buy {
        Buy::new(
            self.shared.clone(),
            client.clone(),
            key.into(),
            request.into().into(),
        )
    }

    /// Buys an order of any endpoint with the promises of [`Journal::purchase`], and saves every file
    /// that its result names, and the result itself as JSON.
    ///
    /// The journal knows the price of `fal-ai/uso` alone: name the most that this order can cost with
    /// [`Buy::costs_at_most`], or it is refused under every cap.
    ///
    /// ```no_run
    /// # async fn example(client: uso::Client, journal: uso_journal::Journal) -> Result<(), Box<dyn std::error::Error>> {
    /// use serde_json::{Value, json};
    /// use uso::MicroDollars;
    /// use uso::endpoint::Endpoint;
    ///
    /// let flux = Endpoint::<Value, Value>::new(&client, "fal-ai/flux/schnell")?;
    /// let order = flux.order(&json!({ "prompt": "a lighthouse at dusk", "seed": 7 }))?;
    /// let purchase = journal
    ///     .purchase_order(&client, "lighthouse", order)
    ///     .costs_at_most(MicroDollars::new(10_000))
    ///     .await?;
    /// for file in &purchase.pictures {
    ///     println!("{}", file.path.display()); // the pictures, and the result as the last one
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`Journal::purchase`].
    ///
    /// # Errors
    ///
    /// As [`Journal::purchase`].
    pub fn purchase_order(&self, client: &Client, key: impl Into<String>, order: Order) -> Buy {
        let asked = Asked::Order(order);
        Buy::new(self.shared.clone(), client.clone(), key.into(), asked)
    }

    /// Buys what many requests ask for, each at most once for its key, some at a time. Rows that are
    /// done cost nothing and are reported as done: running a batch again goes on with it.
    ///
    /// The iterator is read as purchases begin, so that a long one takes no memory. Of two rows with
    /// one key, the second is told what the first came to, or that it asks for something else.
    ///
    /// ```no_run
    /// # async fn example(client: uso::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use uso::Request;
    /// use uso_journal::Journal;
    ///
    /// let journal = Journal::open_default()?;
    /// let rows = ["a.jpg", "b.jpg"].map(|file| (file.to_owned(), Request::restyle(file, "ink.webp")));
    /// let summary = journal.run(&client, rows).budget("5".parse::<uso::MicroDollars>()?).start().finish().await;
    /// println!("{} done, {} unknown", summary.done, summary.unknown);
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<I>(&self, client: &Client, rows: I) -> Batch
    where
        I: IntoIterator<Item: Into<BatchRow> + 'static>,
        I::IntoIter: Send + 'static,
    {
        let rows = Box::new(rows.into_iter().map(Into::into).fuse());
        let source = Source::given(rows);
        Batch::new(self.shared.clone(), client.clone(), source)
    }

    /// The purchases of this client's service and account.
    pub fn jobs(&self, client: &Client) -> Jobs {
        Jobs::new(self.shared.clone(), client.clone())
    }

    /// The purchase with this short id, request id or key, of this client's service and account. The
    /// start of a request id is enough, from four characters on.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and [`Error::Ambiguous`] for the start of several request ids.
    pub async fn find(&self, client: &Client, text: &str) -> Result<Purchase, Error> {
        Ok(self.named(client, text).await?.purchase)
    }

    /// Tells the client which pictures the service has already, so that a preview names them.
    /// [`Journal::purchase`] does this too.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn share_uploads(&self, client: &Client) -> Result<(), Error> {
        let realm = self.shared.realm(client).await?;
        self.shared.share_uploads(client, realm).await
    }

    async fn named(&self, client: &Client, text: &str) -> Result<Row, Error> {
        let realm = self.shared.realm(client).await?;
        let store = &self.shared.store;
        // A short id wins over a key that looks like one.
        if let Some(row) = store
            .named(realm, text.to_owned())
            .await?
            .into_iter()
            .next()
        {
            return Ok(row);
        }
        let mut found = match text.len() < SHORTEST_START {
            true => Vec::new(),
            false => store.starting(realm, text.to_owned()).await?,
        };
        let id = |row: &Row| row.purchase.request_id().unwrap_or_default().to_owned();
        if let [one, other, ..] = found.as_slice() {
            return Err(Error::Ambiguous {
                text: text.to_owned(),
                ids: (id(one), id(other)),
            });
        }
        found.pop().ok_or_else(|| Error::NotFound(text.to_owned()))
    }

    /// Erases input, URLs and paths of closed purchases that have not changed for this long. Key,
    /// fingerprint and outcome stay: the key of what was bought still buys nothing. Says of how many.
    ///
    /// Of a proxy's purchases the names of their owners are erased as well, once a day has passed, for
    /// which the spending of each owner counts. A purchase that may be bought and has no request id
    /// keeps its owner, because nothing else tells whose it is; [`Journal::write_off`] closes it.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn prune(&self, client: &Client, older_than: Duration) -> Result<u64, Error> {
        let realm = self.shared.realm(client).await?;
        let before = SystemTime::now().checked_sub(older_than);
        let before = before.map_or(0, to_ms);
        self.shared.store.prune(realm, before).await
    }

    /// Caps of this client's account, and what counts against them.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn budget(&self, client: &Client) -> Result<Budget, Error> {
        let realm = self.shared.realm(client).await?;
        self.shared.release_gone().await?;
        self.shared.store.caps(realm).await
    }

    /// Caps what the account may spend in any 24 hours, and in total. `None` removes a cap.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn set_caps(
        &self,
        client: &Client,
        day: Option<MicroDollars>,
        total: Option<MicroDollars>,
    ) -> Result<(), Error> {
        let realm = self.shared.realm(client).await?;
        self.shared.store.set_caps(realm, day, total).await
    }

    /// Money that counts against the cap of a batch: bills, and upper bounds until there are bills.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn batch_committed(
        &self,
        client: &Client,
        batch: &str,
    ) -> Result<MicroDollars, Error> {
        let realm = self.shared.realm(client).await?;
        let batch = batch.to_owned();
        self.shared.store.batch_committed(realm, batch).await
    }

    /// Counts the purchases of other accounts of this client's service that may be paid and are not
    /// closed; of a batch, if one is named. An account is known by the id of its key: after a change
    /// of the key, what the old key bought is found with the old key alone.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn unfinished_of_other_accounts(
        &self,
        client: &Client,
        batch: Option<&str>,
    ) -> Result<u64, Error> {
        let realm = self.shared.realm(client).await?;
        let batch = batch.map(str::to_owned);
        self.shared.store.unfinished_elsewhere(realm, batch).await
    }

    /// Adds the purchases of the first release's state files, once, and leaves the files as they
    /// are. Those that name no account are taken for this client's.
    ///
    /// # Errors
    ///
    /// When the folder or the journal cannot be used; a folder that is not there has no files.
    pub async fn import_state_files(
        &self,
        client: &Client,
        folder: impl AsRef<Path>,
    ) -> Result<Imported, Error> {
        let found = import::read(folder.as_ref(), &client.config().account())?;
        let added = self.shared.store.import(found.rows).await?;
        Ok(Imported {
            added,
            passed_over: found.passed_over,
        })
    }

    /// Ends the part of this process in a journal on a server: its lease ends at once, and so do its
    /// claims, so that other processes need not wait for the end of the lease. Purchases that this
    /// process still works on belong to others then, besides those that are being sent. A journal in
    /// a file needs no such call.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached; the lease then ends by itself.
    pub async fn close(&self) -> Result<(), Error> {
        self.shared.store.leave().await
    }

    /// Checks every page of the file; this reads all of it.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] with the first thing that is wrong.
    pub async fn check(&self) -> Result<(), Error> {
        self.shared.store.check().await
    }
}

#[cfg(not(feature = "postgres"))]
fn without_postgres() -> Error {
    Error::Address(
        "this program was built without PostgreSQL (feature postgres of uso-journal)".to_owned(),
    )
}
