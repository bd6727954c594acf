//! Driver of a batch: begins purchases as the pace allows, pauses while the service takes none, and
//! tells what becomes of them.

mod landing;
mod pause;
mod pausing;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::warn;
use uso::{Client, ErrorKind, MicroDollars};

use crate::batch_event::{BatchEvent, Stopped};
use crate::batch_row::BatchRow;
use crate::buy::Buy;
use crate::error::Error;
use crate::money::UnitPrice;
use crate::pace::{Pace, Place, Watched};
use crate::progress::{Listener, Progress};
use crate::purchase::Purchase;
use crate::row::Row;
use crate::shared::Shared;
use crate::source::{Begun, Next, Source, Wanted, asked, put_back};
use crate::stop::Stop;
use crate::store::Traffic;
use crate::submits::Submits;
use crate::target::Target;
use crate::work::Work;

use self::pause::{Pause, Refusals};

/// Jobs that have ended and are being collected, beside those at the service.
const COLLECTED: usize = 50;

/// How often the driver looks at what other workers of the account do.
const LOOK: Duration = Duration::from_secs(1);

/// How often the driver takes over what workers that are gone had: the service forgets the results
/// of their jobs within an hour.
const RELEASE: Duration = Duration::from_secs(10);

/// Why a batch pauses that learns of a lock from another worker.
const LOCKED_ELSEWHERE: &str = "another run of this journal found the account locked";

/// What all purchases of a batch have in common.
pub(crate) struct Terms {
    pub(crate) shared: Shared,
    pub(crate) client: Client,
    pub(crate) name: Option<String>,
    pub(crate) cap: Option<MicroDollars>,
    pub(crate) price: Option<UnitPrice>,
    pub(crate) target: Option<Target>,
    pub(crate) stop: Stop,
    pub(crate) longest_lock: Option<Duration>,
    /// Whether notifications tell the ends of jobs.
    pub(crate) by_notification: bool,
}

/// A batch that is driven.
pub(crate) struct Driver {
    pub(crate) terms: Terms,
    pub(crate) source: Source,
    pub(crate) pace: Pace,
    pub(crate) submits: Submits,
    pub(crate) tell: mpsc::Sender<BatchEvent>,
    /// Whether every row has begun.
    exhausted: bool,
    /// The source has no row before this time.
    asks_at: Instant,
    /// Times that the job of a key did not start in time.
    late: HashMap<String, u32>,
    flying: JoinSet<Flight>,
    /// Purchases that other runs of the account have in flight.
    elsewhere: usize,
    looked: Instant,
    /// When the rows of workers that are gone were last released.
    released: Option<Instant>,
    pause: Option<Pause>,
    refusals: Refusals,
    stopped: Option<Stopped>,
}

/// A purchase that has an outcome.
struct Flight {
    begun: Begun,
    began: Instant,
    /// Kept until the outcome is taken note of, as it may stop the batch.
    _place: Arc<Place>,
    outcome: Result<Purchase, Error>,
    /// Whether the journal could not be written when the work ended.
    is_unwritten: bool,
}

impl Driver {
    pub(crate) fn new(
        terms: Terms,
        source: Source,
        pace: Pace,
        submits: Submits,
        tell: mpsc::Sender<BatchEvent>,
    ) -> Self {
        Self {
            terms,
            source,
            pace,
            submits,
            tell,
            exhausted: false,
            asks_at: Instant::now(),
            late: HashMap::new(),
            flying: JoinSet::new(),
            elsewhere: 0,
            looked: Instant::now(),
            released: None,
            pause: None,
            refusals: Refusals::default(),
            stopped: None,
        }
    }

