//! Pages about the emulator itself, for people and for tests in other languages.

use serde_json::{Value, json};

use crate::lock::lock;
use crate::requests::LoggedRequest;
use crate::server::respond::{self, Response, full};
use crate::state::State;

pub(crate) fn requests(state: &State) -> Response {
    let requests: Vec<Value> = state
        .requests
        .snapshot()
        .iter()
        .map(LoggedRequest::json)
        .collect();
    respond::json(200, &json!(requests))
}

pub(crate) fn home(state: &State) -> Response {
    let (waiting, running) = {
        let machine = lock(&state.machine);
        (machine.waiting(), machine.running())
    };
    let ledger = lock(&state.ledger).snapshot();
    let origin = state.origin();
    let endpoint = state.schema.endpoint_id();
    let dollars = ledger.total_micro_dollars() as f64 / 1e6;
    let page = format!(
        "<!doctype html><meta charset=utf-8><title>uso emulator</title>\
         <style>body{{font:16px/1.5 system-ui;max-width:42em;margin:3em auto;padding:0 1em}}\
         code{{background:#8882;padding:.1em .3em;border-radius:.2em}}</style>\
         <h1>An emulated fal</h1>\
         <p>This address answers as fal would for <code>{endpoint}</code>. \
         Nothing here costs money, and nothing leaves this machine but requests for the pictures \
         it is told to fetch.</p>\
         <ul><li>queue: <code>{origin}/queue</code>\
         <li>run: <code>{origin}/run</code>\
         <li>files: <code>{origin}/cdn</code>\
         <li>webhook keys: <code>{origin}/rest/.well-known/jwks.json</code>\
         <li>platform: <code>{origin}/platform/v1</code>\
         <li><a href=\"/api/openapi/queue/openapi.json?endpoint_id={endpoint}\">\
         OpenAPI document</a></ul>\
         <p>{waiting} waiting, {running} running. \
         {accepted} accepted, {billed} billed, ${dollars:.4} in all.</p>\
         <p><a href=\"/emulator/requests\">Requests</a>, \
         <a href=\"/emulator/ledger\">ledger</a> and \
         <a href=\"/emulator/webhooks\">webhooks</a> as JSON.</p>",
        accepted = ledger.purchases().len(),
        billed = ledger.billed().count(),
    );
    respond::response(200, "text/html; charset=utf-8", full(page))
}
