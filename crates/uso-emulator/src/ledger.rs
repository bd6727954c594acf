//! Ledger of purchases: every accepted submit, and whether it was billed.
//!
//! Accepting is what commits a caller, so an accepted submission is a purchase from its first
//! moment; whether money moves is settled when it ends. No purchase is ever removed.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::queue::outcome::{megapixels, micro_dollars};
use crate::text::beginning;

/// A snapshot of everything that was bought so far.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    purchases: Vec<Purchase>,
}

/// Accepted submission, queued or synchronous.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Purchase {
    /// The id that the service gave.
    pub request_id: String,
    /// The endpoint as it was called.
    pub endpoint_id: String,
    /// The input as it was sent. Of the oldest among very many bytes of inputs, long texts are cut
    /// short.
    pub input: Value,
    /// Time of the acceptance, as RFC 3339.
    pub accepted_at: String,
    /// Whether it costs anything.
    pub billing: Billing,
    /// Pixels billed, all pictures together; zero unless billed.
    pub pixels: u64,
    /// Money moved, in millionths of a dollar: $0.10 for a million pixels, rounded up.
    pub micro_dollars: u64,
}

/// Bill of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Billing {
    /// Accepted and not ended: it will be billed if it succeeds.
    Pending,
    /// It produced a picture and was billed.
    Billed,
    /// It ended without a picture and cost nothing.
    Free {
        /// HTTP status of its result.
        status: u16,
    },
}

impl Ledger {
    /// Every accepted submission, oldest first: what the caller committed to pay for.
    pub fn purchases(&self) -> &[Purchase] {
        &self.purchases
    }

    /// The purchases that were billed: a picture was made.
    pub fn billed(&self) -> impl Iterator<Item = &Purchase> {
        self.purchases
            .iter()
            .filter(|purchase| purchase.billing == Billing::Billed)
    }

    /// The purchase with this request id.
    pub fn find(&self, request_id: &str) -> Option<&Purchase> {
        self.purchases
            .iter()
            .find(|purchase| purchase.request_id == request_id)
    }

    /// Money moved so far, in millionths of a dollar.
    pub fn total_micro_dollars(&self) -> u64 {
        self.purchases
            .iter()
            .map(|purchase| purchase.micro_dollars)
            .sum()
    }
}

/// The book behind the snapshots. Inputs are shared with the queue and copied only for a snapshot.
#[derive(Default)]
pub(crate) struct Book {
    entries: Vec<Entry>,
    by_id: HashMap<String, usize>,
    /// Bytes of the inputs that are whole.
    held: usize,
    /// How many of the oldest inputs are not.
    abridged: usize,
}

/// Sums of all purchases.
pub(crate) struct Sums {
    pub(crate) accepted: usize,
    pub(crate) billed: usize,
    pub(crate) micro_dollars: u64,
}

struct Entry {
    request_id: String,
    endpoint_id: String,
    input: Arc<Value>,
    size: usize,
    accepted_at: Timestamp,
    billing: Billing,
    pixels: u64,
}

impl Book {
    /// Bytes of inputs that are kept whole.
    const HELD: usize = 256 << 20;

    pub(crate) fn accept(
        &mut self,
        request_id: &str,
        endpoint_id: &str,
        (input, size): (Arc<Value>, usize),
        accepted_at: Timestamp,
    ) {
        self.held += size;
        self.by_id.insert(request_id.to_owned(), self.entries.len());
        self.entries.push(Entry {
            request_id: request_id.to_owned(),
            endpoint_id: endpoint_id.to_owned(),
            input,
            size,
            accepted_at,
            billing: Billing::Pending,
            pixels: 0,
        });
        self.abridge_oldest();
    }

    pub(crate) fn bill(&mut self, request_id: &str, pixels: u64) {
        self.settle(request_id, Billing::Billed, pixels);
    }

    pub(crate) fn release(&mut self, request_id: &str, status: u16) {
        self.settle(request_id, Billing::Free { status }, 0);
    }

    pub(crate) fn sums(&self) -> Sums {
        let billed = |entry: &&Entry| entry.billing == Billing::Billed;
        let spent = |entry: &Entry| micro_dollars(entry.pixels);
        Sums {
            accepted: self.entries.len(),
            billed: self.entries.iter().filter(billed).count(),
            micro_dollars: self.entries.iter().map(spent).sum(),
        }
    }

