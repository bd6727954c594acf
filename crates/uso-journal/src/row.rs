//! A purchase with what only the journal needs, and the steps that change it. Nothing here does
//! input or output: a store loads a row, applies a step and writes the row in one transaction.

use uso::{Intent, MicroDollars, Ticket};

use crate::money::Quote;
use crate::purchase::{Cause, Cost, LocalId, Purchase, Reason, SavedPicture, from_ms, to_ms};
use crate::sendable::Sendable;
use crate::state::{Move, State};
use crate::target::Target;

/// A row of the journal.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) purchase: Purchase,
    /// Service and account, as the store numbers them.
    pub(crate) realm: i64,
    /// The worker that has it.
    pub(crate) worker: Option<String>,
    /// Grows with each claim: a write of an earlier claim is refused.
    pub(crate) fence: i64,
    /// When the current reservation was made; it counts for 24 hours from then on.
    pub(crate) reserved_at: i64,
    /// The upper bound of an earlier attempt, while the next one is pending: it counts for nothing
    /// unless the earlier one turns out to be bought after all.
    pub(crate) kept_bound: Option<MicroDollars>,
    /// The input with its pictures uploaded, so that any worker can buy it.
    pub(crate) sendable: Option<Sendable>,
}

/// An attempt that a later one took the place of.
#[derive(Clone, Debug)]
pub(crate) struct PastAttempt {
    pub(crate) number: u32,
    pub(crate) state: State,
    pub(crate) reason: Option<Reason>,
    pub(crate) intent: Option<Intent>,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) committed: MicroDollars,
    pub(crate) ended_at: i64,
}

/// A change of a row.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Reserve(Quote),
    Send(Intent),
    /// The service accepted the submit of this attempt.
    Accept {
        attempt: u32,
        ticket: Box<Ticket>,
    },
    /// The service accepted the submit of an earlier attempt, of which this intent is. Nothing of the
    /// current attempt was bought, so that the purchase stands for it.
    AcceptEarlier {
        intent: Box<Intent>,
        ticket: Box<Ticket>,
    },
    Refuse(Reason),
    Lose {
        reason: Reason,
        /// The intent with what became known of the submit.
        intent: Option<Box<Intent>>,
    },
    Finish {
        pictures: Vec<SavedPicture>,
        seed: Option<u64>,
        billed: Option<MicroDollars>,
    },
    Fail {
        reason: Reason,
        billed: Option<MicroDollars>,
    },
    Cancel {
        reason: Reason,
        billed: Option<MicroDollars>,
    },
    HandOver(Option<Box<Ticket>>),
    Withdraw,
    /// The batch that offered it asks for it no longer.
    TakeBack,
    WriteOff {
        seen: State,
    },
    /// Begins another attempt after the one with this number.
    Retry {
        attempt: u32,
    },
    Reopen,
    /// The account's listing does not show it, and the work on it stops for now.
    NotShown(Reason),
    /// The work on it stops for now.
    Pause {
        reason: Option<Reason>,
        pictures: Vec<SavedPicture>,
    },
    /// Its worker is gone.
    Bury,
    /// The owner wants the job cancelled.
    AskCancel,
    /// The job goes on, or has ended: no later look at it asks for the cancellation again.
    DropCancel,
    /// The pictures go somewhere else.
    Retarget(Target),
}

/// What a step changes beside the row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effect {
    pub(crate) archived: Option<Box<PastAttempt>>,
}

/// A step that the state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a purchase that is {state} cannot be {verb}")]
pub struct NotAllowed {
    pub(crate) state: State,
    pub(crate) verb: &'static str,
}

impl Row {
    /// A row of which nothing is known but its request.
    pub(crate) fn empty(
        realm: i64,
        key: &str,
        endpoint: &str,
        fingerprint: &str,
        now: i64,
    ) -> Self {
        Self {
            purchase: Purchase {
                id: LocalId(0),
                key: key.to_owned(),
                batch: None,
                origin: String::new(),
                account: String::new(),
                endpoint: endpoint.to_owned(),
                state: State::Pending,
                attempt: 1,
                reason: None,
                fingerprint: fingerprint.to_owned(),
                input: None,
                intent: None,
                ticket: None,
                target: None,
                pictures: Vec::new(),
                seed: None,
                cost: Cost::default(),
                created_at: from_ms(now),
                changed_at: from_ms(now),
                in_work: false,
                cancel_asked: false,
                pruned: false,
            },
            realm,
            worker: None,
            fence: 0,
            reserved_at: 0,
            kept_bound: None,
            sendable: None,
        }
    }

