//! Webhooks: signed notifications of the end of a request.
//!
//! Each queued request with a webhook leads to one notification when it ends. The POST is repeated
//! until it is answered with 2xx or 3xx, or the result is gone. Only loopback addresses are called.

pub(crate) mod attempts;
mod courier;
mod notification;
pub(crate) mod policy;
pub(crate) mod signer;
pub(crate) mod target;

use std::sync::Arc;

use crate::lock::lock;
use crate::server::respond::{self, Response};
use crate::state::State;
use notification::Notification;

/// Announces the end of a request whose submit named an address. False if it has not ended, has no
/// such address, or is forgotten.
pub(crate) fn notify(state: &Arc<State>, request_id: &str) -> bool {
    let notification = lock(&state.machine)
        .get(request_id, state.clock.now())
        .and_then(Notification::of);
    let Some(notification) = notification else {
        return false;
    };
    state.spawn(courier::deliver(Arc::clone(state), notification));
    true
}

/// The public keys.
pub(crate) fn jwks(state: &State) -> Response {
    respond::json(200, &state.webhooks.signer().jwks())
}
