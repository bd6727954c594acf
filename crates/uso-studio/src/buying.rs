//! Purchases: each is a row of the journal before anything is sent, and goes on by itself.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use uso::MicroDollars;
use uso_journal::Buy;

use crate::body;
use crate::draft::Draft;
use crate::job_view::view;
use crate::json;
use crate::refusal::Refusal;
use crate::shared::{KEY_PREFIX, Shared};

/// A purchase as the page asks for it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// One for each press of the button: the same press again buys nothing.
    key: String,
    draft: Draft,
    /// The upper bound that the button showed, in micro-dollars.
    at_most: u64,
}

/// `POST /api/jobs`: buys, and responds once the row is recorded.
pub(crate) async fn buy(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Refusal> {
    let wish: Wish = body::json(request).await?;
    let is_key = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    if !(16..=64).contains(&wish.key.len()) || !wish.key.bytes().all(is_key) {
        return Err(Refusal::bad(
            "the key of the purchase is not a random identifier",
        ));
    }
    let key = format!("{KEY_PREFIX}{}", wish.key);
    let at_most = MicroDollars::new(wish.at_most);
    let row = purchase(&shared, key, &wish.draft, at_most)?
        .begin()
        .await?;
    Ok(json::response(StatusCode::CREATED, &view(&shared, &row)))
}

/// The purchase of a draft, which goes on in a task of its own once it is begun.
pub(crate) fn purchase(
    shared: &Shared,
    key: String,
    draft: &Draft,
    at_most: MicroDollars,
) -> Result<Buy, Refusal> {
    let request = draft.request(&shared.inputs)?;
    let listener = shared.live.listener(&key, "preparing");
    // Asked once the listener counts as unsent: the close waits for it, or it is refused.
    if *shared.closed.borrow() {
        return Err(Refusal::closing());
    }
    let buy = shared
        .journal
        .purchase(&shared.client, key, request)
        .batch(shared.session.clone(), shared.settings.budget)
        .max_cost(at_most);
    Ok(match listener {
        Some(tell) => buy.on_progress(tell),
        None => buy,
    })
}