    pub(crate) async fn drive(mut self) {
        self.look_around().await;
        loop {
            // A reader that has gone wants no more; what flies goes on in tasks of its own.
            if self.tell.is_closed() {
                return self.flying.detach_all();
            }
            if self.stopped.is_none() && self.terms.stop.is_stopped() {
                self.stopped = Some(Stopped::Asked);
            }
            if self.looked.elapsed() >= LOOK {
                self.look_around().await;
            }
            self.end_pause().await;
            let wanted = match self.free_places() {
                0 => Vec::new(),
                free => self.next_wanted(free).await,
            };
            if self.tell.is_closed() {
                put_back(wanted, &self.terms.shared).await;
                continue;
            }
            if !wanted.is_empty() {
                for wanted in wanted {
                    self.begin(wanted).await;
                }
                continue;
            }
            if self.flying.is_empty() && (self.exhausted || self.stopped.is_some()) {
                break;
            }
            let mut landed = self.wait().await;
            // All that have landed, so that one claim fills their places.
            while let Some(flight) = landed {
                self.landed(flight).await;
                landed = self.flying.try_join_next().and_then(Result::ok);
            }
        }
        if let Some(stopped) = self.stopped.take() {
            let _ = self.tell.send(BatchEvent::Stopped(stopped)).await;
        }
    }

    /// Learns what other runs of the account do: all share one limit and one lock.
    async fn look_around(&mut self) {
        self.looked = Instant::now();
        // What dead workers had in flight counts no longer.
        if self.released.is_none_or(|last| last.elapsed() >= RELEASE) {
            self.released = Some(Instant::now());
            let _ = self.terms.shared.release_gone().await;
        }
        let Some(traffic) = self.traffic().await else {
            return;
        };
        self.elsewhere = traffic.in_flight.saturating_sub(self.flying.len());
        match self.pause {
            None if traffic.is_locked => {
                // One purchase tries at once: the account may be topped up by now.
                let message = LOCKED_ELSEWHERE.to_owned();
                self.refusals.begin(ErrorKind::Locked);
                self.pause_for(ErrorKind::Locked, message, Duration::ZERO)
                    .await;
            }
            Some(pause) if pause.kind == ErrorKind::Locked && !traffic.is_locked => {
                self.go_on().await;
            }
            _ => {}
        }
    }

    async fn traffic(&mut self) -> Option<Traffic> {
        let shared = &self.terms.shared;
        let realm = shared.realm(&self.terms.client).await.ok()?;
        shared.store.traffic(realm).await.ok()
    }

    /// Tells the other runs whether the account is locked.
    async fn share_lock(&mut self, is_locked: bool) {
        let shared = &self.terms.shared;
        if let Ok(realm) = shared.realm(&self.terms.client).await {
            let _ = shared.store.set_locked(realm, is_locked).await;
        }
    }

