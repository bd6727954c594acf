//! Progress of one job: one updated line on a terminal, few plain lines elsewhere.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use uso::Event;
use uso::status::State;

use crate::escape;
use crate::printer::Printer;
use crate::progress_line;

const SPINNER: &str = "{spinner} {msg} ({elapsed})";
const STEPS: &str = "{spinner} {msg} [{bar:20}] step {pos}/{len} ({elapsed}, about {eta} left)";
const BYTES: &str = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";

pub(crate) struct Progress {
    printer: Printer,
    started: Instant,
    bar: Option<ProgressBar>,
    /// Interruptions in a row: each costs a line where lines cannot be updated.
    interruptions: AtomicU32,
    /// The host that is named when there is no response from it.
    host: String,
}

impl Progress {
    pub(crate) fn start(printer: &Printer, state: &str) -> Self {
        let progress = Self::new(printer, None, SPINNER);
        if let Some(bar) = &progress.bar {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        progress.state(state);
        progress
    }

    /// Progress over this many bytes, with a bar on a terminal.
    pub(crate) fn bytes(printer: &Printer, total: u64) -> Self {
        Self::new(printer, Some(total), BYTES)
    }

    fn new(printer: &Printer, total: Option<u64>, template: &str) -> Self {
        let bar = (printer.terminal && !printer.quiet).then(|| {
            let bar = ProgressBar::with_draw_target(total, progress_line::target());
            style(&bar, template);
            bar
        });
        Self {
            printer: *printer,
            started: Instant::now(),
            bar,
            interruptions: AtomicU32::new(0),
            host: "the service".to_owned(),
        }
    }

    /// Names the host that interruptions are about.
    pub(crate) fn about(mut self, host: Option<&str>) -> Self {
        if let Some(host) = host {
            self.host = host.to_owned();
        }
        self
    }

    /// Moves the bar of [`Progress::bytes`].
    pub(crate) fn counter(&self) -> impl Fn(u64) + Send + Sync + 'static {
        let bar = self.bar.clone();
        move |bytes| {
            if let Some(bar) = &bar {
                bar.set_position(bytes);
            }
        }
    }

    /// The current state; elsewhere than on a terminal it is a line of its own.
    pub(crate) fn state(&self, state: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(escape::line(state).into_owned()),
            None => self.line(state),
        }
    }

    /// The current state on a terminal, and nothing elsewhere: for what changes every second.
    pub(crate) fn update(&self, state: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(escape::line(state).into_owned());
        }
    }

    /// A line that stays on the screen.
    pub(crate) fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.printer.say(line)),
            None => self.printer.say(&format!(
                "{:>5.1}s {line}",
                self.started.elapsed().as_secs_f64()
            )),
        }
    }

    /// A warning above the bar.
    pub(crate) fn warn(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.printer.warn(line)),
            None => self.printer.warn(line),
        }
    }

    pub(crate) fn event(&self, event: &Event) {
        if let Event::Interrupted(why) = event {
            self.interrupted(why);
            return;
        }
        self.interruptions.store(0, Ordering::Relaxed);
        match event {
            Event::Log(line) => match steps(&line.message) {
                Some((done, all)) => self.step(done, all),
                None => self.line(&format!("log: {}", line.message)),
            },
            other => {
                if let Some(bar) = &self.bar {
                    style(bar, SPINNER);
                }
                self.state(&describe(other));
            }
        }
    }

    /// One line that is updated; without a terminal every second, fourth, eighth … is printed.
    fn interrupted(&self, why: &str) {
        let count = self
            .interruptions
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        let line = interruption(&self.host, why);
        match &self.bar {
            Some(bar) => {
                style(bar, SPINNER);
                self.update(&line);
            }
            None if count.is_power_of_two() => self.line(&line),
            None => {}
        }
    }

    fn step(&self, done: u64, all: u64) {
        let Some(bar) = &self.bar else { return };
        if bar.length() != Some(all) || bar.position() > done {
            bar.set_length(all);
            bar.reset_eta();
        }
        style(bar, STEPS);
        bar.set_position(done);
    }

    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
}

/// Why the service is asked again, with its host.
pub(crate) fn interruption(host: &str, why: &str) -> String {
    match why.contains(host) {
        true => format!("{why}; trying again"),
        false => format!("{host}: {why}; trying again"),
    }
}

/// Steps done and all steps, as in `step 7/28` or in a bar such as `25%|██▌ | 7/28 [00:03<…`.
fn steps(message: &str) -> Option<(u64, u64)> {
    let words = message.split(|character: char| !(character.is_ascii_digit() || character == '/'));
    let fractions = words.filter_map(|word| {
        let (done, all) = word.split_once('/')?;
        Some((done.parse().ok()?, all.parse().ok()?))
    });
    let plausible = |(done, all): &(u64, u64)| done <= all && (1..=1_000).contains(all);
    fractions.filter(plausible).fold(None, |_, last| Some(last))
}

/// An event in a few words.
pub(crate) fn describe(event: &Event) -> String {
    match event {
        Event::Log(line) => line.message.clone(),
        Event::Interrupted(why) => interruption("the service", why),
        other => match state_of(other) {
            Some(state) => describe_state(&state),
            None => format!("{other:?}"),
        },
    }
}

/// The state that an event tells.
pub(crate) fn state_of(event: &Event) -> Option<State> {
    Some(match event {
        Event::Queued { position } => State::Queued {
            position: *position,
        },
        Event::Running => State::Running,
        Event::Completed(completion) => State::Completed(completion.clone()),
        _ => return None,
    })
}

/// The state of a job in a few words.
pub(crate) fn describe_state(state: &State) -> String {
    match state {
        State::Queued { position } => match position {
            Some(0) => "queued, next in line".to_owned(),
            Some(1) => "queued, 1 request ahead".to_owned(),
            Some(ahead) => format!("queued, {ahead} requests ahead"),
            None => "queued".to_owned(),
        },
        State::Running => "running".to_owned(),
        State::Completed(completion) => match completion.failure() {
            Some(error) => format!("failed: {error}"),
            None => "completed".to_owned(),
        },
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_from_the_lines_that_tell_them() {
        assert_eq!(steps("step 7/28"), Some((7, 28)));
        assert_eq!(
            steps(" 25%|██▌       | 7/28 [00:03<00:09,  2.25it/s]"),
            Some((7, 28))
        );
        for other in [
            "",
            "loading",
            "24/7/365",
            "9/8",
            "http://a/b",
            "1/0",
            "5/99999",
        ] {
            assert_eq!(steps(other), None, "{other}");
        }
    }
}
