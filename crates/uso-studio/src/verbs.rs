//! Verbs of one job: cancel, collect, reconcile, write off, reopen, retry.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use uso::MicroDollars;
use uso_journal::State as JobState;

use crate::body;
use crate::buying::purchase;
use crate::draft::Draft;
use crate::following::resume;
use crate::job_view::view;
use crate::json;
use crate::refusal::Refusal;
use crate::shared::{KEY_PREFIX, Shared};

/// `POST /api/jobs/ID/VERB`
pub(crate) async fn apply(
    State(shared): State<Arc<Shared>>,
    Path((id, verb)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let job = shared.job(&id).await?;
    let (journal, client) = (&shared.journal, &shared.client);
    let mut outcome = None;
    let job = match verb.as_str() {
        "retry" => {
            let retry: Retry = body::json(request).await?;
            let at_most = MicroDollars::new(retry.at_most);
            let draft = job.input.as_ref().and_then(Draft::of_recipe);
            let draft = draft.filter(|_| job.key.starts_with(KEY_PREFIX));
            let draft =
                draft.ok_or_else(|| Refusal::bad("this job cannot be bought again here"))?;
            let buy = purchase(&shared, job.key.clone(), &draft, at_most)?;
            buy.again(retry.attempt).begin().await?
        }
        "write_off" => {
            let WriteOff { seen } = body::json(request).await?;
            journal.write_off(client, job.id, seen).await?
        }
        _ => {
            let _: Value = body::json(request).await?;
            match verb.as_str() {
                "cancel" => {
                    let cancelled = journal.cancel(client, job.id).await?;
                    outcome = Some(cancelled.outcome);
                    cancelled.purchase
                }
                "reconcile" => journal.reconcile(client, job.id).await?,
                "reopen" => journal.reopen(client, job.id).await?,
                "collect" => {
                    resume(&shared, &job);
                    job
                }
                _ => return Err(Refusal::not_found("such verb")),
            }
        }
    };
    shared.live.touch();
    let job = view(&shared, &job);
    Ok(json::ok(&json!({ "job": job, "outcome": outcome })))
}

/// A purchase that is given up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteOff {
    /// The state that the page showed: a job that was found meanwhile is not given up.
    seen: JobState,
}

/// A purchase that is made again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    /// The attempt that the page showed: a request that is sent again buys nothing more.
    attempt: u32,
    /// The upper bound that the button showed, in micro-dollars.
    at_most: u64,
}
