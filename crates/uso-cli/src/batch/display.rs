//! Progress of a batch: one live block on a terminal, few plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use uso::MicroDollars;

use super::tally::Tally;
use crate::price::rounded;
use crate::printer::Printer;
use crate::progress_line;

/// Pause between two plain lines, unless a twentieth of the rows ended meanwhile.
const PAUSE: Duration = Duration::from_secs(30);

/// Time in which a run takes up its first rows.
const SETTLED: Duration = Duration::from_secs(3);

/// Progress of a batch.
pub(crate) struct Display {
    printer: Printer,
    block: Option<ProgressBar>,
    began: Instant,
    told: Instant,
    /// Rows that had ended when the last plain line was printed.
    ended: usize,
    /// Whether other machines take rows of the batch, too.
    is_shared: bool,
    /// Since when the service takes no requests, and why.
    paused: Option<(Instant, String)>,
}

impl Display {
    pub(crate) fn start(printer: &Printer, is_shared: bool) -> Self {
        let is_live = printer.terminal && !printer.quiet && !printer.json;
        let block = is_live.then(|| {
            let block = ProgressBar::with_draw_target(None, progress_line::target());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                block.set_style(style);
            }
            block
        });
        let now = Instant::now();
        Self {
            printer: *printer,
            block,
            began: now,
            told: now,
            ended: 0,
            is_shared,
            paused: None,
        }
    }

    /// Prints a line above the block.
    pub(crate) fn line(&self, line: &str) {
        match &self.block {
            Some(block) => block.suspend(|| self.printer.say(line)),
            None => self.printer.say(line),
        }
    }

    /// Prints a warning above the block.
    pub(crate) fn warn(&self, line: &str) {
        match &self.block {
            Some(block) => block.suspend(|| self.printer.warn(line)),
            None => self.printer.warn(line),
        }
    }

    /// Shows from now on why nothing begins. The time is that of the first reason.
    pub(crate) fn pause(&mut self, why: &str) {
        let since = self
            .paused
            .take()
            .map_or_else(Instant::now, |(since, _)| since);
        self.paused = Some((since, why.to_owned()));
    }

    /// The service takes requests again.
    pub(crate) fn go_on(&mut self) {
        self.paused = None;
    }

    /// Shows the counts: on a terminal at once, elsewhere every 30 seconds or 5 % of the rows.
    pub(crate) fn update(&mut self, tally: &Tally, flying: usize, committed: MicroDollars) {
        let rows = tally.total.saturating_sub(tally.done_before).max(1);
        let show = |between: &str| {
            let (line, flight) = (tally.line(), self.flight(flying));
            format!("{line}, {flight}{between}{}", self.pace(tally, committed))
        };
        if let Some(block) = &self.block {
            block.set_message(show("\n"));
            return;
        }
        let is_step = (tally.ended() - self.ended.min(tally.ended())) * 20 >= rows;
        let has_news = tally.ended() > self.ended && is_step && tally.left() > 0;
        if has_news || self.told.elapsed() >= PAUSE {
            self.printer.say(&show("; "));
            self.told = Instant::now();
            self.ended = tally.ended();
        }
    }

    fn flight(&self, flying: usize) -> String {
        match flying == 0 && self.is_shared && self.began.elapsed() > SETTLED {
            true => "the others are held by other machines".to_owned(),
            false => format!("{flying} in flight"),
        }
    }

    fn pace(&self, tally: &Tally, committed: MicroDollars) -> String {
        if let Some((since, why)) = &self.paused {
            let time = whole_seconds(since.elapsed().as_secs());
            return format!("paused for {time}: {why}");
        }
        let elapsed = self.began.elapsed().as_secs_f64();
        let rate = tally.ended() as f64 / elapsed.max(0.001);
        let reserved = committed.get().saturating_sub(tally.billed);
        let mut line = format!(
            "{rate:.1} rows/s, {}, {} reserved",
            tally.billed_line(),
            rounded(MicroDollars::new(reserved))
        );
        let left = tally.left();
        if tally.ended() > 0 && left > 0 {
            let seconds = (left as f64 / rate).min(1e8) as u64;
            let time = whole_seconds(seconds);
            line.push_str(&format!(", about {time} left"));
        }
        line
    }

    /// Removes the block.
    pub(crate) fn end(self) {
        if let Some(block) = self.block {
            block.finish_and_clear();
        }
    }
}

fn whole_seconds(seconds: u64) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(seconds))
}
