//! Counts of a batch while it runs.

use std::collections::HashSet;

use serde_json::{Value, json};
use uso::MicroDollars;
use uso_journal::{Error, Purchase, RowOutcome, Stopped};

use crate::exit_code::{self, worst};
use crate::price::rounded;

/// Counts of rows and money.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Rows of the batch.
    pub(crate) total: usize,
    /// Rows that were done before this run.
    pub(crate) done_before: usize,
    /// Rows that this run is about, where they are not all that are left.
    pub(crate) selected: Option<usize>,
    pub(crate) done: usize,
    pub(crate) failed: usize,
    pub(crate) unknown: usize,
    /// Rows that are bought and not collected.
    pub(crate) unfinished: usize,
    pub(crate) flagged: usize,
    pub(crate) billed: u64,
    /// Keys of the rows that were billed before this run, and are only fetched again.
    pub(crate) settled: HashSet<String>,
    pub(crate) stopped: Option<Stopped>,
}

impl Tally {
    /// Counts the outcome of a row.
    pub(crate) fn count(&mut self, key: &str, outcome: &Result<Purchase, Error>) {
        if let Ok(purchase) = outcome {
            if !self.settled.contains(key) {
                self.billed += purchase.cost.billed.map_or(0, MicroDollars::get);
            }
            let is_flagged = purchase.pictures.iter().any(|picture| picture.flagged);
            self.flagged += usize::from(is_flagged);
        }
        match RowOutcome::of(outcome) {
            RowOutcome::Done => self.done += 1,
            RowOutcome::Failed | RowOutcome::NotBought | RowOutcome::Refused => self.failed += 1,
            RowOutcome::Bought => self.unfinished += 1,
            RowOutcome::NotBegun => {}
            _ => self.unknown += 1,
        }
    }

    /// Rows of this run that have an outcome.
    pub(crate) fn ended(&self) -> usize {
        self.done + self.failed + self.unknown + self.unfinished
    }

    /// Rows that no run has begun.
    pub(crate) fn left(&self) -> usize {
        let rows = self.total.saturating_sub(self.done_before);
        self.selected.unwrap_or(rows).saturating_sub(self.ended())
    }

    /// The exit code: 0 only if every row is done.
    pub(crate) fn code(&self) -> u8 {
        let stopped = match &self.stopped {
            Some(Stopped::Budget(_)) => exit_code::BUDGET,
            Some(Stopped::Key(_)) => exit_code::AUTH,
            Some(Stopped::Locked(_)) => exit_code::LOCKED,
            _ => 0,
        };
        let unknown = if self.unknown > 0 {
            exit_code::OUTCOME_UNKNOWN
        } else {
            0
        };
        let is_whole = self.done_before + self.done >= self.total;
        let is_incomplete = self.failed + self.unfinished > 0 || (!is_whole && stopped == 0);
        let failed = if is_incomplete { exit_code::FAILED } else { 0 };
        worst([unknown, stopped, failed].into_iter())
    }

    /// Counts as one line, such as `312 of 500 rows done, 3 failed`.
    pub(crate) fn line(&self) -> String {
        let mut line = format!(
            "{} of {} rows done",
            self.done_before + self.done,
            self.total
        );
        for (count, word) in [
            (self.failed, "failed"),
            (self.unknown, "unknown"),
            (self.unfinished, "bought and not collected"),
            (self.flagged, "flagged by the safety checker"),
        ] {
            if count > 0 {
                line.push_str(&format!(", {count} {word}"));
            }
        }
        line
    }

    /// What this run was billed.
    pub(crate) fn billed_line(&self) -> String {
        format!("{} billed", rounded(MicroDollars::new(self.billed)))
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "rows": self.total,
            "done": self.done_before + self.done,
            "done_now": self.done,
            "failed": self.failed,
            "unknown": self.unknown,
            "unfinished": self.unfinished,
            "not_begun": self.left(),
            "flagged": self.flagged,
            "billed_micro_dollars": self.billed,
            "stopped": self.stopped.as_ref().map(|stopped| match stopped {
                Stopped::Budget(_) => "budget",
                Stopped::Key(_) => "key",
                Stopped::Locked(_) => "locked",
                Stopped::Unreachable(_) => "unreachable",
                Stopped::Disk(_) => "disk",
                _ => "asked",
            }),
            "exit_code": self.code(),
        })
    }
}
