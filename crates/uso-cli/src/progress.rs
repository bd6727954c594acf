//! Progress: a spinner on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use uso::Event;

use crate::output::Printer;

pub(crate) struct Progress<'a> {
    printer: &'a Printer,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl<'a> Progress<'a> {
    pub(crate) fn start(printer: &'a Printer, state: &str) -> Self {
        let bar = (printer.terminal && !printer.quiet).then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let progress = Self {
            printer,
            started: Instant::now(),
            bar,
        };
        progress.state(state);
        progress
    }

    /// The way of this many bytes, with a bar on a terminal.
    pub(crate) fn bytes(printer: &'a Printer, total: u64) -> Self {
        let bar = (printer.terminal && !printer.quiet).then(|| {
            let bar = ProgressBar::new(total);
            let template = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Self {
            printer,
            started: Instant::now(),
            bar,
        }
    }

    /// What moves the bar.
    pub(crate) fn counter(&self) -> impl Fn(u64) + Send + Sync + 'static {
        let bar = self.bar.clone();
        move |bytes| {
            if let Some(bar) = &bar {
                bar.set_position(bytes);
            }
        }
    }

    /// Where things stand.
    pub(crate) fn state(&self, state: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(state.to_owned()),
            None => self.line(state),
        }
    }

    /// Something that stays on the screen.
    pub(crate) fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.printer.say(line)),
            None => self.printer.say(&format!(
                "{:>5.1}s {line}",
                self.started.elapsed().as_secs_f64()
            )),
        }
    }

    pub(crate) fn event(&self, event: &Event) {
        match event {
            Event::Log(line) => self.line(&format!("log: {}", line.message)),
            Event::Interrupted(why) => self.line(&format!("{why}; looking again")),
            other => self.state(&describe(other)),
        }
    }

    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// An event in a few words.
pub(crate) fn describe(event: &Event) -> String {
    match event {
        Event::Queued { position: Some(0) } => "queued, next in line".to_owned(),
        Event::Queued { position: Some(1) } => "queued, 1 request ahead".to_owned(),
        Event::Queued {
            position: Some(ahead),
        } => format!("queued, {ahead} requests ahead"),
        Event::Queued { position: None } => "queued".to_owned(),
        Event::Running => "running".to_owned(),
        Event::Log(line) => line.message.clone(),
        Event::Interrupted(why) => why.clone(),
        Event::Completed(completion) => match completion.failure() {
            Some(error) => format!("failed: {error}"),
            None => "completed".to_owned(),
        },
        other => format!("{other:?}"),
    }
}
