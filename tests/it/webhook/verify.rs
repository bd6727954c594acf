//! The verifier alone: the documented vector, every way to alter it, and what refusing costs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;
use uso::webhook::{KeySet, Notification, Rejection, Verifier};

use super::{clock_at, vector};

fn headers() -> HeaderMap {
    let pairs = vector::HEADERS.map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    pairs.into_iter().collect()
}

fn verifier() -> Verifier {
    Verifier::new().clock(clock_at(1_760_000_000))
}

fn keys() -> KeySet {
    KeySet::from_jwks(vector::JWKS.as_bytes()).unwrap()
}

fn verify(headers: &HeaderMap, body: &[u8]) -> Result<Notification, Rejection> {
    verifier().verify(&keys(), headers, body.to_vec())
}

#[test]
fn the_documented_vector_verifies() {
    let notification = verify(&headers(), vector::BODY.as_bytes()).unwrap();
    assert_eq!(notification.request_id(), vector::REQUEST_ID);
    assert_eq!(notification.user_id(), vector::USER_ID);
    assert_eq!(notification.raw_body(), vector::BODY);
    let signed_at = notification.signed_at();
    let signed_at = signed_at.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(signed_at.as_secs(), 1_760_000_000);
    assert_eq!(notification.status().as_str(), "OK");
    assert_eq!(notification.payload().unwrap()["seed"], 7);
}

/// One byte of the notification: of the body, or of the value of a header.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Which header; none for the body.
    header: Option<usize>,
    position: usize,
}

fn places() -> Vec<Place> {
    let of = |header: Option<usize>, text: &'static str| {
        (0..text.len()).map(move |position| Place { header, position })
    };
    let headers = vector::HEADERS.iter().enumerate();
    let in_headers = headers.flat_map(move |(index, (_, value))| of(Some(index), value));
    of(None, vector::BODY).chain(in_headers).collect()
}

/// The notification with this byte changed; nothing where no header could carry it.
fn altered(place: Place, change: impl Fn(&mut Vec<u8>, usize)) -> Option<(HeaderMap, Vec<u8>)> {
    let (mut headers, mut body) = (headers(), vector::BODY.as_bytes().to_vec());
    match place.header {
        None => change(&mut body, place.position),
        Some(index) => {
            let (name, value) = vector::HEADERS[index];
            let mut value = value.as_bytes().to_vec();
            change(&mut value, place.position);
            headers.insert(name, HeaderValue::from_bytes(&value).ok()?);
        }
    }
    Some((headers, body))
}

#[test]
fn a_notification_with_any_bit_of_it_altered_is_refused() {
    let mut tried = 0;
    for place in places() {
        for bit in 0..8 {
            let flipped = altered(place, |bytes, at| bytes[at] ^= 1 << bit);
            let Some((headers, body)) = flipped else {
                continue;
            };
            assert!(verify(&headers, &body).is_err(), "{place:?} bit {bit}");
            tried += 1;
        }
    }
    assert_eq!(places().len(), 208 + 36 + 11 + 10 + 128);
    assert!(tried > 2500, "{tried}");
}

#[test]
fn a_notification_with_a_byte_more_or_less_is_refused() {
    for place in places() {
        for change in [
            |bytes: &mut Vec<u8>, at: usize| drop(bytes.drain(at..=at)),
            |bytes: &mut Vec<u8>, at: usize| bytes.insert(at, b'0'),
            |bytes: &mut Vec<u8>, at: usize| bytes.insert(at, b' '),
        ] {
            let (headers, body) = altered(place, change).unwrap();
            assert!(verify(&headers, &body).is_err(), "{place:?}");
        }
    }
    let line = format!("{}\n", vector::BODY);
    let refused = verify(&headers(), line.as_bytes()).unwrap_err();
    assert_eq!(refused, Rejection::NoKeyFits);
}

proptest! {
    #[test]
    fn a_notification_with_any_bytes_replaced_is_refused(
        at in 0_usize..393,
        bytes in prop::collection::vec(any::<u8>(), 1..4),
    ) {
        let replaced = altered(places()[at], |value, position| {
            let end = (position + bytes.len()).min(value.len());
            value[position..end].copy_from_slice(&bytes[..end - position]);
        });
        if let Some((changed, body)) = replaced {
            let same = changed == headers() && body == vector::BODY.as_bytes();
            prop_assert_eq!(verify(&changed, &body).is_ok(), same);
        }
    }
}

