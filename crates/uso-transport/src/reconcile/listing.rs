//! Listing: the account's requests, compared one by one with a purchase.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value;

use crate::fingerprint::Inspected;
use crate::intent::Intent;
use crate::recovery::Recovery;
use uso_types::json_repair::parse;

/// How far before our own clock's time the listing is read.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(120);

/// The time from which on requests can be the purchase.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Window(SystemTime);

impl Window {
    /// The window of a purchase, for a clock that is ahead of the service's by `ahead`.
    pub(super) fn of(intent: &Intent, ahead: Duration) -> Self {
        // A note from a damaged disk may name any time; only a past one can be written in a URL.
        let made_at = intent.sent_from().min(SystemTime::now());
        let since = made_at.checked_sub(CLOCK_DIFFERENCE.saturating_add(ahead));
        Self(
            since
                .unwrap_or(SystemTime::UNIX_EPOCH)
                .max(SystemTime::UNIX_EPOCH),
        )
    }

    pub(super) fn since(self) -> SystemTime {
        self.0
    }
}

/// A page of the listing.
#[derive(Deserialize)]
pub(super) struct Page {
    items: Vec<Row>,
    #[serde(default)]
    next_cursor: Option<String>,
    #[serde(default)]
    has_more: Option<bool>,
}

#[derive(Deserialize)]
struct Row {
    request_id: String,
    #[serde(default)]
    endpoint_id: Option<String>,
    #[serde(default)]
    sent_at: Option<Value>,
    #[serde(default)]
    json_input: Option<Value>,
}

impl Page {
    pub(super) fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(parse(body)?.value)
    }
}

/// What a row is to a purchase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// It has exactly the purchase's input.
    Same,
    /// It has the purchase's seed, perhaps rounded, and an input that is written otherwise.
    SameSeed,
    /// It cannot be compared.
    Incomparable,
    Different,
}

impl Row {
    fn likeness(&self, intent: &Intent, window: Window) -> Likeness {
        let endpoint = intent.endpoint();
        let elsewhere = |id: &String| id != endpoint.as_str() && id != endpoint.app();
        if self.endpoint_id.as_ref().is_some_and(elsewhere) || self.is_before(window) {
            return Likeness::Different;
        }
        let Some(input @ Value::Object(fields)) = &self.json_input else {
            return Likeness::Incomparable;
        };
        let same = Inspected::deserialize(input)
            .is_ok_and(|inspected| inspected.fingerprint == *intent.fingerprint());
        if same {
            return Likeness::Same;
        }
        // Without a pinned seed, an input that the service wrote otherwise looks like another.
        let Some(seed) = intent.seed() else {
            return Likeness::Incomparable;
        };
        match fields.get("seed") {
            Some(found) if is_seed(found, seed) => Likeness::SameSeed,
            Some(Value::Number(_)) => Likeness::Different,
            _ => Likeness::Incomparable,
        }
    }

    fn is_before(&self, window: Window) -> bool {
        let sent_at = self.sent_at.as_ref().and_then(Value::as_str);
        let sent_at = sent_at.and_then(|text| humantime::parse_rfc3339_weak(text).ok());
        sent_at.is_some_and(|sent_at| sent_at < window.0)
    }
}

/// Whether a value is this seed, written as a whole number, a fraction or a text. Above 2^53 a float
/// on the way may have rounded the seed, so that the nearest floats count, too.
#[expect(
    clippy::cast_precision_loss,
    reason = "the listing may have lost the same digits"
)]
fn is_seed(found: &Value, seed: u64) -> bool {
    let found = match found {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let seed = seed as f64;
    // Less than 1 below 2^52, where whole numbers are compared exactly.
    found.is_some_and(|found: f64| (found - seed).abs() <= seed * f64::EPSILON)
}

/// A listing while it is read.
pub(super) struct Listing<'a> {
    intent: &'a Intent,
    window: Window,
    found: Found,
}

/// What a listing shows of a purchase.
#[derive(Default)]
pub(super) struct Found {
    same: Vec<String>,
    same_seed: Vec<String>,
    incomparable: Vec<String>,
    cut_short: Option<String>,
}

impl<'a> Listing<'a> {
    pub(super) fn new(intent: &'a Intent, window: Window) -> Self {
        Self {
            intent,
            window,
            found: Found::default(),
        }
    }

    /// Takes a page, and gives the cursor of the next one.
    pub(super) fn take(&mut self, page: Page) -> Option<String> {
        for row in page.items {
            if !self.intent.may_be(&row.request_id) {
                continue;
            }
            let ids = match row.likeness(self.intent, self.window) {
                Likeness::Same => &mut self.found.same,
                Likeness::SameSeed => &mut self.found.same_seed,
                Likeness::Incomparable => &mut self.found.incomparable,
                Likeness::Different => continue,
            };
            if !ids.contains(&row.request_id) {
                ids.push(row.request_id);
            }
        }
        let next = page.next_cursor.filter(|cursor| !cursor.is_empty());
        if next.is_none() && page.has_more == Some(true) {
            self.found.cut_short = Some("it names more requests and no way to them".to_owned());
        }
        next
    }

    pub(super) fn end(self) -> Found {
        self.found
    }

    pub(super) fn cut_short(mut self, why: &str) -> Found {
        self.found.cut_short = Some(why.to_owned());
        self.found
    }
}

impl Found {
    /// Whether a request has exactly the purchase's input.
    pub(super) fn has_same(&self) -> bool {
        !self.same.is_empty()
    }

