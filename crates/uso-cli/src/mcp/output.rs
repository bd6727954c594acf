//! Structured output of the tools. The definitions are the output schemas too.

use rmcp::model::CallToolResult;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use uso_journal::{CancelOutcome, Purchase, State};

use super::bought::Bought;
use super::refusal::{Refusal, shortened};
use super::session::KEY_PREFIX;
use crate::price::dollars;

/// Bytes of a tool result at most, without previews.
pub(crate) const LARGEST: usize = 8_000;

/// Characters of the service's message about a job at most.
const LONGEST_MESSAGE: usize = 300;

/// Stands for an object whose fields another tool declares, or that say what they are: each would be
/// repeated in every list of tools.
type Fields = Map<String, Value>;

/// A purchase.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Job {
    id: String,
    label: String,
    status: Status,
    bought: Bought,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billed_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Fields>")]
    pictures: Vec<PictureFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    next: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    do_not: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct PictureFile {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
    bytes: u64,
    /// By the safety checker.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    flagged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    Sending,
    Submitted,
    Done,
    Failed,
    Unknown,
    Cancelled,
}

/// Output of `wait`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Waited {
    #[schemars(with = "Vec<Fields>")]
    pub(crate) jobs: Vec<Job>,
    /// Whether every job has ended.
    pub(crate) all_ended: bool,
}

/// Output of `list`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listing {
    #[schemars(with = "Vec<Fields>")]
    pub(crate) jobs: Vec<Job>,
    /// Whether there are older ones; pass the last id as before.
    pub(crate) more: bool,
    pub(crate) budget_usd: f64,
    pub(crate) spent_or_reserved_usd: f64,
    pub(crate) left_usd: f64,
}

/// Output of `cancel`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Cancellation {
    outcome: &'static str,
    #[schemars(with = "Fields")]
    job: Job,
}

/// Output of `estimate`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Price {
    pub(crate) images: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at_most_usd: Option<f64>,
    pub(crate) left_usd: f64,
    pub(crate) within_budget: bool,
}

impl Job {
    pub(crate) fn of(purchase: &Purchase) -> Self {
        let status = match purchase.state {
            State::Pending | State::Reserved => Status::Pending,
            State::Submitted => Status::Submitted,
            State::Done => Status::Done,
            State::Failed => Status::Failed,
            State::Unknown => Status::Unknown,
            State::Cancelled => Status::Cancelled,
            // A state that this program does not know may have been bought.
            _ => Status::Sending,
        };
        let cost = &purchase.cost;
        let bought = Bought::of(purchase);
        let message = purchase.reason.as_ref().map(|reason| &reason.message);
        let message = message.filter(|message| !message.is_empty());
        Self {
            id: purchase.id.to_string(),
            label: label(purchase).to_owned(),
            status,
            bought,
            request_id: purchase.request_id().map(str::to_owned),
            billed_usd: cost.billed.map(dollars),
            at_most_usd: cost.reserved.map(dollars),
            seed: purchase.seed,
            pictures: purchase.pictures.iter().map(PictureFile::of).collect(),
            message: message.map(|message| shortened(message, LONGEST_MESSAGE)),
            next: next(status, bought, purchase.in_work),
            do_not: (status == Status::Unknown).then_some("call buy with another label"),
        }
    }

    /// The job as a line of a list: without its pictures and its message.
    pub(crate) fn brief(purchase: &Purchase) -> Self {
        Self {
            pictures: Vec::new(),
            message: None,
            request_id: None,
            ..Self::of(purchase)
        }
    }
}

impl PictureFile {
    fn of(picture: &uso_journal::SavedPicture) -> Self {
        Self {
            path: picture.path.display().to_string(),
            width: picture.width,
            height: picture.height,
            bytes: picture.bytes,
            flagged: picture.flagged,
        }
    }
}

/// The label of a purchase.
fn label(purchase: &Purchase) -> &str {
    let key = purchase.key.as_str();
    key.strip_prefix(KEY_PREFIX).unwrap_or(key)
}

fn next(status: Status, bought: Bought, in_work: bool) -> &'static str {
    match (status, bought) {
        (Status::Pending, _) if !in_work => "buy with the same label and arguments",
        (Status::Pending | Status::Sending | Status::Submitted, _) => "wait",
        (Status::Unknown, _) => {
            "wait, which looks in the account's listing; if it stays unknown, tell the user"
        }
        (Status::Done, _) => "none: the pictures are on disk",
        (Status::Failed, Bought::No) => {
            "correct the cause, then buy with the same label and arguments"
        }
        (Status::Failed | Status::Cancelled, _) => {
            "tell the user; a new attempt is a new purchase under a new label"
        }
    }
}

impl Cancellation {
    pub(crate) fn of(outcome: CancelOutcome, purchase: &Purchase) -> Self {
        Self {
            outcome: match outcome {
                CancelOutcome::Withdrawn => "withdrawn: nothing was bought",
                CancelOutcome::Removed => "removed from the queue: not billed",
                CancelOutcome::AlreadyCompleted => "too late: the job has ended and is billed",
                CancelOutcome::NotFound => "the service does not know the job",
                _ => "requested: the job may still complete, and is then billed",
            },
            job: Job::of(purchase),
        }
    }
}

/// Output as structured content, and as text for clients that show nothing else.
pub(crate) fn result(output: &impl Serialize) -> Result<CallToolResult, Refusal> {
    let too_large = || {
        let message = "the result is too large";
        Refusal::new("too_large", message, "ask for fewer jobs at once")
    };
    let value = serde_json::to_value(output).map_err(|_| too_large())?;
    let result = CallToolResult::structured(value);
    match size(&result) <= LARGEST {
        true => Ok(result),
        false => Err(too_large()),
    }
}

/// Bytes of a tool result.
fn size(result: &CallToolResult) -> usize {
    serde_json::to_vec(result).map_or(usize::MAX, |bytes| bytes.len())
}
