//! Claims of rows, and what a budget admits: the decisions that every store makes alike. Nothing
//! here does input or output.

use uso::MicroDollars;

use crate::error::{BudgetStop, Error, Scope};
use crate::money::{Budget, Quote};
use crate::purchase::Purchase;
use crate::relay::{self, Relay};
use crate::row::{Effect, Row, Step};
use crate::sendable::Sendable;
use crate::state::State;
use crate::store::{Claim, Claimed, Offer, Wish};

/// What a claim of a row needs next.
pub(crate) enum Examined {
    /// The claim ends so; nothing is written.
    Ends(Claimed),
    /// The row is bought already, or may be: the caller holds it, and no budget is asked.
    Holds(Row),
    /// The row is bought if the budget admits its price.
    Buys(Row, Effect),
}

/// Looks at the row of a claim's key.
pub(crate) fn examine(mut row: Row, claim: &Claim, now: i64) -> Result<Examined, Error> {
    let ended = |claimed: fn(Box<Row>) -> Claimed, row| Ok(Examined::Ends(claimed(Box::new(row))));
    if row.purchase.fingerprint != claim.recipe.fingerprint().as_str() {
        return ended(Claimed::Conflict, row);
    }
    if row.worker.is_some() {
        return ended(Claimed::Busy, row);
    }
    // Without a worker nothing is reserved or being sent.
    if matches!(row.purchase.state, State::Reserved | State::Sending) {
        step(&mut row, Step::Bury, now)?;
    }
    if matches!(row.purchase.state, State::Submitted | State::Unknown) {
        return Ok(Examined::Holds(row));
    }
    let Some(is_retried) = buys(&row.purchase, claim.wish) else {
        return ended(Claimed::Ended, row);
    };
    if claim.wish == Wish::OnlyBought {
        return Err(Error::WouldBuy(claim.key.clone()));
    }
    let effect = match is_retried {
        true => {
            let attempt = row.purchase.attempt;
            step(&mut row, Step::Retry { attempt }, now)?
        }
        false => Effect::default(),
    };
    Ok(Examined::Buys(row, effect))
}

/// Whether a row is to be bought that no worker has and that is not bought, and then whether that
/// needs a new attempt. `None` when it has ended.
fn buys(purchase: &Purchase, wish: Wish) -> Option<bool> {
    let attempt = purchase.attempt;
    match (purchase.state, wish) {
        // The attempt that was asked for was begun and never sent.
        (State::Pending, Wish::Again(last)) => (attempt <= last.saturating_add(1)).then_some(false),
        (State::Pending, _) => Some(false),
        (State::Failed | State::Cancelled, Wish::Again(last)) => (attempt == last).then_some(true),
        (State::Failed, _) => purchase.is_not_bought().then_some(true),
        _ => None,
    }
}

/// Makes a row what its buyer asks for, and reserves its price.
pub(crate) fn reserve(row: &mut Row, claim: &Claim, now: i64) -> Result<(), Error> {
    // What was not bought yet belongs to the caller who buys it.
    row.purchase.batch.clone_from(&claim.batch);
    row.purchase.input = Some(claim.recipe.json().clone());
    row.purchase.target = Some(claim.target.clone());
    step(row, Step::Reserve(claim.quote), now)?;
    Ok(())
}

/// Makes a row what is asked for, so that any worker can buy it.
pub(crate) fn offer(row: &mut Row, claim: &Claim, sendable: Sendable) {
    row.purchase.batch.clone_from(&claim.batch);
    row.purchase.input = Some(claim.recipe.json().clone());
    row.purchase.target = Some(claim.target.clone());
    row.purchase.cost.unit_price = claim.quote.unit;
    row.purchase.cost.estimate = claim.quote.estimate;
    row.sendable = Some(sendable);
}

/// The price of an offered row that is not bought yet; `None` when it is only to be collected.
pub(crate) fn price(row: &Row) -> Option<Quote> {
    let sendable = row.sendable.as_ref()?;
    (row.purchase.state == State::Pending).then_some(sendable.quote)
}

