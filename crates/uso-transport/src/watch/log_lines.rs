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
    ///
    /// A line with a time that comes again is the same line, without one perhaps another. Whether
    /// any line has not been seen before is told beside the lines.
    pub(super) fn untold(&mut self, lines: &mut Vec<LogLine>, is_asked: bool) -> bool {
        let may_repeat = is_asked || self.may_repeat;
        let mut any_new = false;
        lines.retain(|line| {
            let fingerprint = fingerprint(line);
            let is_known = self.told.contains(&fingerprint);
            let is_new = !is_known && self.told.len() < REMEMBERED;
            if is_new {
                self.told.insert(fingerprint);
                any_new = true;
            }
            is_new || !may_repeat && (!is_known || line.timestamp.is_none())
        });
        // Later streams may repeat what a status request told.
        self.may_repeat |= is_asked;
        any_new
    }
}

fn fingerprint(line: &LogLine) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&line.timestamp, &line.message).hash(&mut hasher);
    hasher.finish()
}
