//! What to do about an error, in a line.

use uso::error::Delivery;
use uso::{Error, ErrorKind, Intent};

/// The way out. With a ticket something was bought: then it is always about collecting it, and never
/// about running the command again.
pub(crate) fn advice(error: &Error) -> Option<String> {
    match error.ticket() {
        Some(ticket) => bought(error, ticket.request_id()),
        None => unbought(error),
    }
}

fn bought(error: &Error, id: &str) -> Option<String> {
    let collect = format!("collect it with: uso result {id}");
    let hint = error.hint();
    Some(match error.kind() {
        ErrorKind::Auth => {
            let check = hint.unwrap_or("check the key in FAL_KEY");
            format!("the job is bought: {check}, then {collect}")
        }
        ErrorKind::Locked => format!(
            "the job is bought: top up the account at fal.ai/dashboard/billing, then {collect}"
        ),
        ErrorKind::NotReady => format!("wait for it with: uso watch {id}"),
        ErrorKind::Gone => gone(),
        ErrorKind::Failed | ErrorKind::Cancelled => {
            "read the message; a new attempt is a new purchase".to_owned()
        }
        ErrorKind::Input => return hint.map(str::to_owned),
        ErrorKind::Malformed => format!("it can be fetched again with: uso result {id}"),
        ErrorKind::Io | ErrorKind::Exists => match hint {
            Some(hint) => format!("{hint}; the picture can be fetched again with: uso result {id}"),
            None => format!(
                "mend the path or the disk; the picture can be fetched again with: uso result {id}"
            ),
        },
        _ => match hint {
            Some(hint) => format!("{hint}; {collect}"),
            None => format!("the job goes on; {collect}"),
        },
    })
}

fn unbought(error: &Error) -> Option<String> {
    if error.intent().is_some_and(Intent::has_webhook) {
        let wait = "the job may have been accepted and billed: the delivery to its webhook tells, and uso webhook listen notes it; or look for it with uso resume, before you run the command again";
        return Some(wait.to_owned());
    }
    if error.kind() == ErrorKind::OutcomeUnknown {
        let look = "the job may have been accepted and billed: look for it with uso resume, or among the requests in fal's dashboard, before you run the command again";
        return Some(look.to_owned());
    }
    if let Some(hint) = error.hint() {
        return Some(hint.to_owned());
    }
    let line = match error.kind() {
        ErrorKind::Auth => "check the key in FAL_KEY; nothing was bought",
        ErrorKind::Locked => {
            "nothing was bought; top up the account at fal.ai/dashboard/billing, then run the command again"
        }
        ErrorKind::Throttled => "nothing was bought; run the command again later",
        ErrorKind::Unreachable if error.delivery() == Delivery::NotSent => {
            "nothing was sent; it is safe to run the command again"
        }
        ErrorKind::Unreachable => "it is safe to run the command again",
        ErrorKind::Gone => return Some(gone()),
        ErrorKind::Io => "mend the path, its permissions or the disk",
        _ => return None,
    };
    Some(line.to_owned())
}

fn gone() -> String {
    "check the request id; results are kept for an hour, large ones for six minutes".to_owned()
}

#[cfg(test)]
mod tests {
    use uso::Ticket;
    use uso::error::Operation;
    use uso::purchase::EndpointId;

    use super::*;

    #[test]
    fn with_a_ticket_it_is_never_run_again() {
        let ticket = Ticket::for_request(EndpointId::uso(), "r-1").unwrap();
        for kind in [
            ErrorKind::Auth,
            ErrorKind::Locked,
            ErrorKind::Throttled,
            ErrorKind::Unreachable,
            ErrorKind::OutcomeUnknown,
            ErrorKind::Server,
            ErrorKind::Deadline,
            ErrorKind::Malformed,
            ErrorKind::Io,
            ErrorKind::Config,
        ] {
            let error = Error::new(Operation::Result, kind, "it broke").with_ticket(&ticket);
            let line = advice(&error).unwrap();
            assert!(line.contains("uso result r-1"), "{kind:?}: {line}");
            assert!(
                !line.contains("run the command") && !line.contains("nothing was"),
                "{kind:?}: {line}"
            );
        }
    }
}