#[test]
fn every_reason_is_told_apart_and_has_its_status() {
    let set = |name: &'static str, value: &str| {
        let mut headers = headers();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    };
    for (name, _) in vector::HEADERS {
        let mut missing = headers();
        missing.remove(name);
        let refused = verify(&missing, vector::BODY.as_bytes());
        assert_eq!(refused.unwrap_err(), Rejection::MissingHeader { name });
        let refused = verify(&set(name, ""), vector::BODY.as_bytes());
        assert_eq!(refused.unwrap_err(), Rejection::MissingHeader { name });
        let mut twice = headers();
        twice.append(name, twice[name].clone());
        let refused = verify(&twice, vector::BODY.as_bytes());
        assert_eq!(refused.unwrap_err(), Rejection::DuplicateHeader { name });
        let refused = verify(&set(name, &"1".repeat(300)), vector::BODY.as_bytes()).unwrap_err();
        assert_eq!(refused.as_str(), "header_too_long");
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    }
    let upper = vector::SIGNATURE.to_uppercase();
    for malformed in [
        set("x-fal-webhook-timestamp", "soon"),
        set("x-fal-webhook-signature", "76c5"),
        set("x-fal-webhook-signature", &upper),
    ] {
        let refused = verify(&malformed, vector::BODY.as_bytes()).unwrap_err();
        assert_eq!(refused.as_str(), "malformed_header", "{refused}");
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    }

    let at = |seconds: u64| {
        let verifier = Verifier::new().clock(clock_at(seconds));
        verifier.verify(&keys(), &headers(), vector::BODY)
    };
    assert!(at(1_760_000_300).is_ok() && at(1_759_999_700).is_ok());
    let (old, new) = (at(1_760_000_301), at(1_759_999_699));
    assert_eq!(old.unwrap_err(), Rejection::TooOld { seconds: 301 });
    assert_eq!(new.unwrap_err(), Rejection::TooNew { seconds: 301 });

    let small = verifier().max_body(207);
    let refused = small.verify(&keys(), &headers(), vector::BODY);
    let refused = refused.unwrap_err();
    assert_eq!(refused, Rejection::BodyTooLarge { limit: 207 });
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let other = verifier().for_user("another-user");
    let refused = other.verify(&keys(), &headers(), vector::BODY);
    let refused = refused.unwrap_err();
    assert_eq!(refused, Rejection::OtherUser);
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let own = verifier().for_user(vector::USER_ID);
    assert!(own.verify(&keys(), &headers(), vector::BODY).is_ok());
    assert_eq!(
        Rejection::NoKeyFits.status(),
        StatusCode::UNAUTHORIZED,
        "fal comes again"
    );
}

/// Public keys that sign nothing here.
const OTHER_KEYS: [&str; 7] = [
    "wMuY18X4avYiBCPQHBkNn755yjr9fQ8PTtLaIBaY6bE",
    "oQGa9A45HflR_1MQwJAhV8t7DuYwl5z2gAUEN1RAGI4",
    "bN5GmXZ0P524LW1TH9uTKZsxg5Oja-w5cgc29mYn0n8",
    "Gc7lEVT633tQt1jvPPi498LlTM7DpGGSb-YON1A8rIk",
    "uLlDbt7tBi1yg9gfCCFI1aghnCCQy-E0QXY99pKOYc8",
    "Irhd53RnVRWE7NNVxQB1nG9QaKTk7G2-bH-UIJJZyAs",
    "f3Pjarrc_N35V09nobeWQMuP2jh2lvy3JCCzbr4LKcU",
];

/// The median time of each of several actions, taken in turns so that a busy machine is busy for
/// all of them.
fn medians<const N: usize>(rounds: usize, actions: [&dyn Fn(); N]) -> [Duration; N] {
    let mut times = [(); N].map(|()| Vec::with_capacity(rounds));
    for _ in 0..rounds {
        for (action, times) in actions.iter().zip(&mut times) {
            let started = Instant::now();
            action();
            times.push(started.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    })
}

#[test]
fn a_wrong_notification_costs_no_more_than_a_right_one() {
    // The key that fits comes first, so that stopping there would make the right one cheap.
    let first = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";
    let entries = std::iter::once(&first).chain(&OTHER_KEYS);
    let entries: Vec<String> = entries.map(|x| format!(r#"{{"x":"{x}"}}"#)).collect();
    let jwks = format!(r#"{{"keys":[{}]}}"#, entries.join(","));
    let keys = KeySet::from_jwks(jwks.as_bytes()).unwrap();
    assert_eq!(keys.len(), 8);

    let right = headers();
    let mut wrong_signature = headers();
    let signature = vector::SIGNATURE.replacen('7', "8", 1);
    wrong_signature.insert("x-fal-webhook-signature", signature.parse().unwrap());
    let body = vector::BODY.as_bytes();
    let wrong_body = vector::BODY.replacen("OK", "KO", 1);
    let verifier = verifier();
    let time = |headers: &HeaderMap, body: &[u8], verifies: bool| {
        let outcome = verifier.verify(&keys, black_box(headers), body.to_vec());
        assert_eq!(black_box(outcome).is_ok(), verifies);
    };
    // A machine that is busy with other tests is given more than one chance.
    let mut measured = Vec::new();
    for _ in 0..5 {
        let [right, by_body, by_signature] = medians(
            101,
            [
                &|| time(&right, body, true),
                &|| time(&right, wrong_body.as_bytes(), false),
                &|| time(&wrong_signature, body, false),
            ],
        );
        measured.push((right, by_body, by_signature));
        if by_body.max(by_signature) <= right.mul_f64(1.2) {
            println!("right {right:?}, wrong body {by_body:?}, wrong signature {by_signature:?}");
            return;
        }
    }
    panic!("a wrong one costs more than a right one: {measured:?}");
}