/// Gives offered rows to a worker, whose pictures go into a folder of its own. Rows that are bought
/// already need no room; the others are bought in their order, as far as every cap leaves room. Each
/// row is returned with the amount that it committed before. Fails if there is none because of a cap.
///
/// The room may be missing where no row has a [`price`].
pub(crate) fn accept(
    rows: Vec<Row>,
    offer: &Offer,
    mut room: Option<Room>,
    worker: &str,
    now: i64,
) -> Result<Vec<(Row, u64)>, Error> {
    let mut accepted = Vec::with_capacity(rows.len());
    let mut stop = None;
    for mut row in rows {
        let before = row.committed();
        if let Some(quote) = price(&row) {
            let Some(room) = room.as_mut().filter(|_| stop.is_none()) else {
                continue;
            };
            if let Err(full) = room.take(quote) {
                stop = Some(full);
                continue;
            }
            step(&mut row, Step::Reserve(quote), now)?;
        }
        if let Some(target) = &mut row.purchase.target {
            target.move_to(&offer.folder);
        }
        hold(&mut row, worker);
        accepted.push((row, before));
    }
    match stop {
        Some(stop) if accepted.is_empty() => Err(stop.into()),
        _ => Ok(accepted),
    }
}

/// What the caps of an account and of a batch leave for the rows of an offer.
pub(crate) struct Room {
    caps: Budget,
    batch_committed: MicroDollars,
    batch_cap: Option<MicroDollars>,
}

impl Room {
    pub(crate) fn new(
        caps: Budget,
        batch_committed: MicroDollars,
        batch_cap: Option<MicroDollars>,
    ) -> Self {
        Self {
            caps,
            batch_committed,
            batch_cap,
        }
    }

    /// Takes a price up, if every cap leaves room for it.
    fn take(&mut self, quote: Quote) -> Result<(), BudgetStop> {
        let limits = Limits {
            purchase: None,
            batch: self.batch_cap,
            bound: quote.bound,
        };
        admit(limits, &self.caps, self.batch_committed)?;
        let bound = quote.bound.unwrap_or_default();
        self.caps.day_committed += bound;
        self.caps.total_committed += bound;
        self.batch_committed += bound;
        Ok(())
    }
}

/// A row that no claim was made of before.
pub(crate) fn new_row(claim: &Claim, now: i64) -> Row {
    let fingerprint = claim.recipe.fingerprint().as_str();
    let mut row = Row::empty(claim.realm, &claim.key, &claim.endpoint, fingerprint, now);
    row.purchase.batch.clone_from(&claim.batch);
    row
}

/// The row of a purchase that a proxy is about to send: reserved and `sending` at once.
pub(crate) fn relayed(realm: i64, relay: &Relay, worker: &str, now: i64) -> Row {
    let key = relay::key(&relay.id);
    let mut row = Row::empty(realm, &key, &relay.endpoint, &relay.digest, now);
    row.purchase.state = State::Sending;
    row.reserved_at = now;
    row.purchase.cost.reserved = Some(relay.bound);
    hold(&mut row, worker);
    row
}

/// Gives a row to a worker, under a new fence. A server may forget a claim in a crash, and the next
/// one of the same row, or of another row that gets its id, is to have another fence all the same.
pub(crate) fn hold(row: &mut Row, worker: &str) {
    row.worker = Some(worker.to_owned());
    row.purchase.in_work = true;
    let step = i64::from(fastrand::u32(1..));
    row.fence = row.fence.saturating_add(step);
}

/// Whether a worker can take a row up as it is: to look it up, or to collect it.
pub(crate) fn has_work(row: &Row) -> bool {
    let is_open = matches!(row.purchase.state, State::Submitted | State::Unknown);
    row.worker.is_none() && is_open
}

/// The request id that a step adopts from the account's listing: it may be another purchase's.
pub(crate) fn looked_up(step: &Step) -> Option<String> {
    match step {
        Step::Accept { ticket, .. } | Step::AcceptEarlier { ticket, .. }
            if ticket.is_looked_up() =>
        {
            Some(ticket.request_id().to_owned())
        }
        _ => None,
    }
}

