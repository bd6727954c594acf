//! Routes of the page. Nothing reaches them past the guard.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::guard::{self, guard};
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::{buying, jobs, options, page, pictures, quote, verbs};

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let check = Arc::clone(&shared.guard);
    let routes = Router::new()
        .route("/", get(page::html))
        .route("/app.js", get(page::script))
        .route("/app.css", get(page::style))
        .route("/icon.svg", get(page::icon))
        .route(guard::SESSION, post(options::session))
        .route("/api/options", get(options::options))
        .route("/api/quote", post(quote::quote))
        .route("/api/changes", get(jobs::changes))
        .route("/api/jobs", get(jobs::list).post(buying::buy))
        .route("/api/jobs/{id}", get(jobs::one))
        .route("/api/jobs/{id}/content", get(pictures::content))
        .route("/api/jobs/{id}/inputs", post(pictures::take_inputs))
        .route(
            "/api/jobs/{id}/pictures/{number}",
            get(pictures::result).post(pictures::take_result),
        )
        .route(
            "/api/jobs/{id}/thumbnails/{number}",
            get(pictures::thumbnail),
        )
        .route("/api/jobs/{id}/verbs/{verb}", post(verbs::apply))
        .route("/api/pictures", post(pictures::take))
        .route("/api/pictures/{digest}", get(pictures::input))
        .fallback(async || Refusal::not_found("such page"))
        // Bodies are read within limits of their own.
        .layer(DefaultBodyLimit::disable())
        .with_state(shared);
    // The guard comes before routing, so that no spelling of a path leads past it.
    Router::new()
        .fallback_service(routes)
        .layer(from_fn_with_state(check, guard))
}
