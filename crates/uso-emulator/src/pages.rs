//! Pages about the emulator itself: a live page for people, and JSON for tests in other languages.

mod jobs;
pub(crate) mod page;

use serde_json::{Value, json};

use crate::lock::lock;
use crate::server::query;
use crate::server::respond::{self, Response, detail, full, response, set};
use crate::state::State;
use crate::webhook::attempts::WebhookAttempt;
use page::Page;

const HTML: &str = include_str!("pages/page.html");
const SCRIPT: &str = include_str!("pages/page.js");
const ICON: &str = include_str!("pages/icon.svg");
const STYLE: &str = include_str!("pages/page.css");

/// Rows of one table that the page shows.
const ROWS: usize = 200;

/// Nothing but the page's own files, no inline script or style, no frame around it, and no text
/// that becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// Types of pictures that the page shows. An SVG can hold scripts.
const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/webp", "image/gif"];

pub(crate) fn answer(state: &State, page: &Page, query: &str) -> Response {
    let mut response = match page {
        Page::Home => response(200, "text/html; charset=utf-8", full(home(state))),
        Page::Script => response(200, "text/javascript; charset=utf-8", full(SCRIPT)),
        Page::Style => response(200, "text/css; charset=utf-8", full(STYLE)),
        Page::Icon => response(200, "image/svg+xml", full(ICON)),
        Page::Live => live(state, query),
        Page::Picture(path) => picture(state, path),
        Page::Requests => respond::json(200, &json!(state.requests.snapshot())),
        Page::Ledger => {
            let ledger = lock(&state.ledger);
            let sums = ledger.sums();
            let body = json!({
                "accepted": sums.accepted,
                "billed": sums.billed,
                "total_micro_dollars": sums.micro_dollars,
                "purchases": ledger.rows().collect::<Vec<_>>(),
            });
            respond::json(200, &body)
        }
        Page::Webhooks => {
            let attempts = state.webhooks.attempts();
            let attempts: Vec<Value> = attempts.iter().map(WebhookAttempt::json).collect();
            respond::json(200, &json!(attempts))
        }
    };
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ] {
        set(&mut response, name, value);
    }
    response
}

/// The page. What changes is filled in by its script, and once here, for readers without scripts.
fn home(state: &State) -> String {
    let sums = lock(&state.ledger).sums();
    let dollars = sums.micro_dollars as f64 / 1e6;
    [
        ("{endpoint}", state.endpoints.uso().endpoint_id().to_owned()),
        ("{origin}", state.origin()),
        ("{accepted}", sums.accepted.to_string()),
        ("{billed}", sums.billed.to_string()),
        ("{dollars}", format!("{dollars:.4}")),
    ]
    .iter()
    .fold(HTML.to_owned(), |page, (name, value)| {
        page.replace(name, value)
    })
}

/// Sums, and the newest rows of the table that is looked at.
fn live(state: &State, query: &str) -> Response {
    let table = query::get(query, "table").unwrap_or_default();
    let rows = match table.as_str() {
        "jobs" => jobs::newest(state, ROWS),
        "requests" => state.requests.newest(ROWS),
        "ledger" => lock(&state.ledger).rows().rev().take(ROWS).collect(),
        "webhooks" => state.webhooks.newest(ROWS),
        _ => return detail(404, "The tables are jobs, requests, ledger and webhooks."),
    };
    let (waiting, running) = {
        let machine = lock(&state.machine);
        (machine.waiting(), machine.running())
    };
    let sums = lock(&state.ledger).sums();
    let body = json!({
        "waiting": waiting,
        "running": running,
        "accepted": sums.accepted,
        "billed": sums.billed,
        "total_micro_dollars": sums.micro_dollars,
        "requests": state.requests.count(),
        "webhooks": state.webhooks.count(),
        "rows": rows,
    });
    respond::json(200, &body)
}

/// A picture for the page, also where only its owner may read it elsewhere.
fn picture(state: &State, path: &str) -> Response {
    let file = state.files.get(path, state.clock.now());
    let shown = file.and_then(|file| {
        let kind = PICTURES
            .into_iter()
            .find(|kind| **kind == *file.content_type)?;
        Some(response(200, kind, full(file.bytes())))
    });
    match shown {
        Some(response) => response,
        None => detail(404, "There is no such picture, or not any more."),
    }
}
