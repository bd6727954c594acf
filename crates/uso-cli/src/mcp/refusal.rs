//! Refusal of a tool call, in the words of an agent: what is wrong, and what to do next.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::json;
use uso::error::Problem;
use uso_journal::{BudgetStop, Error, Scope};

use super::bought::Bought;
use crate::root_cause::message_of;

/// Characters of a message at most.
const LONGEST: usize = 1000;

/// What to do when a person has to decide.
const ASK: &str = "tell the user; do not try again with another label";

/// Refusal of a tool call.
#[derive(Debug)]
pub(crate) struct Refusal {
    kind: &'static str,
    message: String,
    next: String,
    is_other_picture: bool,
}

impl Refusal {
    pub(crate) fn new(
        kind: &'static str,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            message: message.into(),
            next: next.into(),
            is_other_picture: false,
        }
    }

    /// Whether the label that the call names belongs to a picture that the call does not ask for.
    pub(crate) fn is_other_picture(&self) -> bool {
        self.is_other_picture
    }

    /// An argument that cannot be used.
    pub(crate) fn argument(name: &str, why: impl std::fmt::Display) -> Self {
        let next = "correct the argument and call again with the same label";
        Self::new("argument", format!("{name}: {why}"), next)
    }

    pub(crate) fn is_of_argument(&self) -> bool {
        self.kind == "argument"
    }

    pub(crate) fn of_client(error: &uso::Error) -> Self {
        let told: Vec<String> = error.problems().iter().map(in_tool_words).collect();
        match told.is_empty() {
            true => {
                let message = message_of(error);
                Self::new(error.kind().as_str(), message, "tell the user")
            }
            false => Self::new(
                "argument",
                told.join("; "),
                "correct the argument and call again with the same label",
            ),
        }
    }

    /// The refusal with the state of what the call asks for.
    pub(crate) fn result(&self, bought: Bought) -> CallToolResult {
        let document = json!({
            "error": self.kind,
            "message": shortened(&self.message, LONGEST),
            "bought": bought,
            "next": self.next,
        });
        CallToolResult::error(vec![ContentBlock::text(document.to_string())])
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Request(error) => Self::of_client(&error),
            Error::Conflict { id, difference } => Self {
                is_other_picture: true,
                ..Self::new(
                    "label_taken",
                    format!(
                        "the label belongs to {id}, which asks for something else: {}",
                        difference.join("; ")
                    ),
                    "for the picture of that label, call wait; another picture needs a label of its own",
                )
            },
            Error::Budget(stop) => Self::from(stop),
            Error::NotFound(text) => Self::new(
                "not_found",
                format!("no purchase has the label or id {text:?}"),
                "call list for the labels and ids",
            ),
            Error::Busy(id) => Self::new(
                "busy",
                format!("{id} is being worked on"),
                "call wait, then try again",
            ),
            Error::Lookup { ref source, .. } => Self::new(
                source.kind().as_str(),
                message_of(&error),
                "call again with the same label or id",
            ),
            error @ Error::NotAllowed { .. } => {
                Self::new("not_allowed", error.to_string(), "call wait for its state")
            }
            error => Self::new("journal", message_of(&error), "tell the user"),
        }
    }
}

impl From<BudgetStop> for Refusal {
    fn from(stop: BudgetStop) -> Self {
        let message = match &stop {
            BudgetStop::Exceeded {
                scope: Scope::Purchase,
                cap,
                bound,
                ..
            } => format!("this costs up to {bound}, and max_cost_usd is {cap}"),
            BudgetStop::Exceeded {
                scope: Scope::Batch,
                cap,
                committed,
                bound,
            } => format!(
                "the budget of agents is {cap}, {committed} are spent or reserved, and this costs up \
                 to {bound}; the user can raise it with uso mcp --budget"
            ),
            _ => stop.to_string(),
        };
        Self::new("budget", message, ASK)
    }
}

/// A problem of the service's input by the name of the tool's argument.
fn in_tool_words(problem: &Problem) -> String {
    let path = problem.path.strip_prefix("body.").unwrap_or(&problem.path);
    let name = match path.split(['.', '[']).next().unwrap_or(path) {
        "num_images" => "images",
        "num_inference_steps" => "steps",
        "guidance_scale" => "guidance",
        "image_size" => "size",
        "output_format" => "format",
        "style" | "extra style" => "styles",
        "input_image_urls" => "content or styles",
        _ => path,
    };
    let mut named = problem.clone();
    name.clone_into(&mut named.path);
    named.to_string()
}

/// A text of so many characters at most.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
