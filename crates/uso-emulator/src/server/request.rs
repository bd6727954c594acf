//! A request that was read and routed, and the dispatch to its handler.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;

use super::address::Address;
use super::respond::{self, Response, detail};
use super::route::Route;
use crate::queue::Plan;
use crate::queue::handlers::{self, Call, Twist};
use crate::scenario::Operation;
use crate::state::State;
use crate::{pages, platform, storage, webhook};

/// A request that was read and routed.
pub(crate) struct Request<'a> {
    pub(crate) state: &'a Arc<State>,
    pub(crate) parts: &'a Parts,
    pub(crate) operation: Operation,
    pub(super) address: Address,
    pub(super) route: Route,
    pub(super) body: Bytes,
}

impl Request<'_> {
    /// Does the work and answers truthfully, but for what a scenario has planned for the job or
    /// wants of the stream.
    pub(crate) async fn answer(&self, plan: Plan, twist: Option<Twist<'_>>) -> Response {
        let (state, headers, base) = (self.state, &self.parts.headers, &self.address.base);
        let query = self.parts.uri.query().unwrap_or_default();
        let call = |endpoint_id| Call {
            endpoint_id,
            headers,
            query,
            body: &self.body,
            base,
            plan,
        };
        match &self.route {
            Route::Submit(endpoint_id) => handlers::submit(state, call(endpoint_id)),
            Route::Run(endpoint_id) => handlers::run(state, call(endpoint_id), false).await,
            Route::RunStream(endpoint_id) => handlers::run(state, call(endpoint_id), true).await,
            Route::FollowUp(follow_up) => {
                handlers::follow_up(state, follow_up, headers, query, base, twist)
            }
            Route::File(path) => storage::file(state, path, headers, query),
            Route::Storage(route) => {
                let call = storage::Call {
                    headers,
                    query,
                    body: &self.body,
                    base,
                };
                storage::answer(state, route, &call)
            }
            Route::Jwks => webhook::jwks(state),
            Route::OpenApi => platform::document(state, query),
            Route::Listing => platform::listing(state, headers, query, base),
            Route::Page(page) => pages::answer(state, page, query),
            Route::Preflight => respond::response(204, "text/plain", respond::full(Bytes::new())),
            Route::WrongMethod => detail(405, "Method Not Allowed"),
            Route::Unknown => detail(404, "Not Found"),
        }
    }

    /// The request id in its path.
    pub(crate) fn request_id(&self) -> Option<&str> {
        match &self.route {
            Route::FollowUp(follow_up) => Some(&follow_up.request_id),
            _ => None,
        }
    }
}