    /// What the listing says for certain, whatever it may show later.
    pub(super) fn decided(&self, intent: &Intent) -> Option<Recovery> {
        let why = match (self.same.as_slice(), self.same_seed.as_slice()) {
            ([id], _) => match intent.ticket(id) {
                Ok(ticket) => return Some(Recovery::Found(ticket.looked_up())),
                Err(error) => error.to_string(),
            },
            ([], []) => return None,
            ([], _) => "a request has the purchase's seed, and an input that is written otherwise"
                .to_owned(),
            (same, _) => format!(
                "{} requests have exactly this input, so none of them can be taken for this one",
                same.len()
            ),
        };
        let candidates = match self.same.is_empty() {
            true => &self.same_seed,
            false => &self.same,
        };
        Some(Recovery::Undecidable {
            candidates: candidates.clone(),
            why,
        })
    }

    /// Why "not shown" is not "not bought"; `None` when it is.
    pub(super) fn undecided(self) -> Option<Recovery> {
        let why = match (&self.cut_short, self.incomparable.len()) {
            (Some(why), _) => format!("the listing of requests was not read to its end: {why}"),
            (None, 0) => return None,
            (None, count) => {
                format!("{count} requests of that time have an input that cannot be compared")
            }
        };
        Some(Recovery::Undecidable {
            candidates: self.incomparable,
            why,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::endpoint::EndpointId;
    use crate::order::Order;

    #[test]
    fn a_page_with_other_bytes_behind_it_is_no_page_and_proves_nothing() {
        let page = r#"{"items":[]}"#;
        assert!(Page::read(page.as_bytes()).is_ok());
        for more in [page, "\0", "<!-- cached -->"] {
            let body = format!("{page}{more}");
            assert!(Page::read(body.as_bytes()).is_err(), "{body}");
        }
    }

    fn intent() -> Intent {
        let input = json!({ "seed": 7, "prompt": "x" }).to_string();
        let order = Order::new(EndpointId::uso(), input, Duration::from_secs(600)).unwrap();
        order.intent().clone()
    }

    fn found(page: &Value) -> Found {
        let intent = intent();
        let mut listing = Listing::new(&intent, Window::of(&intent, Duration::ZERO));
        listing.take(Page::read(page.to_string().as_bytes()).unwrap());
        listing.end()
    }

    fn with_input(input: &Value) -> Found {
        found(&json!({ "items": [{ "request_id": "r-1", "json_input": input }] }))
    }

    #[test]
    fn the_same_input_is_found_however_its_numbers_are_written() {
        let decided = with_input(&json!({ "prompt": "x", "seed": 7.0 })).decided(&intent());
        let Some(Recovery::Found(ticket)) = decided else {
            panic!("{decided:?}");
        };
        assert_eq!((ticket.request_id(), ticket.seed()), ("r-1", Some(7)));
    }

    #[test]
    fn the_same_seed_with_another_spelling_is_a_candidate() {
        for input in [
            json!({ "seed": "7", "prompt": "x" }),
            json!({ "seed": 7, "prompt": "x", "num_images": 1 }),
            json!({ "seed": 7, "prompt": "y" }),
        ] {
            let Some(Recovery::Undecidable { candidates, .. }) =
                with_input(&input).decided(&intent())
            else {
                panic!("{input}");
            };
            assert_eq!(candidates, ["r-1"]);
        }
    }

    #[test]
    fn a_seed_that_a_float_rounded_is_a_candidate_and_another_seed_is_none() {
        let exact = 15_860_307_465_884_635_512;
        for (listed, seed, is_seed) in [
            ("15860307465884636000", exact, true),
            ("1.5860307465884636e19", exact, true),
            ("\"15860307465884636000\"", exact, true),
            ("15860307465884635512", exact, true),
            ("15860307465884630000", exact, false),
            ("9007199254740992", (1 << 53) + 1, true),
            ("18446744073709552000", u64::MAX, true),
            ("9007199254740991.0", (1 << 53) - 1, true),
            ("4503599627370494", (1 << 52) - 1, false),
            ("2147483646", (1 << 31) - 1, false),
            ("0.5", 0, false),
            ("0.0", 0, true),
        ] {
            let value: Value = serde_json::from_str(listed).unwrap();
            assert_eq!(super::is_seed(&value, seed), is_seed, "{listed} {seed}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_compared_may_be_the_purchase() {
        for input in [
            json!(null),
            json!("{\"seed\":8}"),
            json!([]),
            json!({ "prompt": "x" }),
            json!({ "seed": null }),
            json!({ "seed": "none" }),
        ] {
            let found = with_input(&input);
            assert!(found.decided(&intent()).is_none(), "{input}");
            assert!(found.undecided().is_some(), "{input}");
        }
        let bare = found(&json!({ "items": [{ "request_id": "r-1" }] }));
        assert!(bare.undecided().is_some());
        let more = found(&json!({ "items": [], "has_more": true }));
        assert!(more.undecided().is_some());
    }

    #[test]
    fn another_seed_endpoint_or_time_is_another_request() {
        for row in [
            json!({ "request_id": "r-1", "json_input": { "seed": 8 } }),
            json!({ "request_id": "r-1", "endpoint_id": "fal-ai/flux" }),
            json!({ "request_id": "r-1", "sent_at": "2020-01-01T00:00:00Z" }),
        ] {
            let found = found(&json!({ "items": [row], "has_more": false }));
            assert!(
                found.decided(&intent()).is_none() && found.undecided().is_none(),
                "{row}"
            );
        }
    }
}
