//! Purchases of a batch in the journal, by the key of their row.

use std::collections::HashMap;

use uso::{Client, MicroDollars};
use uso_journal::{Cause, Cost, Journal, LocalId, Purchase, SavedPicture, State};

use crate::failure::Failure;
use crate::journal;

/// Digits of the fingerprint that a key has.
const DIGITS: usize = 16;

/// What is known of a purchase.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: LocalId,
    pub(crate) state: State,
    pub(crate) attempt: u32,
    pub(crate) cause: Option<Cause>,
    pub(crate) message: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) seed: Option<u64>,
    pub(crate) cost: Cost,
    pub(crate) pictures: Vec<SavedPicture>,
    pub(crate) in_work: bool,
}

/// Purchases by key.
pub(crate) type Purchases = HashMap<String, Known>;

/// The key of a row: a row that asks for something else has another key.
pub(crate) fn key(batch: &str, id: &str, fingerprint: &str) -> String {
    let digits = fingerprint.get(..DIGITS).unwrap_or(fingerprint);
    format!("{batch}/{id}/{digits}")
}

/// The id of the row that has this key.
pub(crate) fn id_of<'a>(batch: &str, key: &'a str) -> Option<&'a str> {
    let rest = key.strip_prefix(batch)?.strip_prefix('/')?;
    rest.rsplit_once('/').map(|(id, _)| id)
}

impl Known {
    fn of(purchase: Purchase) -> Self {
        Self {
            id: purchase.id,
            state: purchase.state,
            attempt: purchase.attempt,
            cause: purchase.reason.as_ref().map(|reason| reason.cause),
            request_id: purchase.request_id().map(str::to_owned),
            seed: purchase.seed,
            message: purchase.reason.map(|reason| reason.message),
            cost: purchase.cost,
            pictures: purchase.pictures,
            in_work: purchase.in_work,
        }
    }

    /// Whether every picture is on disk.
    pub(crate) fn is_whole(&self) -> bool {
        // Another machine proved that its files are there.
        let is_there = |picture: &SavedPicture| picture.is_elsewhere() || picture.is_on_disk();
        self.state == State::Done && self.pictures.iter().all(is_there)
    }

    /// What is reserved for it until it is billed.
    pub(crate) fn still_reserved(&self) -> Option<MicroDollars> {
        self.cost.reserved.filter(|_| self.cost.billed.is_none())
    }

    /// Whether nothing was bought, so that a change of the row costs nothing.
    pub(crate) fn is_free(&self) -> bool {
        let is_refused = self.cause == Some(Cause::NotBought);
        match self.state {
            State::Pending | State::Reserved => true,
            State::Failed => is_refused,
            _ => false,
        }
    }
}

/// Reads the purchases of a batch.
pub(crate) async fn read(
    journal: &Journal,
    client: &Client,
    batch: &str,
) -> Result<Purchases, Failure> {
    let mut all = Purchases::new();
    journal::each(journal.jobs(client).batch(batch), |purchase| {
        all.insert(purchase.key.clone(), Known::of(purchase));
        Ok(())
    })
    .await?;
    Ok(all)
}

/// The newest purchase of each row.
pub(crate) fn newest<'a>(batch: &str, bought: &'a Purchases) -> HashMap<&'a str, &'a Known> {
    let mut newest: HashMap<&str, &Known> = HashMap::new();
    for (key, known) in bought {
        let Some(id) = id_of(batch, key) else {
            continue;
        };
        let entry = newest.entry(id).or_insert(known);
        if known.id > entry.id {
            *entry = known;
        }
    }
    newest
}
