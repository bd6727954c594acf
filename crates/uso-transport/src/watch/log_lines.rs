//! Log lines that were told already.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::status::LogLine;

/// Log lines that are remembered so as not to be told twice.
const REMEMBERED: usize = 1 << 16;

/// Fingerprints of the log lines that were told.
#[derive(Default)]
pub(super) struct LogLines {
    told: HashSet<u64>,
    may_repeat: bool,
}

impl LogLines {
    /// From now on a stream may repeat lines that were told.
    pub(super) fn may_repeat(&mut self) {
        self.may_repeat |= !self.told.is_empty();
    }

    /// Leaves out the lines that were told before, as far as they may repeat: a status request has
    /// all lines so far, a stream the new ones, and what a second stream has is not known. A job
    /// that writes more lines than are remembered is not told twice, but incompletely.
    pub(super) fn untold(&mut self, mut lines: Vec<LogLine>, is_asked: bool) -> Vec<LogLine> {
        let full = self.told.len() >= REMEMBERED;
        let may_repeat = is_asked || self.may_repeat;
        lines.retain(|line| {
            let new = !full && self.told.insert(fingerprint(line));
            new || !may_repeat
        });
        // Later streams may repeat what a status request told.
        self.may_repeat |= is_asked;
        lines
    }
}

fn fingerprint(line: &LogLine) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&line.timestamp, &line.message).hash(&mut hasher);
    hasher.finish()
}