    /// What counts against the budget now.
    pub(crate) fn committed(&self) -> u64 {
        self.purchase.cost.committed().get()
    }

    /// Applies a step at a time by the database's clock.
    pub(crate) fn apply(&mut self, step: Step, now: i64) -> Result<Effect, NotAllowed> {
        let mut effect = Effect::default();
        match step {
            Step::Reserve(quote) => {
                self.go(Move::Reserve, "bought")?;
                let cost = &mut self.purchase.cost;
                cost.unit_price = quote.unit;
                cost.estimate = quote.estimate;
                cost.reserved = quote.bound;
                cost.billed = None;
                self.reserved_at = now;
                self.kept_bound = None;
                self.purchase.reason = None;
            }
            Step::Send(intent) => {
                self.go(Move::Send, "sent")?;
                self.purchase.intent = Some(intent);
            }
            Step::Accept { ticket, .. } => {
                if self.has(&ticket) {
                    return Ok(effect);
                }
                self.go(Move::Accept, "adopted")?;
                self.purchase.ticket = Some(*ticket);
                self.purchase.reason = None;
                self.count_again();
            }
            Step::AcceptEarlier { intent, ticket } => {
                if self.has(&ticket) {
                    return Ok(effect);
                }
                let purchase = &self.purchase;
                let is_unsent = purchase.intent.is_none() || purchase.is_not_bought();
                if purchase.ticket.is_some() || !is_unsent {
                    return Err(self.not_allowed("adopted"));
                }
                self.go(Move::AcceptEarlier, "adopted")?;
                self.purchase.intent = Some(*intent);
                self.purchase.ticket = Some(*ticket);
                self.purchase.reason = None;
                let cost = &mut self.purchase.cost;
                cost.reserved = cost.reserved.or(self.kept_bound.take());
                if cost.reserved.is_none() {
                    cost.reserved = cost.estimate;
                    self.reserved_at = now;
                }
                self.count_again();
            }
            Step::Refuse(reason) => {
                self.go(Move::Refuse, "refused")?;
                self.settle(Some(MicroDollars::new(0)));
                self.end(reason);
            }
            Step::Lose { reason, intent } => {
                self.go(Move::Lose, "lost")?;
                if let Some(intent) = intent {
                    self.purchase.intent = Some(*intent);
                }
                self.end(reason);
            }
            Step::Finish {
                pictures,
                seed,
                billed,
            } => {
                self.go(Move::Finish, "finished")?;
                self.purchase.pictures = pictures;
                self.purchase.seed = seed;
                self.purchase.reason = None;
                self.settle(billed);
                self.worker = None;
            }
            Step::Fail { reason, billed } => {
                self.go(Move::Fail, "failed")?;
                self.settle(billed);
                self.end(reason);
            }
            Step::Cancel { reason, billed } => {
                self.go(Move::Cancel, "cancelled")?;
                self.settle(billed);
                self.end(reason);
            }
            Step::HandOver(ticket) => {
                self.go(Move::HandOver, "handed over")?;
                self.purchase.ticket = ticket.map(|ticket| *ticket);
                self.purchase.reason = None;
                self.worker = None;
            }
            Step::Withdraw => {
                self.go(Move::Withdraw, "withdrawn")?;
                self.settle(Some(MicroDollars::new(0)));
                self.end(Reason::new(
                    Cause::Cancelled,
                    "withdrawn before anything was sent",
                ));
            }
            Step::TakeBack => {
                self.go(Move::TakeBack, "taken back")?;
                self.purchase.batch = None;
                self.settle(Some(MicroDollars::new(0)));
                self.end(Reason::new(
                    Cause::NotBought,
                    "taken back: its batch asks for it no longer",
                ));
            }
            Step::WriteOff { seen } => {
                // A submit that was under way is unknown once its process is gone.
                let seen = match seen {
                    State::Sending => State::Unknown,
                    seen => seen,
                };
                if seen != self.purchase.state {
                    return Err(self.not_allowed("written off"));
                }
                self.go(Move::WriteOff, "written off")?;
                self.settle(Some(MicroDollars::new(0)));
                self.end(Reason::new(Cause::WrittenOff, "written off by its owner"));
            }
            Step::Retry { attempt } => {
                if attempt != self.purchase.attempt {
                    return Err(self.not_allowed("tried again: another attempt was made meanwhile"));
                }
                let archived = self.archive();
                self.go(Move::Retry, "tried again")?;
                effect.archived = Some(Box::new(archived));
                let purchase = &mut self.purchase;
                purchase.attempt = purchase.attempt.saturating_add(1);
                purchase.intent = None;
                purchase.ticket = None;
                purchase.reason = None;
                purchase.seed = None;
                purchase.pictures.clear();
                purchase.cancel_asked = false;
                purchase.pruned = false;
                self.free();
                self.worker = None;
            }
            Step::Reopen => {
                let step = match (&self.purchase.ticket, &self.purchase.intent) {
                    (Some(_), _) => Move::ReopenBought,
                    (None, Some(_)) => Move::ReopenUnknown,
                    (None, None) => return Err(self.not_allowed("reopened")),
                };
                self.go(step, "reopened")?;
                self.purchase.reason = None;
                self.purchase.cancel_asked = false;
                self.count_again();
            }
            Step::NotShown(reason) => {
                if self.purchase.state != State::Unknown {
                    return Err(self.not_allowed("paused as not shown"));
                }
                self.end(reason);
            }
            Step::Pause { reason, pictures } => {
                self.let_go("the work on it ended before its outcome was recorded")?;
                if reason.is_some() {
                    self.purchase.reason = reason;
                }
                if !pictures.is_empty() {
                    self.purchase.pictures = pictures;
                }
                self.worker = None;
            }
            Step::Bury => {
                self.let_go("the process ended while the submit was under way")?;
                self.worker = None;
            }
            Step::AskCancel => {
                if self.purchase.state != State::Submitted {
                    return Err(self.not_allowed("cancelled"));
                }
                self.purchase.cancel_asked = true;
            }
            Step::DropCancel => self.purchase.cancel_asked = false,
            Step::Retarget(target) => {
                if self.purchase.state.is_closed() {
                    return Err(self.not_allowed("directed to another place"));
                }
                self.purchase.target = Some(target);
                self.purchase.pictures.clear();
            }
        }
        self.purchase.in_work = self.worker.is_some();
        self.purchase.changed_at = from_ms(now);
        Ok(effect)
    }

