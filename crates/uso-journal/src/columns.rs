//! Columns of the table `job` as a row, and back: one mapping for every database.
//!
//! Statements that every database runs as they are stand here too. SQLite takes `$1` for a name, and
//! numbers the names in the order in which they first appear.

use std::error::Error as StdError;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uso::MicroDollars;

use crate::purchase::{Cause, Cost, LocalId, Purchase, Reason, from_ms, to_ms};
use crate::row::{PastAttempt, Row};
use crate::state::State;
use crate::store::EarlierAttempt;

/// The columns that [`read`] reads, in its order.
pub(crate) const SELECT: &str = "SELECT job.id, job.realm, key, batch, origin, account, endpoint, \
    state, attempt, cause, message, fingerprint, input, target, intent, ticket, pictures, seed, \
    unit_price, estimate, reserved, billed, reserved_at, created_at, changed_at, worker, fence, \
    cancel_asked, pruned, kind, sendable FROM job JOIN realm ON realm.id = job.realm";

/// Adds an attempt with the values of [`past_attempt`].
pub(crate) const INSERT_PAST: &str = "INSERT INTO past_attempt (job, number, state, cause, message, \
    intent, ticket, request_id, committed, ended_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// As [`crate::store::Store::record_earlier`]: ticket, request id, purchase and number.
pub(crate) const RECORD_EARLIER: &str = "UPDATE past_attempt SET ticket = $1, request_id = $2 \
    WHERE job = $3 AND number = $4 AND coalesce(request_id, $2) = $2";

/// As [`crate::store::Store::unfinished_elsewhere`]: realm and batch.
pub(crate) const UNFINISHED_ELSEWHERE: &str = "SELECT count(*) FROM job \
    JOIN realm ON realm.id = job.realm \
    WHERE origin = (SELECT origin FROM realm WHERE id = $1) AND realm.id <> $1 \
    AND state IN ('reserved', 'sending', 'submitted', 'unknown') \
    AND (CAST($2 AS text) IS NULL OR batch = $2)";

/// As [`crate::store::Store::traffic`]: whether the realm is locked, and what is in flight.
pub(crate) const TRAFFIC: &str = "SELECT is_locked, (SELECT count(*) FROM job \
    WHERE worker IS NOT NULL AND realm = $1 AND state IN ('reserved', 'sending', 'submitted')) \
    FROM realm WHERE id = $1";

/// Adds a purchase of a proxy.
pub(crate) const INSERT_RELAY: &str = "INSERT INTO relay \
    (id, realm, job, owner, digest, app, is_kept, record, begun_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// A purchase of a proxy that is equal to another one: realm, digest and time. One whose proxy died
/// is not repeated for two minutes from then on.
pub(crate) const EQUAL_RELAY: &str = "SELECT relay.request_id, \
    coalesce(repeat_until, job.changed_at + 120000), job.worker IS NOT NULL \
    FROM relay JOIN job ON job.id = relay.job \
    WHERE relay.realm = $1 AND digest = $2 AND job.state <> 'failed' \
    AND (job.worker IS NOT NULL OR coalesce(repeat_until, job.changed_at + 120000) > $3) LIMIT 1";

/// How many requests are kept, and how many of them for one owner: owner, realm and time. Two ranges
/// of one index, so that what is kept no more costs nothing.
pub(crate) const KEPT_RELAYS: &str = "SELECT count(*), count(*) FILTER (WHERE owner = $1) FROM \
    (SELECT owner FROM relay WHERE realm = $2 AND is_kept AND kept_until > $3 \
    UNION ALL SELECT owner FROM relay JOIN job ON job.id = relay.job \
    WHERE relay.realm = $2 AND is_kept AND kept_until IS NULL \
    AND job.worker IS NOT NULL) AS kept";

/// What an owner spent by the minute: realm, owner and the first minute.
pub(crate) const SPENT_BY_RELAYS: &str = "SELECT reserved_at / 60000, \
    CAST(sum(coalesce(billed, reserved, 0)) AS bigint) \
    FROM relay JOIN job ON job.id = relay.job WHERE relay.realm = $1 AND owner = $2 \
    AND begun_at >= CAST($3 AS bigint) * 60000 GROUP BY 1 ORDER BY 1";

/// As [`crate::store::Store::relay_received`]: realm and id.
pub(crate) const RELAY_RECEIVED: &str = "UPDATE relay SET repeat_until = 0 \
    WHERE realm = $1 AND id = $2 AND repeat_until IS NOT NULL";