    fn is_paused(&self) -> bool {
        let until = self.pause.map(Pause::until);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// How many purchases may begin. After a pause, one tries whether the service takes any.
    fn free_places(&self) -> usize {
        let has_rows = !self.exhausted && self.asks_at <= Instant::now();
        if !has_rows || self.stopped.is_some() {
            return 0;
        }
        match self.pause {
            Some(pause) => usize::from(!self.is_paused() && !pause.is_tried),
            // However much the others do, each run has room for one.
            None => {
                let most = self.pace.limit();
                let limit = most.saturating_sub(self.elsewhere).max(1);
                let at_service = limit.saturating_sub(self.pace.at_service());
                let here = most + COLLECTED.min(most);
                at_service.min(here.saturating_sub(self.flying.len()))
            }
        }
    }

    async fn next_wanted(&mut self, most: usize) -> Vec<Wanted> {
        match self.source.next(most, &self.terms.shared).await {
            Ok(Next::Wanted(wanted)) => return wanted,
            Ok(Next::End) => self.exhausted = true,
            Ok(Next::Later) => self.asks_at = Instant::now() + LOOK,
            Ok(Next::Stop(stop)) => {
                self.stopped.get_or_insert(Stopped::Budget(stop));
            }
            Err(error) => {
                warn!(%error, "the journal gives no row");
                self.asks_at = Instant::now() + LOOK;
            }
        }
        Vec::new()
    }

    /// The next purchase that has an outcome; `None` when something else happens first.
    async fn wait(&mut self) -> Option<Flight> {
        let until = self.pause.map(Pause::until);
        let is_paused = self.is_paused();
        let pause_ends = async {
            match until.filter(|_| is_paused) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            flight = self.flying.join_next(), if !self.flying.is_empty() => flight?.ok(),
            () = pause_ends => None,
            () = tokio::time::sleep_until(self.looked + LOOK) => None,
            () = self.pace.changed() => None,
            () = self.submits.accepted_another() => None,
            () = self.terms.stop.stopped(), if self.stopped.is_none() => None,
        }
    }

    async fn begin(&mut self, wanted: Wanted) {
        let key = wanted.key().to_owned();
        let _ = self.tell.send(BatchEvent::Started { key }).await;
        if let Some(pause) = &mut self.pause {
            pause.is_tried = true;
        }
        let began = Instant::now();
        let watched = self.pace.watch();
        let place = watched.place();
        match wanted {
            Wanted::Given(row) => {
                let buy = self.buy(&row, watched);
                self.flying.spawn(async move {
                    let outcome = buy.await;
                    let begun = Begun::Given(row);
                    Flight {
                        begun,
                        began,
                        _place: place,
                        outcome,
                        is_unwritten: false,
                    }
                });
            }
            Wanted::Held(row) => {
                let (id, attempt) = (row.purchase.id, row.purchase.attempt);
                let key = row.purchase.key.clone();
                let work = self.work(*row, watched);
                self.flying.spawn(async move {
                    let (outcome, is_unwritten) = match work.await {
                        Ok(work) => {
                            let worked = work.run().await;
                            (worked.outcome, worked.is_unwritten)
                        }
                        Err(error) => (Err(error), true),
                    };
                    let begun = Begun::Held { id, key, attempt };
                    Flight {
                        begun,
                        began,
                        _place: place,
                        outcome,
                        is_unwritten,
                    }
                });
            }
        }
    }

    fn buy(
        &self,
        row: &BatchRow,
        watched: Watched,
    ) -> impl Future<Output = Result<Purchase, Error>> + Send + 'static {
        let terms = &self.terms;
        let mut buy = Buy::new(
            terms.shared.clone(),
            terms.client.clone(),
            row.key.clone(),
            row.request.clone().into(),
        );
        buy.batch.clone_from(&terms.name);
        buy.batch_cap = terms.cap;
        buy.price = terms.price;
        buy.stop = Some(terms.stop.clone());
        buy.in_batch = true;
        buy.by_notification = terms.by_notification;
        buy.target = row.target.clone().or_else(|| terms.target.clone());
        let listener = self.listener(row.key.clone(), watched);
        let buy = buy.on_progress(move |progress| listener(progress));
        async move { buy.await }
    }

    /// The work on a row that this worker holds. A task of an earlier claim, which was lost, ends
    /// first: the response it waits for tells whether the row is bought.
    fn work(
        &self,
        row: Row,
        watched: Watched,
    ) -> impl Future<Output = Result<Work, Error>> + Send + 'static {
        let terms = &self.terms;
        let (shared, client) = (terms.shared.clone(), terms.client.clone());
        let (stop, by_notification) = (terms.stop.clone(), terms.by_notification);
        let listener = self.listener(row.purchase.key.clone(), watched);
        let (realm, key) = (row.realm, row.purchase.key.clone());
        // Before the task begins, so that no look for abandoned rows takes the row for one.
        let entered = shared.active.enter(realm, &key);
        async move {
            let (row, turn) = match entered {
                Some(turn) => (row, turn),
                None => {
                    let turn = shared.active.enter_next(realm, &key).await;
                    let id = row.purchase.id;
                    let held = shared.store.row(id).await?;
                    let held = held.filter(|held| held.worker.is_some() && held.fence == row.fence);
                    (held.ok_or(Error::TakenOver(id))?, turn)
                }
            };
            let asked = asked(&row);
            let mut work = Work::new(shared, client, row, turn);
            work.asked = asked;
            work.stop = Some(stop);
            work.in_batch = true;
            work.listener = Listener::new(listener);
            work.by_notification = by_notification;
            Ok(work)
        }
    }

    fn listener(
        &self,
        key: String,
        watched: Watched,
    ) -> impl Fn(&Progress) + Send + Sync + 'static {
        let (tell, submit) = (self.tell.clone(), self.submits.follow());
        move |progress| {
            watched.tell(progress);
            submit.tell(progress);
            // A reader that is slow misses steps of the way, and never an outcome.
            let _ = tell.try_send(BatchEvent::Progress {
                key: key.clone(),
                progress: progress.clone(),
            });
        }
    }
}
