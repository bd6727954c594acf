//! Confirmation of a purchase by the user, where the client can ask: with a request of the server in
//! sessions that began with `initialize`, and as a required input in the stateless protocol.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction,
    ElicitationSchema, InputRequest, InputRequests, InputRequiredResult, ProtocolVersion,
};
use rmcp::service::RequestContext;

use super::refusal::Refusal;

/// Longest wait for the user; many clients give up on a tool after a minute.
const PATIENCE: Duration = Duration::from_secs(50);

/// Name of the question among the required inputs.
const QUESTION: &str = "confirm_purchase";

/// Whether a purchase may be made.
pub(crate) enum Consent {
    Given,
    /// The client asks its user, and calls again with the answer.
    Required(Box<InputRequiredResult>),
}

/// Whether the client of this call can ask its user.
pub(crate) fn can_ask(context: &RequestContext<RoleServer>) -> bool {
    let capabilities = context.client_capabilities();
    let elicitation = capabilities.and_then(|capabilities| capabilities.elicitation);
    // A client that names no mode has forms.
    elicitation.is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
}

/// Asks the user. `purchase` stands for exactly what is bought, so that an answer is never taken for
/// another question's.
pub(crate) async fn ask(
    context: &RequestContext<RoleServer>,
    call: &CallToolRequestParams,
    message: String,
    purchase: String,
) -> Result<Consent, Refusal> {
    let params = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message,
        requested_schema: ElicitationSchema::new(Default::default()),
    };
    let is_stateless = context
        .protocol_version()
        .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
    if !is_stateless {
        let peer = &context.peer;
        let answer = tokio::select! {
            answer = peer.create_elicitation_with_timeout(params, Some(PATIENCE)) => answer,
            () = context.ct.cancelled() => return Err(refused("the call was cancelled")),
        };
        return match answer {
            Ok(answer) => consent(&answer),
            Err(error) => Err(refused(&format!("the user could not be asked: {error}"))),
        };
    }
    let answer = call.input_responses.as_ref();
    let answer = answer.and_then(|answers| answers.get(QUESTION));
    let answer = answer.filter(|_| call.request_state.as_ref() == Some(&purchase));
    match answer {
        Some(answer) => match serde_json::from_value(answer.clone()) {
            Ok(answer) => consent(&answer),
            Err(_) => Err(refused("the client's answer could not be read")),
        },
        None => {
            let question = InputRequest::Elicitation(ElicitRequest::new(params));
            let questions = InputRequests::from([(QUESTION.to_owned(), question)]);
            let required = InputRequiredResult::new(Some(questions), Some(purchase));
            Ok(Consent::Required(Box::new(required)))
        }
    }
}

fn consent(answer: &ElicitResult) -> Result<Consent, Refusal> {
    match answer.action {
        ElicitationAction::Accept => Ok(Consent::Given),
        _ => Err(refused("the user did not confirm the purchase")),
    }
}

fn refused(why: &str) -> Refusal {
    let next = "do not buy it unless the user asks for it again; keep the label";
    Refusal::new("not_confirmed", why, next)
}