/// As [`crate::store::Store::unknown_relays`]: realm.
pub(crate) const UNKNOWN_RELAYS: &str = "SELECT record FROM relay JOIN job ON job.id = relay.job \
    WHERE relay.realm = $1 AND (state = 'unknown' OR state = 'handed_over' \
    AND is_kept AND relay.request_id IS NULL) ORDER BY job.id";

/// A row of a database's result.
pub(crate) trait Columns {
    /// The database's error.
    type Error;

    fn text(&self, column: usize) -> Result<Option<String>, Self::Error>;
    fn number(&self, column: usize) -> Result<Option<i64>, Self::Error>;
    fn flag(&self, column: usize) -> Result<bool, Self::Error>;
    /// The error of a column whose text means nothing.
    fn unreadable(column: usize, why: Box<dyn StdError + Send + Sync>) -> Self::Error;
}

/// A value of a column.
#[derive(Debug)]
pub(crate) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Flag(bool),
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("{0:?} is not known")]
    Word(String),
    #[error("the column is empty")]
    Null,
}

fn required<C: Columns, T>(column: usize, value: Option<T>) -> Result<T, C::Error> {
    value.ok_or_else(|| C::unreadable(column, Unreadable::Null.into()))
}

fn text<C: Columns>(row: &C, column: usize) -> Result<String, C::Error> {
    required::<C, _>(column, row.text(column)?)
}

fn number<C: Columns>(row: &C, column: usize) -> Result<i64, C::Error> {
    required::<C, _>(column, row.number(column)?)
}

fn attempt<C: Columns>(row: &C, column: usize) -> Result<u32, C::Error> {
    let number = u32::try_from(number(row, column)?);
    number.map_err(|error| C::unreadable(column, error.into()))
}

fn json<C: Columns, T: DeserializeOwned>(row: &C, column: usize) -> Result<Option<T>, C::Error> {
    let value = row.text(column)?.map(|text| serde_json::from_str(&text));
    value
        .transpose()
        .map_err(|error| C::unreadable(column, error.into()))
}

fn amount<C: Columns>(row: &C, column: usize) -> Result<Option<MicroDollars>, C::Error> {
    Ok(row.number(column)?.map(dollars))
}

/// The state that a column names.
pub(crate) fn state<C: Columns>(row: &C, column: usize) -> Result<State, C::Error> {
    let word = text(row, column)?;
    let state = State::from_name(&word);
    state.ok_or_else(|| C::unreadable(column, Unreadable::Word(word).into()))
}

fn reason<C: Columns>(row: &C) -> Result<Option<Reason>, C::Error> {
    let Some(word) = row.text(9)? else {
        return Ok(None);
    };
    let cause = Cause::from_name(&word);
    let cause = cause.ok_or_else(|| C::unreadable(9, Unreadable::Word(word).into()))?;
    let kind = row.text(29)?;
    Ok(Some(Reason {
        kind: kind.and_then(|kind| serde_json::from_value(kind.into()).ok()),
        ..Reason::new(cause, row.text(10)?.unwrap_or_default())
    }))
}

/// A row of [`SELECT`].
pub(crate) fn read<C: Columns>(row: &C) -> Result<Row, C::Error> {
    let worker = row.text(25)?;
    let seed = row.text(17)?.map(|seed| seed.parse());
    let seed = seed
        .transpose()
        .map_err(|error: std::num::ParseIntError| C::unreadable(17, error.into()))?;
    let state = state(row, 7)?;
    let (reserved, billed) = (amount(row, 20)?, amount(row, 21)?);
    // The columns of a pending row are those of an earlier attempt.
    let (cost, kept_bound) = match state {
        State::Pending => ((None, None), reserved),
        _ => ((reserved, billed), None),
    };
    Ok(Row {
        purchase: Purchase {
            id: LocalId(number(row, 0)?),
            key: text(row, 2)?,
            batch: row.text(3)?,
            origin: text(row, 4)?,
            account: text(row, 5)?,
            endpoint: text(row, 6)?,
            state,
            attempt: attempt(row, 8)?,
            reason: reason(row)?,
            fingerprint: text(row, 11)?,
            input: json(row, 12)?,
            intent: json(row, 14)?,
            ticket: json(row, 15)?,
            target: json(row, 13)?,
            pictures: json(row, 16)?.unwrap_or_default(),
            seed,
            cost: Cost {
                unit_price: json(row, 18)?,
                estimate: amount(row, 19)?,
                reserved: cost.0,
                billed: cost.1,
            },
            created_at: from_ms(number(row, 23)?),
            changed_at: from_ms(number(row, 24)?),
            in_work: worker.is_some(),
            cancel_asked: row.flag(27)?,
            pruned: row.flag(28)?,
        },
        realm: number(row, 1)?,
        worker,
        fence: number(row, 26)?,
        reserved_at: number(row, 22)?,
        kept_bound,
        sendable: json(row, 30)?,
    })
}

