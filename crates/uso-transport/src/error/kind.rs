//! The words of an error: what to do next, whether it was sent, what was being done.

use std::fmt;

use serde::Serialize;

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The set-up is wrong: no key, an unusable base URL, no root certificates.
    ///
    /// What to do: mend the configuration. Nothing was sent.
    Config,
    /// The request is refused, by our own check before anything is sent or by the service.
    ///
    /// What to do: change the fields that [`Error::problems`](super::Error::problems) names. The service bills nothing for
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
    /// The service was not reached, or a request that may be repeated freely got no answer.
    ///
    /// What to do: repeat the call when the network is back; this is safe. Without a ticket,
    /// nothing was bought.
    Unreachable,
    /// The request was sent, or may have been, and no usable answer came.
    ///
    /// What to do: do not simply repeat it, since it may have been accepted and paid for. The
    /// error's [`intent`](super::Error::intent) finds it among the account's requests later, and
    /// recognises the delivery to its webhook, where it has one.
    OutcomeUnknown,
    /// The service failed for the moment; for a job that is already bought, its ticket is still good.
    ///
    /// What to do: repeat the call; with a ticket, resume the job.
    Server,
    /// The job ran and failed, or was cancelled.
    ///
    /// What to do: read the message; submitting again buys a new attempt.
    Failed,
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
    /// The answer could not be understood. [`Error::raw_body`](super::Error::raw_body) has it as it came.
    ///
    /// What to do: keep the raw body and the ticket, and report the answer as a defect.
    Malformed,
    /// A local file could not be read or written.
    ///
    /// What to do: mend the path, its permissions or the disk.
    Io,
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
            Self::Gone => "gone",
            Self::NotReady => "not_ready",
            Self::Deadline => "deadline",
            Self::Malformed => "malformed",
            Self::Io => "io",
        }
    }
}

/// Whether the request reached the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// It provably did not leave: no connection came about, or our own check stopped it.
    NotSent,
    /// It may have arrived: the connection was there and no complete answer came back.
    Unknown,
    /// The service answered.
    Answered,
}

/// What was being done when the error happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
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
    /// use uso_transport::Operation;
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
