//! Refusals: responses that say in JSON why a request is not done.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use uso_journal::Error as JournalError;

use crate::json;

/// A request that is not done.
#[derive(Debug, Serialize)]
pub(crate) struct Refusal {
    #[serde(skip)]
    status: StatusCode,
    /// A word for the page, such as `budget`.
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// What is wrong with which field of the form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<FieldProblem>,
}

/// What is wrong with a field of the form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FieldProblem {
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: None,
            problems: Vec::new(),
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("there is no {what}"),
        )
    }

    /// A file that does not have the content of its purchase.
    pub(crate) fn changed() -> Self {
        let message = "the file has changed since the purchase";
        Self::new(StatusCode::CONFLICT, "changed", message)
    }

    pub(crate) fn unauthorized() -> Self {
        let message = "open the address that uso studio printed in its terminal";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(crate) fn closing() -> Self {
        let message = "the studio is closing and takes no purchase";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "closing", message)
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// A body of a type that is not taken.
    pub(crate) fn of_type(message: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "type", message)
    }

    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        let message = chain(error);
        tracing::warn!(message, "a request of the page failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// Wrong fields of the form.
    pub(crate) fn of_fields(problems: Vec<FieldProblem>) -> Self {
        let messages = problems.iter().map(|problem| problem.message.as_str());
        Self {
            problems: problems.clone(),
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "input",
                messages.collect::<Vec<_>>().join("; "),
            )
        }
    }

    /// An error of the client; wrong fields keep their names.
    pub(crate) fn of_client(error: &uso::Error) -> Self {
        let problems = error.problems().iter().map(|problem| FieldProblem {
            field: field_name(&problem.path),
            message: problem.message.clone(),
        });
        let problems: Vec<FieldProblem> = problems.collect();
        if !problems.is_empty() {
            return Self::of_fields(problems);
        }
        Self {
            hint: error.hint().map(str::to_owned),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "input", error.to_string())
        }
    }
}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        let (status, code) = match &error {
            JournalError::Request(source) => return Self::of_client(source),
            JournalError::Budget(_) => (StatusCode::CONFLICT, "budget"),
            JournalError::Conflict { .. } => (StatusCode::CONFLICT, "conflict"),
            JournalError::NotAllowed { .. } => (StatusCode::CONFLICT, "state"),
            JournalError::Busy(_) => (StatusCode::CONFLICT, "busy"),
            JournalError::NotFound(_) => return Self::not_found("such job"),
            JournalError::NotBought { .. } => (StatusCode::BAD_GATEWAY, "not_bought"),
            JournalError::Lookup { .. } => (StatusCode::BAD_GATEWAY, "lookup"),
            _ => return Self::internal(&error),
        };
        Self::new(status, code, chain(&error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        json::response(self.status, &serde_json::json!({ "error": self }))
    }
}

/// An error with its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The form's name of a field of the service.
fn field_name(path: &str) -> String {
    let name = path.split(['.', '[']).next().unwrap_or(path);
    match name {
        "num_images" => "images",
        "num_inference_steps" => "steps",
        "guidance_scale" => "guidance",
        "image_size" => "size",
        "output_format" => "format",
        "input_image_urls" => "content",
        "extra style" => "extra_style",
        other => other,
    }
    .to_owned()
}