/// An earlier attempt: the id of its row, its intent, its request id and its number.
pub(crate) fn earlier<C: Columns>(row: &C) -> Result<EarlierAttempt, C::Error> {
    Ok(EarlierAttempt {
        job: LocalId(number(row, 0)?),
        number: attempt(row, 3)?,
        intent: json(row, 1)?,
        request_id: row.text(2)?,
    })
}

/// A value as JSON, in a column of text.
pub(crate) fn to_json(value: &impl Serialize) -> serde_json::Result<Value> {
    Ok(Value::Text(Some(serde_json::to_string(value)?)))
}

fn optional_json(value: Option<&impl Serialize>) -> serde_json::Result<Value> {
    value.map_or(Ok(Value::Text(None)), to_json)
}

/// An amount, as the columns have it.
pub(crate) fn micro(amount: MicroDollars) -> i64 {
    i64::try_from(amount.get()).unwrap_or(i64::MAX)
}

/// The amount of a column.
pub(crate) fn dollars(micro: i64) -> MicroDollars {
    MicroDollars::new(u64::try_from(micro).unwrap_or_default())
}

/// The columns of a row that change, with their values.
pub(crate) fn changing(row: &Row) -> serde_json::Result<Vec<(&'static str, Value)>> {
    let purchase = &row.purchase;
    let (cost, reason) = (&purchase.cost, purchase.reason.as_ref());
    let word = |word: Option<&str>| Value::Text(word.map(str::to_owned));
    let amount = |amount: Option<MicroDollars>| Value::Number(amount.map(micro));
    let kind = reason.and_then(|reason| reason.kind);
    let kept_for_nothing = row.kept_bound.map(|_| MicroDollars::new(0));
    let digest = purchase.intent.as_ref();
    let digest = digest.and_then(uso::Intent::attempt_digest);
    Ok(vec![
        ("batch", Value::Text(purchase.batch.clone())),
        ("state", word(Some(purchase.state.as_str()))),
        ("attempt", Value::Number(Some(purchase.attempt.into()))),
        ("cause", word(reason.map(|reason| reason.cause.as_str()))),
        ("kind", word(kind.map(uso::ErrorKind::as_str))),
        (
            "message",
            word(reason.map(|reason| reason.message.as_str())),
        ),
        ("attempt_digest", word(digest)),
        ("input", optional_json(purchase.input.as_ref())?),
        ("target", optional_json(purchase.target.as_ref())?),
        ("intent", optional_json(purchase.intent.as_ref())?),
        ("ticket", optional_json(purchase.ticket.as_ref())?),
        ("request_id", word(purchase.request_id())),
        ("pictures", to_json(&purchase.pictures)?),
        (
            "seed",
            Value::Text(purchase.seed.map(|seed| seed.to_string())),
        ),
        ("unit_price", optional_json(cost.unit_price.as_ref())?),
        ("estimate", amount(cost.estimate)),
        ("reserved", amount(cost.reserved.or(row.kept_bound))),
        ("billed", amount(cost.billed.or(kept_for_nothing))),
        ("reserved_at", Value::Number(Some(row.reserved_at))),
        (
            "changed_at",
            Value::Number(Some(to_ms(purchase.changed_at))),
        ),
        ("worker", Value::Text(row.worker.clone())),
        ("fence", Value::Number(Some(row.fence))),
        ("cancel_asked", Value::Flag(purchase.cancel_asked)),
        ("pruned", Value::Flag(purchase.pruned)),
        ("sendable", optional_json(row.sendable.as_ref())?),
    ])
}

/// The values of an attempt that a later one took the place of.
pub(crate) fn past_attempt(past: &PastAttempt, id: LocalId) -> serde_json::Result<[Value; 10]> {
    let reason = past.reason.as_ref();
    let word = |word: Option<&str>| Value::Text(word.map(str::to_owned));
    Ok([
        Value::Number(Some(id.0)),
        Value::Number(Some(past.number.into())),
        word(Some(past.state.as_str())),
        word(reason.map(|reason| reason.cause.as_str())),
        word(reason.map(|reason| reason.message.as_str())),
        optional_json(past.intent.as_ref())?,
        optional_json(past.ticket.as_ref())?,
        word(past.ticket.as_ref().map(uso::Ticket::request_id)),
        Value::Number(Some(micro(past.committed))),
        Value::Number(Some(past.ended_at)),
    ])
}
