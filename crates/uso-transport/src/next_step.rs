//! Next step: what a program does about an error.

use crate::billed::Billed;
use crate::error::Error;
use crate::intent::Intent;
use crate::kind::{ErrorKind, Operation};
use crate::problem::Problem;
use crate::ticket::Ticket;
use crate::verdict::Verdict;

/// Next step of a program after an error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NextStep {
    /// Make the same call again, later. Nothing was bought, and nothing will be bought twice.
    Repeat,
    /// The job is bought: collect it with this ticket.
    Resume(Ticket),
    /// The purchase may have been accepted: find out with
    /// [`Transport::recover`](crate::Transport::recover) before buying again.
    LookFor(Intent),
    /// Change what these problems name, then make the call again. Nothing was bought.
    Change(Vec<Problem>),
    /// Nothing that a program can do: a person has to read the error.
    Stop,
}

impl Error {
    /// Next step of a program after this error.
    ///
    /// ```
    /// # use uso_transport::{Error, NextStep, Problem};
    /// let error = Error::invalid(vec![Problem::new("seed", "is negative")]);
    /// assert_eq!(error.next_step(), NextStep::Change(error.problems().to_vec()));
    /// ```
    pub fn next_step(&self) -> NextStep {
        use ErrorKind as Kind;
        let kind = self.kind();
        match (self.ticket(), self.intent()) {
            // What ended the job ends it for every later call.
            (Some(_), _) if matches!(kind, Kind::Failed | Kind::Cancelled | Kind::Gone) => {
                NextStep::Stop
            }
            (Some(_), _) if kind == Kind::Input => self.change(),
            (Some(_), _) if kind == Kind::Deadline && self.billed() == Billed::Free => {
                NextStep::Stop
            }
            (Some(ticket), _) => NextStep::Resume(ticket.clone()),
            (None, Some(intent)) if self.verdict() == Verdict::Unknown => {
                NextStep::LookFor(intent.clone())
            }
            _ if kind == Kind::Input => self.change(),
            _ if self.verdict() != Verdict::NotBought => NextStep::Stop,
            _ if matches!(kind, Kind::Throttled | Kind::Unreachable | Kind::Server) => {
                NextStep::Repeat
            }
            _ if kind == Kind::NotReady && self.operation() == Operation::Result => {
                NextStep::Repeat
            }
            _ => NextStep::Stop,
        }
    }

    fn change(&self) -> NextStep {
        NextStep::Change(self.problems().to_vec())
    }
}
