//! Status stream: an event for each change that a watcher can see.
//!
//! fal does not say when it sends an event. Here one goes out at once, and again when the state or
//! the position changes or, if asked for, when log lines appear.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use hyper::body::Frame;
use tokio::sync::watch;

use super::Phase;
use super::responses::{self, Logs};
use crate::clock::Moment;
use crate::endpoints::app;
use crate::lock::lock;
use crate::server::address::Base;
use crate::state::State;

/// Interval of the comments that keep the connection from looking dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) struct Watcher {
    state: Arc<State>,
    base: Base,
    request_id: String,
    bell: watch::Receiver<()>,
    with_logs: bool,
    seen_logs: usize,
    seen: Option<(Phase, Option<usize>)>,
    next_beat: Moment,
}

/// What a watcher has to send next.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Status { json: String, last: bool },
    KeepAlive,
}

impl Event {
    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            Self::Status { json, .. } => format!("data: {json}\n\n").into(),
            Self::KeepAlive => Bytes::from_static(b": keep-alive\n\n"),
        }
    }

    pub(crate) fn is_last(&self) -> bool {
        matches!(self, Self::Status { last: true, .. })
    }
}

impl Watcher {
    /// Nothing if there is no such request.
    pub(crate) fn new(
        state: &Arc<State>,
        base: Base,
        request_id: &str,
        with_logs: bool,
    ) -> Option<Self> {
        let now = state.clock.now();
        let bell = lock(&state.machine).get(request_id, now)?.listen();
        Some(Self {
            state: Arc::clone(state),
            base,
            request_id: request_id.to_owned(),
            bell,
            with_logs,
            seen_logs: 0,
            seen: None,
            next_beat: now.saturating_add(KEEP_ALIVE),
        })
    }

    pub(crate) fn events(self) -> impl Stream<Item = Event> + Send {
        stream::unfold(Some(self), async |watcher| {
            let mut watcher = watcher?;
            let event = watcher.next().await?;
            let rest = (!event.is_last()).then_some(watcher);
            Some((event, rest))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            self.bell.borrow_and_update();
            let (news, next_log) = self.look()?;
            if news.is_some() {
                return news;
            }
            let state = Arc::clone(&self.state);
            let alarm = match next_log {
                Some(log) => log.min(self.next_beat),
                None => self.next_beat,
            };
            tokio::select! {
                rung = self.bell.changed() => rung.ok()?,
                () = state.clock.sleep_until(alarm) => {
                    if state.clock.now() >= self.next_beat {
                        self.next_beat = state.clock.now().saturating_add(KEEP_ALIVE);
                        return Some(Event::KeepAlive);
                    }
                }
            }
        }
    }

    /// The event that is due, if any, and when the next log line will be. Nothing once the
    /// request is gone.
    fn look(&mut self) -> Option<(Option<Event>, Option<Moment>)> {
        let machine = lock(&self.state.machine);
        let now = self.state.clock.now();
        let job = machine.get(&self.request_id, now)?;
        let position = match job.phase {
            Phase::Queued => machine.position(&self.request_id),
            _ => None,
        };
        let visible = job.logs_until(now).len();
        let new_logs = self.with_logs && job.phase != Phase::Queued && visible > self.seen_logs;
        if self.seen == Some((job.phase, position)) && !new_logs {
            let next_log = job
                .logs
                .get(visible)
                .map(|line| line.at)
                .filter(|_| self.with_logs);
            return Some((None, next_log));
        }
        let logs = if self.with_logs {
            Logs::From(self.seen_logs)
        } else {
            Logs::Off
        };
        let app = app(&job.submission.endpoint_id);
        let (_, body) = responses::status(
            &machine,
            job,
            &self.state.clock,
            now,
            (&self.base, app),
            logs,
        );
        if job.phase != Phase::Queued {
            self.seen_logs = visible;
        }
        self.seen = Some((job.phase, position));
        let last = job.phase == Phase::Completed;
        Some((
            Some(Event::Status {
                json: body.to_string(),
                last,
            }),
            None,
        ))
    }
}

pub(crate) fn frames(
    events: impl Stream<Item = Event> + Send + 'static,
) -> impl Stream<Item = Result<Frame<Bytes>, io::Error>> + Send + 'static {
    use futures_util::StreamExt as _;
    events.map(|event| Ok(Frame::data(event.bytes())))
}