/// Applies a step to a row.
pub(crate) fn step(row: &mut Row, step: Step, now: i64) -> Result<Effect, Error> {
    let id = row.purchase.id;
    row.apply(step, now)
        .map_err(|source| Error::NotAllowed { id, source })
}

/// Whether a caller may apply a step: the holder of the row's current claim, or a caller without a
/// claim where no worker has the row. What the service says of the row's attempt is taken from every
/// caller.
pub(crate) fn check_fence(row: &Row, fence: Option<i64>, step: &Step) -> Result<(), Error> {
    let id = row.purchase.id;
    // An attempt is sent once, so that its number tells which submit a ticket is of.
    if let Step::Accept { attempt, .. } = step {
        let is_current = *attempt == row.purchase.attempt;
        return is_current.then_some(()).ok_or(Error::TakenOver(id));
    }
    if matches!(step, Step::AcceptEarlier { .. }) {
        return Ok(());
    }
    match (fence, &row.worker) {
        (Some(fence), Some(_)) if fence == row.fence => Ok(()),
        (Some(_), _) => Err(Error::TakenOver(id)),
        (None, Some(_)) if matches!(step, Step::AskCancel | Step::DropCancel) => Ok(()),
        (None, Some(_)) => Err(Error::Busy(id)),
        (None, None) => Ok(()),
    }
}

const MINUTE: i64 = 60_000;
const MINUTES_OF_A_DAY: i64 = 24 * 60;

/// The minute in which an amount is booked that was reserved at this time.
///
/// Sums are kept, not computed: a cap of 24 hours adds up at most 1441 minutes, however many rows
/// there are.
pub(crate) fn minute(reserved_at: i64) -> i64 {
    reserved_at / MINUTE
}

/// The first minute that counts against the cap of 24 hours. The minute that began 24 hours ago
/// counts as a whole. A minute that is still to come, because the clock was set back, counts as well.
pub(crate) fn first_minute(now: i64) -> i64 {
    minute(now) - MINUTES_OF_A_DAY
}

/// A row's change of what is committed, in micro-dollars.
pub(crate) fn delta(row: &Row, before: u64, effect: &Effect) -> i64 {
    let past = effect.archived.as_ref();
    let past = past.map_or(0, |past| past.committed.get());
    let signed = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
    signed(row.committed().saturating_add(past)) - signed(before)
}

/// What a purchase may cost, beside the caps of its account.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    purchase: Option<MicroDollars>,
    batch: Option<MicroDollars>,
    /// Upper bound of the price.
    bound: Option<MicroDollars>,
}

impl From<&Relay> for Limits {
    fn from(relay: &Relay) -> Self {
        Self {
            purchase: None,
            batch: None,
            bound: Some(relay.bound),
        }
    }
}

impl From<&Claim> for Limits {
    fn from(claim: &Claim) -> Self {
        Self {
            purchase: claim.cap,
            batch: claim.batch_cap,
            bound: claim.quote.bound,
        }
    }
}

/// Whether every cap leaves room for a purchase.
pub(crate) fn admit(
    limits: Limits,
    caps: &Budget,
    batch_committed: MicroDollars,
) -> Result<(), BudgetStop> {
    let scopes = [
        (Scope::Purchase, limits.purchase, MicroDollars::new(0)),
        (Scope::Batch, limits.batch, batch_committed),
        (Scope::Day, caps.day_cap, caps.day_committed),
        (Scope::Total, caps.total_cap, caps.total_committed),
    ];
    for (scope, cap, committed) in scopes {
        let Some(cap) = cap else { continue };
        let Some(bound) = limits.bound else {
            return Err(BudgetStop::NoPrice { scope, cap });
        };
        if committed + bound > cap {
            return Err(BudgetStop::Exceeded {
                scope,
                cap,
                committed,
                bound,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reservation_of_the_last_24_hours_counts_and_none_that_is_a_minute_older() {
        const DAY: i64 = 24 * 60 * MINUTE;
        for now in [3 * DAY, 3 * DAY + 1, 3 * DAY + MINUTE - 1] {
            assert!(minute(now - DAY) >= first_minute(now), "{now}");
            assert!(minute(now - DAY - MINUTE) < first_minute(now), "{now}");
        }
    }
}
