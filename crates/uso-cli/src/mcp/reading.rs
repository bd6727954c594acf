//! Tools that buy nothing and wait for nothing: `estimate`, `result`, `list` and `cancel`.

use rmcp::model::CallToolResult;
use uso::MicroDollars;
use uso_journal::{LocalId, Quote, State, UnitPrice};

use super::arguments::{CancelInput, ListInput, PictureInput, ResultInput};
use super::output::{self, Cancellation, Job, Listing, Price};
use super::preview;
use super::refusal::Refusal;
use super::session::{BATCH, Session};
use crate::price::dollars;

/// Jobs of one list at most.
const MOST: u32 = 10;

pub(crate) async fn estimate(session: &Session, input: &PictureInput) -> Result<Price, Refusal> {
    let request = input.request(&session.root).await?;
    let estimate = request.estimate().await;
    let estimate = estimate.map_err(|error| Refusal::of_client(&error))?;
    let quote = Quote::new(&estimate, Some(UnitPrice::published()));
    let left = session.left().await?;
    Ok(Price {
        images: estimate.images,
        width: estimate.size.map(|(width, _)| width),
        height: estimate.size.map(|(_, height)| height),
        expected_usd: quote.estimate.map(dollars),
        at_most_usd: quote.bound.map(dollars),
        left_usd: dollars(left),
        within_budget: quote.bound.is_some_and(|bound| bound <= left),
    })
}

pub(crate) async fn result(
    session: &Session,
    input: &ResultInput,
) -> Result<CallToolResult, Refusal> {
    let purchase = session.find(&input.id).await?;
    let mut result = output::result(&Job::of(&purchase))?;
    if input.preview {
        for picture in purchase.pictures.iter().filter(|file| file.is_picture()) {
            result.content.push(preview::of(picture).await);
        }
    }
    Ok(result)
}

pub(crate) async fn list(session: &Session, input: &ListInput) -> Result<Listing, Refusal> {
    let jobs = session.journal.jobs(&session.client).batch(BATCH);
    let jobs = match &input.before {
        Some(id) => {
            let id: LocalId = id
                .parse()
                .map_err(|error| Refusal::argument("before", error))?;
            jobs.before(id)
        }
        None => jobs,
    };
    let jobs = match input.unfinished {
        true => jobs.states(State::ALL.into_iter().filter(|state| !state.is_closed())),
        false => jobs,
    };
    let mut purchases = jobs.limit(MOST + 1).read().await?;
    let more = purchases.len() > MOST as usize;
    purchases.truncate(MOST as usize);
    let committed = session.committed().await?;
    let left = session.budget.get().saturating_sub(committed.get());
    Ok(Listing {
        jobs: purchases.iter().map(Job::brief).collect(),
        more,
        budget_usd: dollars(session.budget),
        spent_or_reserved_usd: dollars(committed),
        left_usd: dollars(MicroDollars::new(left)),
    })
}

pub(crate) async fn cancel(
    session: &Session,
    input: &CancelInput,
) -> Result<Cancellation, Refusal> {
    let purchase = session.find(&input.id).await?;
    let cancelled = session.journal.cancel(&session.client, purchase.id).await?;
    Ok(Cancellation::of(cancelled.outcome, &cancelled.purchase))
}
