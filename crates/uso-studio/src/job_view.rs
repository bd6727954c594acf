//! A job as the page sees it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use uso::MicroDollars;
use uso_journal::{Cause, Purchase, State};

use crate::draft::Draft;
use crate::live::JobProgress;
use crate::shared::{KEY_PREFIX, Shared};

/// The job as JSON. It holds neither the API key nor a path.
pub(crate) fn view(shared: &Shared, purchase: &Purchase) -> Value {
    let live = shared.live.of(&purchase.key);
    let live = live.filter(|_| purchase.in_work);
    let draft = purchase.input.as_ref().and_then(Draft::of_recipe);
    let reason = purchase.reason.as_ref();
    let pictures: Vec<Value> = purchase
        .pictures
        .iter()
        .filter(|file| file.is_picture())
        .map(|picture| {
            json!({
                "number": picture.number,
                "bytes": picture.bytes,
                "flagged": picture.flagged,
                // Changes when another attempt makes another picture.
                "version": picture.sha256.get(..12),
            })
        })
        .collect();
    json!({
        "id": purchase.id,
        "state": purchase.state,
        "attempt": purchase.attempt,
        "in_work": purchase.in_work,
        "cancel_asked": purchase.cancel_asked,
        "cause": reason.map(|reason| reason.cause),
        "message": reason.map(|reason| reason.message.as_str()),
        "source": source(purchase),
        "label": purchase.key,
        "request_id": purchase.request_id(),
        "draft": draft,
        "seed": purchase.seed.map(|seed| seed.to_string()),
        "pictures": pictures,
        "estimate": purchase.cost.estimate.map(MicroDollars::get),
        "reserved": purchase.cost.reserved.map(MicroDollars::get),
        "billed": purchase.cost.billed.map(MicroDollars::get),
        "created_at": milliseconds(purchase.created_at),
        "changed_at": milliseconds(purchase.changed_at),
        "can": verbs(purchase, live.as_ref()),
        "live": live,
    })
}

/// Where a job was bought.
fn source(purchase: &Purchase) -> String {
    match &purchase.batch {
        _ if purchase.key.starts_with(KEY_PREFIX) => "studio".to_owned(),
        Some(batch) => format!("batch {batch}"),
        None => "command line".to_owned(),
    }
}

/// The verbs that the state of a job allows.
fn verbs(purchase: &Purchase, live: Option<&JobProgress>) -> Vec<&'static str> {
    let mut verbs = Vec::new();
    let is_ours = purchase.key.starts_with(KEY_PREFIX);
    match purchase.state {
        State::Pending => verbs.push("cancel"),
        State::Reserved if !purchase.in_work => verbs.push("cancel"),
        State::Submitted => {
            if !purchase.cancel_asked {
                verbs.push("cancel");
            }
            if !purchase.in_work && live.is_none() {
                verbs.push("collect");
                verbs.push("write_off");
            }
        }
        State::Unknown if !purchase.in_work => {
            verbs.push("reconcile");
            verbs.push("write_off");
        }
        State::Failed | State::Cancelled if !purchase.pruned => {
            if is_ours && purchase.input.is_some() {
                verbs.push("retry");
            }
            let cause = purchase.reason.as_ref().map(|reason| reason.cause);
            if cause == Some(Cause::WrittenOff) {
                verbs.push("reopen");
            }
        }
        _ => {}
    }
    verbs
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