    /// The purchases, oldest first, without the inputs, which may hold whole pictures.
    pub(crate) fn rows(&self) -> impl DoubleEndedIterator<Item = Value> {
        self.entries.iter().map(Entry::json)
    }

    pub(crate) fn snapshot(&self) -> Ledger {
        Ledger {
            purchases: self.entries.iter().map(Entry::purchase).collect(),
        }
    }

    /// Keeps memory bounded: of the oldest inputs, long texts (whole pictures, most likely) shrink to
    /// their beginning.
    fn abridge_oldest(&mut self) {
        while self.held > Self::HELD {
            let Some(entry) = self.entries.get_mut(self.abridged) else {
                break;
            };
            self.held = self.held.saturating_sub(entry.size);
            let mut input = (*entry.input).clone();
            abridge(&mut input);
            entry.input = Arc::new(input);
            self.abridged += 1;
        }
    }

    /// A purchase is settled once; what comes later does not change it.
    fn settle(&mut self, request_id: &str, billing: Billing, pixels: u64) {
        let entry = self
            .by_id
            .get(request_id)
            .and_then(|at| self.entries.get_mut(*at));
        if let Some(entry) = entry
            && entry.billing == Billing::Pending
        {
            entry.billing = billing;
            entry.pixels = pixels;
        }
    }
}

fn abridge(value: &mut Value) {
    const LONG: usize = 200;
    match value {
        Value::String(text) if text.len() > LONG => {
            text.truncate(beginning(text, LONG).len());
            text.push_str("...");
        }
        Value::Array(items) => items.iter_mut().for_each(abridge),
        Value::Object(fields) => fields.values_mut().for_each(abridge),
        _ => {}
    }
}

impl Entry {
    fn json(&self) -> Value {
        let billing = match self.billing {
            Billing::Pending => "pending",
            Billing::Billed => "billed",
            Billing::Free { .. } => "free",
        };
        json!({
            "request_id": self.request_id,
            "endpoint_id": self.endpoint_id,
            "accepted_at": format!("{:.3}", self.accepted_at),
            "billing": billing,
            "megapixels": megapixels(self.pixels),
            "micro_dollars": micro_dollars(self.pixels),
        })
    }

    fn purchase(&self) -> Purchase {
        Purchase {
            request_id: self.request_id.clone(),
            endpoint_id: self.endpoint_id.clone(),
            input: (*self.input).clone(),
            accepted_at: format!("{:.3}", self.accepted_at),
            billing: self.billing,
            pixels: self.pixels,
            micro_dollars: micro_dollars(self.pixels),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purchase_is_settled_once() {
        let mut book = Book::default();
        let input = Arc::new(json!({}));
        for id in ["a", "b", "c"] {
            book.accept(
                id,
                "fal-ai/uso",
                (Arc::clone(&input), 2),
                Timestamp::UNIX_EPOCH,
            );
        }
        book.bill("a", 1_048_576);
        book.bill("a", 1_048_576);
        book.release("b", 422);
        book.bill("b", 9);
        let ledger = book.snapshot();
        assert_eq!(ledger.purchases().len(), 3);
        assert_eq!(ledger.billed().count(), 1);
        assert_eq!(ledger.total_micro_dollars(), 104_858);
        assert_eq!(
            ledger.find("b").map(|b| b.billing),
            Some(Billing::Free { status: 422 })
        );
        assert_eq!(ledger.find("c").map(|c| c.billing), Some(Billing::Pending));
    }

    #[test]
    fn old_inputs_are_cut_short_and_never_lost() {
        let mut book = Book::default();
        let large = Arc::new(json!({ "input_image_urls": ["x".repeat(5000)], "seed": 7 }));
        for id in ["a", "b", "c"] {
            let held = (Arc::clone(&large), 100 << 20);
            book.accept(id, "fal-ai/uso", held, Timestamp::UNIX_EPOCH);
        }
        let ledger = book.snapshot();
        let input = |id| &ledger.find(id).unwrap().input;
        assert_eq!(input("a")["seed"], 7);
        assert!(input("a").to_string().len() < 300);
        assert_eq!((input("b"), input("c")), (&*large, &*large));
    }
}
