//! Handling of one request: check the page, the caller and the target, then pass the request on.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use uso_transport::{Forward, Operation};

use crate::allowed_target::Target;
use crate::cors;
use crate::endpoint::Pricing;
use crate::headers::{Problem, TARGET_URL, passed_on, single};
use crate::pass_through;
use crate::price::Price;
use crate::purchase::Purchase;
use crate::purchase_task::Order;
use crate::refusal::Refusal;
use crate::request_body;
use crate::shared_state::Shared;

/// The largest body that begins an upload: a content type and a file name.
const UPLOAD_BODY: usize = 16 << 10;

/// Handles a request of a page.
pub(crate) async fn respond(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let responding = async {
        let passing = shared.pass(&parts, body);
        let passed = shared.given_up.run_until_cancelled(passing).await;
        let passed = passed.unwrap_or_else(|| Err(Refusal::lost()));
        passed.unwrap_or_else(|refusal| {
            tracing::debug!(?refusal, "refused");
            refusal.into_response()
        })
    };
    cors::guard(&shared.settings.origins, &parts, responding).await
}

impl Shared {
    async fn pass(self: &Arc<Self>, parts: &Parts, body: Body) -> Result<Response, Refusal> {
        // Taken before the check, so that the close waits for a request that passes it.
        let _tracked = self.tasks.token();
        self.is_open()?;
        let target = self.target(parts)?;
        let caller = (self.check)(parts.headers.clone()).await;
        let caller = caller.ok_or_else(Refusal::unauthorized)?;
        let permit = self.traffic.admit(&caller, Instant::now());
        let mut permit = permit.map_err(Refusal::exceeded)?;
        let headers = passed_on(&parts.headers).map_err(|problem| match problem {
            Problem::Reserved(name) => Refusal::invalid(&format!(
                "the account decides the header {name}, so a page may not set it"
            )),
            Problem::Repeated(name) => {
                Refusal::invalid(&format!("the header {name} is given more than once"))
            }
        })?;
        match &target {
            Target::FollowUp {
                operation, ticket, ..
            } => {
                if !self.unrecorded.owns(&caller, ticket) {
                    let owns = self.settings.records.owns(&caller, ticket).await;
                    if !owns.map_err(|error| Refusal::unavailable(&error))? {
                        return Err(Refusal::not_found(*operation));
                    }
                }
                if *operation == Operation::Stream {
                    permit.stream().map_err(Refusal::exceeded)?;
                }
                let forward = forward(parts, &target, headers, Bytes::new());
                pass_through::pass(self, permit, forward).await
            }
            Target::Upload { .. } => {
                let body = request_body::read(self, &mut permit, parts, body, UPLOAD_BODY).await?;
                let forward = forward(parts, &target, headers, body);
                pass_through::pass(self, permit, forward).await
            }
            Target::Purchase {
                operation,
                endpoint,
                ..
            } => {
                let limit = self.settings.max_body;
                let body = request_body::read(self, &mut permit, parts, body, limit).await?;
                let price = match endpoint.price {
                    Pricing::OfUso => Price::of_uso(&body).map_err(Refusal::invalid)?,
                    Pricing::Each(price) => Price::flat(price),
                };
                let Price { estimate, reserved } = price;
                let id = endpoint.id.clone();
                let purchase = Purchase::new(caller, id, *operation, estimate, reserved, &body);
                let forward = forward(parts, &target, headers, body);
                // The body may have taken its time.
                self.is_open()?;
                let order = Order {
                    purchase,
                    permit,
                    forward,
                };
                order.place(self).await
            }
        }
    }

    fn is_open(&self) -> Result<(), Refusal> {
        if self.closing.is_cancelled() {
            return Err(Refusal::closing());
        }
        Ok(())
    }

    fn target<'a>(&'a self, parts: &Parts) -> Result<Target<'a>, Refusal> {
        if !parts.headers.contains_key(&TARGET_URL) {
            return Err(Refusal::invalid("the header x-fal-target-url is missing"));
        }
        let text = single(&parts.headers, &TARGET_URL).and_then(|value| value.to_str().ok());
        let text = text.ok_or_else(|| Refusal::invalid("x-fal-target-url is not one URL"))?;
        let bases = self.transport.config().base_urls();
        let target = Target::read(&parts.method, text, &self.settings.endpoints, bases);
        let target = target.map_err(Refusal::invalid)?;
        if target.operation() == Operation::Run && !self.settings.allow_run {
            let text = "runs are not allowed, since a run whose response is lost is paid for and gone: use the queue, as the client's subscribe does";
            return Err(Refusal::invalid(text));
        }
        Ok(target)
    }
}

fn forward(parts: &Parts, target: &Target<'_>, mut headers: HeaderMap, body: Bytes) -> Forward {
    if !body.is_empty() {
        // The proxy read the body as JSON, so the service must do the same.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Forward {
        operation: target.operation(),
        service: target.service(),
        method: parts.method.clone(),
        path: target.path(),
        query: target.query(),
        headers,
        body,
    }
}
