//! The recorded jobs as the arguments of a command name them.

use crate::failure::Failure;
use crate::place::Place;
use crate::printer::Printer;
use crate::records::{Record, State, forget};

/// The request ids that are recorded, newest first, with the place of their pictures.
pub(crate) fn known_ids() -> Vec<(String, String)> {
    let Ok(records) = State::locate().and_then(|state| state.records()) else {
        return Vec::new();
    };
    let records = records
        .into_iter()
        .rev()
        .filter_map(|path| Record::peek(&path));
    records
        .filter_map(|record| Some((record.request_id()?.to_owned(), record.target.shown())))
        .collect()
}

/// The request id that an argument means: a whole one, the start of a recorded one, or without an
/// argument the newest recorded one.
pub(crate) fn resolve(origin: &str, given: Option<&str>) -> Result<String, Failure> {
    /// Shorter starts are typing errors more often than ids.
    const SHORTEST: usize = 4;
    let ids = State::locate()
        .and_then(|state| state.records())
        .unwrap_or_default();
    let ids = ids.into_iter().rev().filter_map(|path| Record::peek(&path));
    let mut ids = ids
        .filter(|record| record.origin == origin)
        .filter_map(|record| record.request_id().map(str::to_owned));
    let Some(given) = given else {
        return ids.next().ok_or_else(|| {
            Failure::usage("no job is recorded, and no request id is given")
                .with_hint("give the id that the purchase printed")
        });
    };
    let ids: Vec<String> = ids.collect();
    if ids.iter().any(|id| id == given) || given.len() < SHORTEST {
        return Ok(given.to_owned());
    }
    let starting: Vec<&String> = ids.iter().filter(|id| id.starts_with(given)).collect();
    match starting.as_slice() {
        [] => Ok(given.to_owned()),
        [id] => Ok((*id).clone()),
        [one, other, ..] => Err(Failure::usage(format!(
            "{given} is the start of several request ids, such as {one} and {other}"
        ))
        .with_hint("give more of the id")),
    }
}

/// Where the pictures of a recorded request go.
pub(crate) fn place_of(origin: &str, request_id: &str) -> Option<Place> {
    let records = State::locate().and_then(|state| state.records()).ok()?;
    let mut records = records.into_iter().filter_map(|path| Record::peek(&path));
    records
        .find(|record| record.origin == origin && record.request_id() == Some(request_id))
        .map(|record| record.target)
}

/// Forgets the record of a request that is over, unless another process works on it.
pub(crate) fn settle(origin: &str, request_id: &str, printer: &Printer) {
    let Ok(state) = State::locate() else { return };
    if let Some(entry) = state.take_by_id(origin, request_id) {
        entry.record.target.give_back();
        forget(entry, printer);
    }
}
