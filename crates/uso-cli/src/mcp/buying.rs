//! Tool `buy`: a purchase by its label, with a durable state within two seconds.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{CallToolRequestParams, CallToolResponse, JsonObject};
use rmcp::service::RequestContext;
use tokio::time::{Instant, sleep};
use uso_journal::{Progress, Purchase, Quote, State, Target, UnitPrice};

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
    let (purchase, picture) = parse_buy(arguments)?;
    let (label, most) = (purchase.label()?, purchase.max_cost()?);
    let request = picture.request(&session.root).await?;
    let known = session.labelled(label).await?;
    let is_new = known.is_none_or(|known| known.state == State::Pending || known.is_not_bought());
    if is_new && session.asks && can_ask(context) {
        let estimate = request.estimate().await;
        let estimate = estimate.map_err(|error| Refusal::of_client(&error))?;
        let quote = Quote::new(&estimate, Some(UnitPrice::published()));
        let bound = quote.bound.unwrap_or(most);
        // What is refused anyway is not asked about.
        if bound <= most && bound <= session.left().await? {
            let recipe = request.recipe().await;
            let recipe = recipe.map_err(|error| Refusal::of_client(&error))?;
            let message = format!(
                "Buy {} picture(s) {label:?} from fal for at most {bound}?",
                estimate.images
            );
            let exactly = format!("{label} {bound} {}", recipe.fingerprint().as_str());
            match ask(context, call, message, exactly).await? {
                Consent::Given => {}
                Consent::Required(question) => return Ok((*question).into()),
            }
        }
    }
    let begun = Instant::now();
    let name = format!("{label}-{{n}}.{{ext}}");
    let token = Mutex::new(Some(session.unsent.token()));
    let bought = session
        .journal
        .purchase(&session.client, key(label), request)
        .batch(BATCH, session.budget)
        .max_cost(most)
        .target(Target::named(session.folder()?, name))
        .on_progress(move |progress| {
            if matches!(progress, Progress::Submitted(_) | Progress::Failed(_)) {
                token.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        })
        .begin()
        .await?;
    let settled = settled(session, bought, begun).await?;
    Ok(output::result(&Job::of(&settled))?.into())
}

/// The purchase once its submit has an outcome, or as it is when the patience ends.
async fn settled(
    session: &Session,
    mut purchase: Purchase,
    begun: Instant,
) -> Result<Purchase, Refusal> {
    while is_unsettled(&purchase) && begun.elapsed() < PATIENCE {
        sleep(GLANCE).await;
        purchase = session.journal.get(&session.client, purchase.id).await?;
    }
    Ok(purchase)
}

/// Whether the outcome of the submit is about to become known.
fn is_unsettled(purchase: &Purchase) -> bool {
    let is_open = matches!(
        purchase.state,
        State::Pending | State::Reserved | State::Sending | State::Unknown
    );
    is_open && purchase.in_work
}
