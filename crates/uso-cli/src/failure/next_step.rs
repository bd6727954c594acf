//! The next step after an error, as one line that names a command.

use uso::error::{Delivery, Operation};
use uso::{Error, ErrorKind, Intent};

const KEPT_FOR: &str = "the service keeps a result for an hour, a large one for six minutes";

/// The way out. With a ticket something was bought: the line is then always about collecting it,
/// and never about running the command again.
pub(super) fn after(error: &Error) -> Option<String> {
    match error.ticket() {
        Some(ticket) => bought(error, ticket.request_id()),
        None => not_bought(error),
    }
}

fn bought(error: &Error, id: &str) -> Option<String> {
    let collect = format!("collect it with: uso result {id}");
    let hint = error.hint();
    let fate = match error.operation() {
        Operation::Cancel => {
            format!(
                "the job may go on, and is then billed; cancel it again with: uso cancel {id}, or "
            )
        }
        _ => "the job is not affected; ".to_owned(),
    };
    Some(match error.kind() {
        ErrorKind::Auth => {
            let check = hint.unwrap_or("check the key in FAL_KEY");
            format!("the job is bought: {check}, then {collect}")
        }
        ErrorKind::Locked => format!(
            "the job is bought: top up the account at fal.ai/dashboard/billing, then {collect}"
        ),
        ErrorKind::NotReady => format!("wait for it with: uso result --wait {id}"),
        // The service knew the job a moment ago.
        ErrorKind::Gone if matches!(error.operation(), Operation::Result | Operation::Download) => {
            format!("{KEPT_FOR}; try again with: uso result {id}")
        }
        ErrorKind::Gone => gone(),
        ErrorKind::Failed | ErrorKind::Cancelled | ErrorKind::Input => {
            let ended =
                "the job ended without a picture; running the command again is a new purchase";
            match hint.filter(|_| error.kind() == ErrorKind::Input) {
                Some(hint) => format!("{hint}; {ended}"),
                None => ended.to_owned(),
            }
        }
        ErrorKind::Malformed => format!("fetch it again with: uso result {id}"),
        ErrorKind::Io | ErrorKind::Exists => format!(
            "{}; the picture can be fetched again, to another place with -o FILE: uso result {id}",
            hint.unwrap_or("check the path, its permissions and the free space")
        ),
        _ => match hint {
            Some(hint) => format!("{hint}; {collect}"),
            None => format!("{fate}{collect}"),
        },
    })
}

fn not_bought(error: &Error) -> Option<String> {
    if error.intent().is_some_and(Intent::has_webhook) {
        return Some(
            "the job may have been accepted and billed: uso webhook listen records its notification, and uso resume looks for it; do that before running the command again"
                .to_owned(),
        );
    }
    if error.kind() == ErrorKind::OutcomeUnknown {
        return Some(
            "the job may have been accepted and billed: look for it with uso resume, or among the requests in fal's dashboard, before running the command again"
                .to_owned(),
        );
    }
    if let Some(hint) = error.hint() {
        return Some(hint.to_owned());
    }
    let line = match error.kind() {
        ErrorKind::Auth => "nothing was bought; check the key in FAL_KEY, or run uso doctor",
        ErrorKind::Locked => {
            "nothing was bought; top up the account at fal.ai/dashboard/billing, then run the command again"
        }
        ErrorKind::Throttled => "nothing was bought; run the command again later",
        ErrorKind::Unreachable if error.delivery() == Delivery::NotSent => {
            "nothing was sent: running the command again is safe; uso doctor checks the connection"
        }
        ErrorKind::Unreachable => "running the command again is safe",
        ErrorKind::Gone => return Some(gone()),
        ErrorKind::Input => return picture(error).map(str::to_owned),
        ErrorKind::Io => "check the path, its permissions and the free space",
        _ => return None,
    };
    Some(line.to_owned())
}

/// The way out where a picture is refused before anything is sent.
fn picture(error: &Error) -> Option<&'static str> {
    let refused = |words: &str| {
        let mut problems = error.problems().iter();
        problems.any(|problem| problem.message.contains(words))
    };
    if refused("does not exist") {
        Some("check the path; a relative one starts in the folder that the command runs in")
    } else if refused("is a folder") {
        Some("name one picture in the folder")
    } else if refused("is empty") || refused("is not a picture") {
        Some("name a JPEG, PNG, WebP or GIF file; uso reads the content, and not the name")
    } else if refused("is not a URL") {
        Some("name a file, or a whole URL such as https://example.org/photo.jpg")
    } else {
        None
    }
}

fn gone() -> String {
    format!("check the request id and the key; {KEPT_FOR}")
}

#[cfg(test)]
mod tests {
    use uso::Ticket;
    use uso::purchase::EndpointId;

    use super::*;

    #[test]
    fn a_cancel_that_failed_names_both_ways_out() {
        let ticket = Ticket::for_request(EndpointId::uso(), "r-1").unwrap();
        let error = Error::new(Operation::Cancel, ErrorKind::Server, "it broke");
        let line = after(&error.with_ticket(&ticket)).unwrap();
        assert!(
            line.contains("uso cancel r-1") && line.contains("uso result r-1"),
            "{line}"
        );
        assert!(!line.contains("not affected"), "{line}");
    }

    #[test]
    fn with_a_ticket_the_command_is_never_run_again() {
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
            ErrorKind::Gone,
            ErrorKind::Io,
            ErrorKind::Config,
        ] {
            let error = Error::new(Operation::Result, kind, "it broke").with_ticket(&ticket);
            let line = after(&error).unwrap();
            assert!(line.contains("uso result r-1"), "{kind:?}: {line}");
            assert!(
                !line.contains("run the command") && !line.contains("nothing was"),
                "{kind:?}: {line}"
            );
        }
    }
}
