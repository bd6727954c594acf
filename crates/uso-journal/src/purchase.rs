//! A purchase as the journal records it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uso::{Error as ClientError, ErrorKind, Intent, MicroDollars, Ticket};

use crate::host;
use crate::money::UnitPrice;
use crate::state::State;
use crate::target::Target;

/// Short id of a purchase in one journal, such as `j17`. A purchase has it from the beginning, also
/// where it has no request id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LocalId(pub(crate) i64);

impl fmt::Display for LocalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "j{}", self.0)
    }
}

impl From<LocalId> for String {
    fn from(id: LocalId) -> Self {
        id.to_string()
    }
}

impl FromStr for LocalId {
    type Err = NoLocalId;

    fn from_str(text: &str) -> Result<Self, NoLocalId> {
        let digits = text.strip_prefix('j').unwrap_or_default();
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        let number = plain.then(|| digits.parse().ok()).flatten();
        number
            .map(Self)
            .ok_or_else(|| NoLocalId(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for LocalId {
    type Error = NoLocalId;

    fn try_from(text: String) -> Result<Self, NoLocalId> {
        text.parse()
    }
}

/// A text that is no short id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a short id such as j17")]
pub struct NoLocalId(String);

/// Why a purchase is in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The service refused the submit, or it never left: nothing was bought.
    NotBought,
    /// The response to the submit was lost.
    ResponseLost,
    /// The process ended while the submit was under way.
    ProcessEnded,
    /// The account's listing does not show the purchase, and may still.
    NotYetListed,
    /// The account's listing was read to its end after the start deadline, and the purchase is not
    /// in it.
    NotListed,
    /// The account's listing cannot tell; the message names the requests that may be the purchase.
    Undecidable,
    /// The service said that the job failed.
    ServiceFailed,
    /// The service did not start the job before its start deadline.
    NotStarted,
    /// The owner cancelled it.
    Cancelled,
    /// The owner wrote it off.
    WrittenOff,
    /// The pictures could not be fetched or saved yet; the job is bought and can be collected.
    NotCollected,
}

impl Cause {
    const ALL: [Self; 11] = [
        Self::NotBought,
        Self::ResponseLost,
        Self::ProcessEnded,
        Self::NotYetListed,
        Self::NotListed,
        Self::Undecidable,
        Self::ServiceFailed,
        Self::NotStarted,
        Self::Cancelled,
        Self::WrittenOff,
        Self::NotCollected,
    ];

    /// The cause's name in lower case, as it stands in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotBought => "not_bought",
            Self::ResponseLost => "response_lost",
            Self::ProcessEnded => "process_ended",
            Self::NotYetListed => "not_yet_listed",
            Self::NotListed => "not_listed",
            Self::Undecidable => "undecidable",
            Self::ServiceFailed => "service_failed",
            Self::NotStarted => "not_started",
            Self::Cancelled => "cancelled",
            Self::WrittenOff => "written_off",
            Self::NotCollected => "not_collected",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == name)
    }
}

/// Why a purchase is in its state, with a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reason {
    /// The kind of cause.
    pub cause: Cause,
    /// The kind of error that the client gave, where an error decided: it tells a refused input
    /// from a failed job, and a locked account from a rejected key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ErrorKind>,
    /// Message as a fragment without a full stop; empty once the purchase is pruned.
    pub message: String,
}

impl Reason {
    pub(crate) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self {
            cause,
            kind: None,
            message: message.into(),
        }
    }

    pub(crate) fn of(cause: Cause, error: &ClientError) -> Self {
        Self {
            kind: Some(error.kind()),
            ..Self::new(cause, error.to_string())
        }
    }
}

