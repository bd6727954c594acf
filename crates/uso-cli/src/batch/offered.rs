//! Counts of a batch whose rows are in the journal alone, offered to every worker.

use serde_json::{Value, json};
use uso_journal::State;

use super::session::Session;
use crate::exit_code::{FAILED, OUTCOME_UNKNOWN};
use crate::failure::Failure;

/// Rows of a batch by state.
pub(crate) struct Counts(Vec<(State, u64)>);

impl Counts {
    pub(crate) async fn read(session: &Session, batch: &str) -> Result<Self, Failure> {
        let jobs = session
            .journal
            .jobs(&session.connection.client)
            .batch(batch);
        Ok(Self(jobs.count().await?))
    }

    /// Fails where the journal has no row of the batch.
    pub(crate) fn refuse_none(&self, batch: &str) -> Result<(), Failure> {
        match self.0.is_empty() {
            true => Err(Failure::usage(format!(
                "the journal has no row of a batch {batch:?} for this account"
            ))
            .with_hint("offer the rows first: uso batch run MANIFEST --offer")),
            false => Ok(()),
        }
    }

    pub(crate) fn of(&self, state: State) -> usize {
        let found = self.0.iter().find(|(found, _)| *found == state);
        found.map_or(0, |(_, count)| {
            usize::try_from(*count).unwrap_or(usize::MAX)
        })
    }

    pub(crate) fn total(&self) -> usize {
        let sum: u64 = self.0.iter().map(|(_, count)| count).sum();
        usize::try_from(sum).unwrap_or(usize::MAX)
    }

    /// The exit code: 0 only if every row is done.
    pub(crate) fn code(&self) -> u8 {
        match (
            self.of(State::Unknown) > 0,
            self.of(State::Done) == self.total(),
        ) {
            (true, _) => OUTCOME_UNKNOWN,
            (false, true) => 0,
            (false, false) => FAILED,
        }
    }

    /// Counts as one line, such as `500 rows: 490 done, 10 failed`.
    pub(crate) fn line(&self) -> String {
        let counts = self
            .0
            .iter()
            .map(|(state, count)| format!("{count} {state}"));
        let counts: Vec<String> = counts.collect();
        format!("{} rows: {}", self.total(), counts.join(", "))
    }

    pub(crate) fn to_json(&self) -> Value {
        let counts = self
            .0
            .iter()
            .map(|(state, count)| (state.to_string(), json!(count)));
        Value::Object(counts.collect())
    }
}
