//! Price of exactly the input of the form.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::json;
use uso::MicroDollars;
use uso_journal::{Quote, UnitPrice};

use crate::body;
use crate::draft::{Draft, Slot};
use crate::inputs::InputPicture;
use crate::json;
use crate::refusal::Refusal;
use crate::shared::Shared;

/// `POST /api/quote`: the price of a draft, and what fitting will change about its pictures.
pub(crate) async fn quote(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Refusal> {
    let draft: Draft = body::json(request).await?;
    let asked = draft.request(&shared.inputs)?;
    let estimate = asked.estimate().await;
    let estimate = estimate.map_err(|error| Refusal::of_client(&error))?;
    let quote = Quote::new(&estimate, Some(UnitPrice::published()));
    let content = described(&shared, draft.content.as_ref()).await?;
    let style = described(&shared, draft.style.as_ref()).await?;
    let extra_style = described(&shared, draft.extra_style.as_ref()).await?;
    Ok(json::ok(&json!({
        "price": quote.estimate.map(MicroDollars::get),
        "at_most": quote.bound.map(MicroDollars::get),
        "size": estimate.size,
        "images": estimate.images,
        "pictures": { "content": content, "style": style, "extra_style": extra_style },
    })))
}

async fn described(shared: &Shared, slot: Option<&Slot>) -> Result<Option<InputPicture>, Refusal> {
    match slot {
        Some(Slot::Picture { picture }) => {
            let described = shared.inputs.describe(&shared.client, picture);
            Ok(Some(described.await?))
        }
        _ => Ok(None),
    }
}
