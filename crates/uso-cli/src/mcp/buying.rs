//! Tool `buy`: a purchase by its label, with a durable state within two seconds.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{CallToolRequestParams, CallToolResponse, JsonObject};
use rmcp::service::RequestContext;
use tokio::time::{Instant, sleep};
use uso::{MicroDollars, Request};
use uso_journal::{BudgetStop, Error, Progress, Purchase, Quote, Scope, State, Target, UnitPrice};

use super::arguments::parse_buy;
use super::confirmation::{Consent, ask, can_ask};
use super::output::{self, Job};
use super::refusal::Refusal;
use super::session::{BATCH, Session, key};

/// Longest wait for the response to the submit.
const PATIENCE: Duration = Duration::from_millis(1800);

/// Pause between two looks at the row.
const GLANCE: Duration = Duration::from_millis(20);

pub(crate) async fn buy(
    session: &Session,
    arguments: JsonObject,
    call: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, Refusal> {
    let (wish, picture) = parse_buy(arguments)?;
    let (label, most) = (wish.label()?, wish.max_cost()?);
    let request = picture.request(&session.root).await?;
    let target = Target::named(session.folder()?, format!("{label}-{{n}}.{{ext}}"));
    let purchase = |request| {
        let token = Mutex::new(Some(session.unsent.token()));
        session
            .journal
            .purchase(&session.client, key(label), request)
            .batch(BATCH, session.budget)
            .max_cost(most)
            .target(target.clone())
            .on_progress(move |progress| {
                if matches!(progress, Progress::Submitted(_) | Progress::Failed(_)) {
                    token.lock().unwrap_or_else(PoisonError::into_inner).take();
                }
            })
    };
    let mut begun = Instant::now();
    if session.asks && can_ask(context) {
        match purchase(request.clone()).only_bought().begin().await {
            Err(Error::WouldBuy(_)) => {}
            bought => return settled(session, bought?, begun).await,
        }
        let (message, exactly) = question(session, label, most, &request).await?;
        match ask(context, call, message, exactly).await? {
            Consent::Given => {}
            Consent::Required(question) => return Ok((*question).into()),
        }
        begun = Instant::now();
    }
    let bought = purchase(request).begin().await?;
    settled(session, bought, begun).await
}

/// The question to the user, and a text that stands for exactly this purchase. What the budget would
/// refuse is refused here, so that the user is not asked in vain.
async fn question(
    session: &Session,
    label: &str,
    most: MicroDollars,
    request: &Request,
) -> Result<(String, String), Refusal> {
    let estimate = request.estimate().await;
    let estimate = estimate.map_err(|error| Refusal::of_client(&error))?;
    let quote = Quote::new(&estimate, Some(UnitPrice::published()));
    let bound = quote.bound.unwrap_or(most);
    let committed = session.committed().await?;
    let nothing = MicroDollars::new(0);
    for (scope, cap, committed) in [
        (Scope::Purchase, most, nothing),
        (Scope::Batch, session.budget, committed),
    ] {
        if committed.get().saturating_add(bound.get()) > cap.get() {
            let stop = BudgetStop::Exceeded {
                scope,
                cap,
                committed,
                bound,
            };
            return Err(stop.into());
        }
    }
    let recipe = request.recipe().await;
    let recipe = recipe.map_err(|error| Refusal::of_client(&error))?;
    let message = format!(
        "Buy {} picture(s) {label:?} from fal for at most {bound}?",
        estimate.images
    );
    let exactly = format!("{label} {bound} {}", recipe.fingerprint().as_str());
    Ok((message, exactly))
}

/// The purchase once its submit has an outcome, or as it is when the patience ends.
async fn settled(
    session: &Session,
    mut purchase: Purchase,
    begun: Instant,
) -> Result<CallToolResponse, Refusal> {
    while is_unsettled(&purchase) && begun.elapsed() < PATIENCE {
        sleep(GLANCE).await;
        purchase = session.journal.get(&session.client, purchase.id).await?;
    }
    Ok(output::result(&Job::of(&purchase))?.into())
}

/// Whether the outcome of the submit is about to become known.
fn is_unsettled(purchase: &Purchase) -> bool {
    let is_open = matches!(
        purchase.state,
        State::Pending | State::Reserved | State::Sending | State::Unknown
    );
    is_open && purchase.in_work
}
