//! Counts of a batch whose rows are in the journal alone, offered to every worker.

use std::collections::HashMap;

use serde_json::{Value, json};
use uso_journal::{LocalId, State};

use super::purchases::id_of;
use super::session::Session;
use crate::exit_code::{FAILED, OUTCOME_UNKNOWN};
use crate::failure::Failure;
use crate::journal;

/// Rows of a batch by state. A row that was changed counts once, with its newest purchase.
pub(crate) struct Counts(Vec<(State, usize)>);

impl Counts {
    pub(crate) async fn read(session: &Session, batch: &str) -> Result<Self, Failure> {
        let mut newest: HashMap<String, (LocalId, State)> = HashMap::new();
        let jobs = session.journal.jobs(&session.connection.client);
        journal::each(jobs.batch(batch), |purchase| {
            let row = id_of(batch, &purchase.key).unwrap_or(&purchase.key);
            let found = (purchase.id, purchase.state);
            match newest.get_mut(row) {
                Some(known) if known.0 < found.0 => *known = found,
                Some(_) => {}
                None => drop(newest.insert(row.to_owned(), found)),
            }
            Ok(())
        })
        .await?;
        let of = |state: State| newest.values().filter(|(_, found)| *found == state).count();
        let counts = State::ALL.map(|state| (state, of(state)));
        Ok(Self(
            counts.into_iter().filter(|(_, count)| *count > 0).collect(),
        ))
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
        found.map_or(0, |(_, count)| *count)
    }

    pub(crate) fn total(&self) -> usize {
        self.0.iter().map(|(_, count)| count).sum()
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