    /// Whether this job is the purchase's already: the response and a notification may both tell of it.
    fn has(&self, ticket: &Ticket) -> bool {
        let is_known = self.purchase.request_id() == Some(ticket.request_id());
        is_known && matches!(self.purchase.state, State::Submitted | State::Done)
    }

    fn go(&mut self, step: Move, verb: &'static str) -> Result<(), NotAllowed> {
        let next = self.purchase.state.after(step);
        self.purchase.state = next.ok_or_else(|| self.not_allowed(verb))?;
        Ok(())
    }

    /// Leaves no state that only a worker may be in: what was not sent is free again, and what may
    /// have been sent is unknown.
    fn let_go(&mut self, why: &str) -> Result<(), NotAllowed> {
        match self.purchase.state {
            State::Reserved => {
                self.go(Move::Release, "released")?;
                self.free();
            }
            State::Sending => {
                self.go(Move::Lose, "lost")?;
                self.purchase.reason = Some(Reason::new(Cause::ProcessEnded, why));
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets nothing count before the next reservation.
    fn free(&mut self) {
        let is_first = self.purchase.attempt == 1;
        self.purchase.cost.billed = None;
        let bound = self.purchase.cost.reserved.take();
        self.kept_bound = bound.filter(|_| !is_first);
    }

    /// Lets the upper bound count again until there is a bill.
    fn count_again(&mut self) {
        let cost = &mut self.purchase.cost;
        if cost.billed == Some(MicroDollars::new(0)) {
            cost.billed = None;
        }
    }

    fn not_allowed(&self, verb: &'static str) -> NotAllowed {
        NotAllowed {
            state: self.purchase.state,
            verb,
        }
    }

    /// Books the bill; without one the reservation goes on counting.
    fn settle(&mut self, billed: Option<MicroDollars>) {
        if billed.is_some() {
            self.purchase.cost.billed = billed;
        }
    }

    fn end(&mut self, reason: Reason) {
        self.purchase.reason = Some(reason);
        self.worker = None;
    }

    /// The current attempt as a past one.
    fn archive(&self) -> PastAttempt {
        let purchase = &self.purchase;
        PastAttempt {
            number: purchase.attempt,
            state: purchase.state,
            reason: purchase.reason.clone(),
            intent: purchase.intent.clone(),
            ticket: purchase.ticket.clone(),
            committed: purchase.cost.committed(),
            ended_at: to_ms(purchase.changed_at),
        }
    }
}
