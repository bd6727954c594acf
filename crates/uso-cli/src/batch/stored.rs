//! A batch that ran before: its record, its rows checked again, and its purchases.

use std::collections::HashMap;
use std::process::ExitCode;

use uso::MicroDollars;
use uso_journal::State;

use super::changes::Changes;
use super::going_on;
use super::plan::{Plan, Wishes};
use super::plan_text;
use super::planned_row::PlannedRow;
use super::problems::Problems;
use super::purchases::{self, Known, Purchases, id_of, newest};
use super::record::{BatchRecord, now};
use super::row::Row;
use super::session::Session;
use super::tally::Tally;
use crate::args::{BatchAgainArgs, Global};
use crate::failure::Failure;
use crate::printer::Printer;

/// A batch that ran before.
pub(crate) struct Stored {
    pub(crate) session: Session,
    pub(crate) record: BatchRecord,
    pub(crate) rows: Vec<PlannedRow>,
    pub(crate) bought: Purchases,
    /// Rows that are done and whose inputs are gone since: they need nothing any more.
    without_inputs: usize,
}

impl Stored {
    /// Reads the batch of this name, or the one that ran last, and checks its rows again.
    pub(crate) async fn read(
        global: &Global,
        args: &BatchAgainArgs,
        printer: &Printer,
    ) -> Result<Self, Failure> {
        let pace = &args.pace;
        let session = Session::paced(global, pace).await?;
        let mut record = session.records.find(args.batch.name.as_deref())?;
        record.budget = args.budget.budget.map(MicroDollars::get).or(record.budget);
        record.concurrency = pace.concurrency.or(record.concurrency);
        let locked_for = pace.locked_for.map(|time| time.as_secs());
        record.locked_for = locked_for.or(record.locked_for);
        record.ran_at = now();
        let rows = session.records.rows(&record.name)?;
        let wishes = Wishes {
            name: record.template.clone(),
            max_cost: None,
        };
        let client = &session.connection.client;
        let bought = purchases::read(&session.journal, client, &record.name).await?;
        let newest = newest(&record.name, &bought);
        let is_done = |row: &Row| {
            let known = newest.get(row.id().as_str());
            known.is_some_and(|known| known.is_whole())
        };
        // The variations of a row share its number.
        let mut all_done: HashMap<u64, bool> = HashMap::new();
        for row in &rows {
            *all_done.entry(row.number).or_insert(true) &= is_done(row);
        }
        let wanted = rows.len();
        all_done.retain(|_, all_done| *all_done);
        let done = Problems::ignoring(all_done.into_keys().collect());
        let plan = Plan::of(rows, done, &wishes).await;
        if !plan.problems.is_empty() {
            return Err(plan_text::refuse(&plan.problems, printer)
                .with_hint("restore the files, or run a manifest without these rows; uso resume collects what is bought already"));
        }
        let changes = Changes::of(&record.name, &plan.rows, None, &bought);
        if changes.is_paid() {
            for line in changes.lines() {
                printer.say(&line);
            }
            return Err(Failure::input(
                "pictures of rows that were bought have changed since; nothing was sent",
            )
            .with_hint(format!(
                "see what that costs, and accept it, with: uso batch run {} --accept-changes, and the options of the run before",
                record.source.display()
            )));
        }
        session.records.write(&record, None)?;
        going_on::write_missing_sidecars(&session, &record, &bought, &plan.rows, printer).await?;
        Ok(Self {
            session,
            record,
            without_inputs: wanted - plan.rows.len(),
            rows: plan.rows,
            bought,
        })
    }

    /// Reads the purchases again, after a change of some of them.
    pub(crate) async fn read_purchases(&mut self) -> Result<(), Failure> {
        let (journal, client) = (&self.session.journal, &self.session.connection.client);
        self.bought = purchases::read(journal, client, &self.record.name).await?;
        Ok(())
    }

    /// Buys and collects these rows, and reports what came of the batch.
    pub(crate) async fn go_on(
        &self,
        (rows, mut tally): (Vec<PlannedRow>, Tally),
        printer: &Printer,
    ) -> Result<ExitCode, Failure> {
        match rows.is_empty() {
            true => self.count_left(&mut tally),
            false => going_on::refuse_other_accounts(&self.session, &self.record).await?,
        }
        going_on::run(
            &self.session,
            &self.record,
            &self.bought,
            rows,
            tally,
            printer,
        )
        .await
    }

    /// Counts the rows that a run leaves alone, so that each has its next step.
    fn count_left(&self, tally: &mut Tally) {
        for known in self.rows.iter().filter_map(|row| self.known(row)) {
            match known.state {
                State::Submitted => tally.unfinished += 1,
                State::Unknown | State::Sending => tally.unknown += 1,
                State::Failed | State::Cancelled => tally.failed += 1,
                _ => {}
            }
        }
        let rows = tally.total.saturating_sub(tally.done_before);
        tally.selected = Some(rows.max(tally.ended()));
    }

    /// Refuses rows that are to be bought and can cost more than `--max-cost`.
    pub(crate) fn check_limit<'a>(
        mut rows: impl Iterator<Item = &'a PlannedRow>,
        limit: Option<MicroDollars>,
    ) -> Result<(), Failure> {
        let above = |row: &PlannedRow| Some(format!("row {}: {}", row.id, row.above(limit?)?));
        match rows.find_map(above) {
            Some(why) => Err(Failure::budget(format!("{why}; nothing was changed"))
                .with_hint("raise --max-cost or USO_MAX_COST")),
            None => Ok(()),
        }
    }

    pub(crate) fn known(&self, row: &PlannedRow) -> Option<&Known> {
        self.bought.get(&row.key(&self.record.name))
    }

    /// The purchase of the row with this id, or with this short id.
    pub(crate) fn named(&self, text: &str) -> Option<(&str, &Known)> {
        let by_short_id = |known: &Known| known.id.to_string() == text;
        let found = self.rows.iter().find_map(|row| {
            let known = self.known(row)?;
            (row.id == text || by_short_id(known)).then_some((row.id.as_str(), known))
        });
        found.or_else(|| {
            let mut old = self.bought.iter().filter(|(_, known)| by_short_id(known));
            let (key, known) = old.next()?;
            Some((id_of(&self.record.name, key)?, known))
        })
    }

    /// Rows for which this holds, and counts of a run that is about them.
    pub(crate) fn select(
        &self,
        wanted: impl Fn(&PlannedRow, Option<&Known>) -> bool,
    ) -> (Vec<PlannedRow>, Tally) {
        let is_wanted = |row: &&PlannedRow| wanted(row, self.known(row));
        let selected: Vec<PlannedRow> = self.rows.iter().filter(is_wanted).cloned().collect();
        let is_done = |row: &&PlannedRow| self.known(row).is_some_and(Known::is_whole);
        let tally = Tally {
            total: self.rows.len() + self.without_inputs,
            done_before: self.rows.iter().filter(is_done).count() + self.without_inputs,
            selected: Some(selected.len()),
            ..Tally::default()
        };
        (selected, tally)
    }
}