/// A picture that is whole on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SavedPicture {
    /// Its number in the result, from 1 on.
    pub number: u32,
    /// Its absolute path.
    #[serde(with = "crate::path_text")]
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of the file, as lower-case hex.
    pub sha256: String,
    /// Whether the safety checker flagged it.
    pub flagged: bool,
    /// Width in pixels, where the service says so.
    #[serde(default)]
    pub width: Option<u64>,
    /// Height in pixels, where the service says so.
    #[serde(default)]
    pub height: Option<u64>,
    /// MIME type, where the service says so.
    #[serde(default)]
    pub content_type: Option<String>,
    /// URL under which the service keeps the picture for a while.
    #[serde(default)]
    pub url: Option<String>,
    /// The machine that has the file, where several share the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl SavedPicture {
    /// Whether the file is a picture, as far as is known: a purchase of another endpoint may have
    /// files of any type.
    pub fn is_picture(&self) -> bool {
        let kind = self.content_type.as_deref();
        kind.is_none_or(|kind| kind.starts_with("image/"))
    }

    /// Whether the file is on another machine, where its path means nothing here.
    pub fn is_elsewhere(&self) -> bool {
        self.host
            .as_deref()
            .is_some_and(|host| host != host::name())
    }

    /// Whether the file is still there on this machine, with its length.
    pub fn is_on_disk(&self) -> bool {
        if self.is_elsewhere() {
            return false;
        }
        let found = std::fs::metadata(&self.path);
        found.is_ok_and(|found| found.is_file() && found.len() == self.bytes)
    }
}

/// Money of a purchase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cost {
    /// Price of a megapixel when the purchase was made.
    pub unit_price: Option<UnitPrice>,
    /// Expected cost of the purchase at that price.
    pub estimate: Option<MicroDollars>,
    /// Upper bound that is held back from the budget while the bill is not known.
    pub reserved: Option<MicroDollars>,
    /// Amount that the service billed.
    pub billed: Option<MicroDollars>,
}

impl Cost {
    /// Amount that counts against the budget: the bill, or the upper bound until there is a bill.
    pub fn committed(&self) -> MicroDollars {
        self.billed.or(self.reserved).unwrap_or_default()
    }
}

/// A purchase as it was when it was read from the journal.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Purchase {
    /// Short id in this journal.
    pub id: LocalId,
    /// The caller's key.
    pub key: String,
    /// Batch that it belongs to, where it belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// The service: the address of its queue.
    pub origin: String,
    /// The account, as a digest of the key's id.
    pub account: String,
    /// The endpoint.
    pub endpoint: String,
    /// State of the purchase.
    pub state: State,
    /// Number of the current attempt, from 1 on.
    pub attempt: u32,
    /// Why it is in its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Digest of what is asked for; see [`uso::purchase::Recipe`].
    pub fingerprint: String,
    /// Input of the model; `None` once the purchase is pruned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Intent that finds the current attempt in the account's listing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Ticket that collects the current attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// Place of the pictures; `None` once the purchase is pruned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Pictures that are whole on disk.
    pub pictures: Vec<SavedPicture>,
    /// Seed that the service used, where it said so.
    pub seed: Option<u64>,
    /// Its money.
    pub cost: Cost,
    /// Time of the first use of the key.
    #[serde(serialize_with = "milliseconds")]
    pub created_at: SystemTime,
    /// Time of the last change of the record.
    #[serde(serialize_with = "milliseconds")]
    pub changed_at: SystemTime,
    /// Whether some process works on it.
    pub in_work: bool,
    /// Whether cancelling the current attempt was asked for. The job may complete all the same.
    pub cancel_asked: bool,
    /// Whether its input, URLs and paths were erased.
    pub pruned: bool,
}

fn milliseconds<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(to_ms(*time))
}

pub(crate) fn to_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn from_ms(ms: i64) -> SystemTime {
    let span = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    UNIX_EPOCH.checked_add(span).unwrap_or(UNIX_EPOCH)
}

impl Purchase {
    /// The service's request id of the current attempt, where it is known.
    pub fn request_id(&self) -> Option<&str> {
        self.ticket.as_ref().map(Ticket::request_id)
    }

    /// Whether nothing was bought by the current attempt, so that the same key may buy.
    pub fn is_not_bought(&self) -> bool {
        let cause = self.reason.as_ref().map(|reason| reason.cause);
        self.state == State::Failed && cause == Some(Cause::NotBought)
    }
}

impl fmt::Debug for Purchase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The input holds prompts and URLs, and the key may be a file's name.
        f.debug_struct("Purchase")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("attempt", &self.attempt)
            .field("reason", &self.reason)
            .field("request_id", &self.request_id())
            .field("pictures", &self.pictures.len())
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_is_read_back_and_nothing_else_is_one() {
        assert_eq!(
            "j17".parse::<LocalId>().map(|id| id.to_string()),
            Ok("j17".to_owned())
        );
        for text in [
            "",
            "j",
            "17",
            "J17",
            "j017",
            "j+1",
            "j1a",
            "j99999999999999999999",
        ] {
            assert!(text.parse::<LocalId>().is_err(), "{text}");
        }
    }
}
