//! Classification of errors: kind, delivery, operation.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kind of an error, by what the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The set-up is wrong: no key, an unusable base URL, no root certificates.
    ///
    /// What to do: correct the configuration. Nothing was sent.
    Config,
    /// The request is refused, by our own check before anything is sent or by the service.
    ///
    /// What to do: change the fields that [`Error::problems`](crate::Error::problems) names. The service bills nothing for
    /// a request that fails its validation.
    Input,
    /// The key is missing, unknown, revoked or not allowed to use the endpoint.
    ///
    /// What to do: check the key. Without a ticket, nothing was bought.
    Auth,
    /// The account is locked, as a rule because its balance is exhausted.
    ///
    /// What to do: top up the account, then repeat the call.
    Locked,
    /// The service takes no more requests for the moment.
    ///
    /// What to do: repeat the call later. Without a ticket, nothing was bought.
    Throttled,
    /// The service was not reached, or a request that may be repeated freely got no response.
    ///
    /// What to do: repeat the call when the network is back; this is safe. Without a ticket,
    /// nothing was bought.
    Unreachable,
    /// The request was sent, or may have been, and no usable response came.
    ///
    /// What to do: do not simply repeat it, since it may have been accepted and paid for. The
    /// error's [`intent`](crate::Error::intent) finds it among the account's requests later, and
    /// recognises the delivery to its webhook, where it has one.
    OutcomeUnknown,
    /// The service failed for the moment; for a job that is already bought, its ticket is still good.
    ///
    /// What to do: repeat the call; with a ticket, resume the job.
    Server,
    /// The job ran and failed, as the service said twice.
    ///
    /// What to do: read the message; submitting again buys a new attempt.
    Failed,
    /// The job was cancelled.
    ///
    /// What to do: nothing, or submit again, which buys a new attempt.
    Cancelled,
    /// The service no longer has the request, its result or its picture, or never had it.
    ///
    /// What to do: check the request id. Results are kept for an hour, or six minutes when they
    /// are 10 KB or larger, unless the account stores payloads.
    Gone,
    /// The job has not finished yet.
    ///
    /// What to do: wait for it and ask again.
    NotReady,
    /// A deadline passed; the message names which, and what is still running.
    ///
    /// What to do: resume with the ticket if there is one.
    Deadline,
    /// The response could not be understood. [`Error::raw_body`](crate::Error::raw_body) has it as it came.
    ///
    /// What to do: keep the raw body and the ticket, and report the response as a defect.
    Malformed,
    /// A local file could not be read or written.
    ///
    /// What to do: correct the path, its permissions or the disk.
    Io,
    /// The name of an output is taken by an existing file, which was not overwritten.
    ///
    /// What to do: choose another name, or ask for the file to be replaced.
    Exists,
}

impl ErrorKind {
    /// The kind's name in lower case, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Input => "input",
            Self::Auth => "auth",
            Self::Locked => "locked",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Server => "server",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Gone => "gone",
            Self::NotReady => "not_ready",
            Self::Deadline => "deadline",
            Self::Malformed => "malformed",
            Self::Io => "io",
            Self::Exists => "exists",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the request reached the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The request provably did not leave: no connection was made, or our own check stopped it.
    NotSent,
    /// The request may have arrived: a connection existed, and no complete response came.
    Unknown,
    /// The service responded.
    Answered,
}

/// Operation during which the error happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Operation {
    /// Setting the client up.
    Configure,
    /// Reading and checking the input before it is sent.
    Prepare,
    /// Sending a file to the service's storage.
    Upload,
    /// Buying a job: the POST to the queue.
    Submit,
    /// Asking for a job's status.
    Status,
    /// Following a job's status as a stream.
    Stream,
    /// Fetching a finished job's result.
    Result,
    /// Asking the service to cancel a job.
    Cancel,
    /// Looking for a purchase among the account's requests.
    Find,
    /// Adopting a purchase by the webhook delivery that announces its end.
    Adopt,
    /// Fetching the public keys that webhook deliveries are verified with.
    Keys,
    /// The synchronous run, which is bought and answered in one request.
    Run,
    /// Fetching a picture.
    Download,
    /// Writing a picture to disk.
    Save,
}

impl Operation {
    /// Whether the service may see the same request twice without a second purchase.
    ///
    /// ```
    /// # use uso_transport::Operation;
    /// assert!(Operation::Result.is_idempotent());
    /// assert!(!Operation::Submit.is_idempotent());
    /// ```
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Self::Submit | Self::Run)
    }

    /// The operation's name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Prepare => "prepare",
            Self::Upload => "upload",
            Self::Submit => "submit",
            Self::Status => "status",
            Self::Stream => "stream",
            Self::Result => "result",
            Self::Cancel => "cancel",
            Self::Find => "find",
            Self::Adopt => "adopt",
            Self::Keys => "keys",
            Self::Run => "run",
            Self::Download => "download",
            Self::Save => "save",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
