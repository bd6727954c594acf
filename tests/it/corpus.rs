//! What fal publishes for other endpoints goes through the generator, compiles, and behaves.
//!
//! The documents are not part of the project: `USO_CORPUS` names their folder, by default
//! `../shared/schema/corpus` beside the repository. Where they are missing, the fixtures of
//! `codegen` stand for the traps that they hold, one each.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

pub(crate) mod samples;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use xtask::codegen::Model;
use xtask::codegen::model::{Definition, Kind};

use crate::codegen::compiled::{
    Answer, CORPUS, Case, Entry, FIXTURES, PINNED, ask_all, without_corpus,
};
use crate::codegen::snapshot;

use samples::{outside, sample, sample_object};
use table::{any, traps};

/// The documents that no types can be made from, and why.
const BROKEN: &[(&str, &str)] = &[
    (
        "fal-ai-patina-material.openapi",
        "components.schemas.PatinaMaterialOutput.properties.images.items.anyOf.0: refers to the \
         component `ImageFile`, which the document lacks",
    ),
    (
        "fal-ai-wan-ati.2026-01.openapi",
        "components.schemas.WanAtiInput.properties.track.items.items: refers to the component \
         `TrackPoint`, which the document lacks",
    ),
    (
        "fal-ai-wan-move.2026-01.openapi",
        "components.schemas.WanMoveInput.properties.trajectories.items.items: refers to the \
         component `TrajectoryPoint`, which the document lacks",
    ),
    (
        "fal-ai-whisper.2026-01.openapi",
        "components.schemas.DiarizationSegment.properties.timestamp.items: numbered keys stand \
         where a schema must be; a list of schemas was meant",
    ),
    (
        "openrouter-router-openai-v1-chat-completions.openapi",
        "paths./openrouter/router/openai/v1/chat/completions.post.requestBody: refers to the \
         component `RouterOpenaiV1ChatCompletionsInput`, which the document lacks",
    ),
];

/// All documents at hand; says so where the corpus is not.
fn documents() -> impl Iterator<Item = &'static Entry> {
    if CORPUS.is_empty() {
        without_corpus();
    }
    CORPUS
        .values()
        .chain(FIXTURES.values())
        .chain(PINNED.values())
}

fn definitions() -> impl Iterator<
    Item = (
        &'static str,
        &'static Model,
        &'static str,
        &'static Definition,
    ),
> {
    documents()
        .filter_map(|entry| Some((entry.name.as_str(), &entry.outcome.as_ref().ok()?.model)))
        .flat_map(|(document, model)| {
            model
                .ordered()
                .map(move |(name, found)| (document, model, name, found))
        })
}

#[test]
fn every_document_ends_with_types_or_with_place_and_reason() {
    let mut broken = BTreeMap::new();
    for entry in CORPUS.values() {
        if let Err(fault) = &entry.outcome {
            broken.insert(entry.name.as_str(), fault.to_string());
        }
    }
    let known: BTreeMap<_, _> = BROKEN
        .iter()
        .filter(|(name, _)| CORPUS.contains_key(*name))
        .map(|(name, reason)| (*name, (*reason).to_owned()))
        .collect();
    assert_eq!(broken, known);
    assert_eq!(
        documents().count(),
        CORPUS.len() + FIXTURES.len() + PINNED.len()
    );
}

#[test]
fn examples_and_defaults_decode_and_encode_to_the_same() {
    let mut cases = Vec::new();
    for (document, model, name, definition) in definitions() {
        for (wire, field) in definition.fields() {
            for value in field.examples.iter().chain(&field.default) {
                if value.is_null() || !model.fits(field, value) {
                    continue;
                }
                let mut object = sample_object(model, definition);
                object.insert(wire.to_owned(), value.clone());
                cases.push(case(document, name, Value::Object(object)));
            }
        }
    }
    assert!(cases.len() > 5, "there is something to try");
    for (case, answer) in cases.iter().zip(ask_all(&cases)) {
        match answer {
            Answer::Refused(message) => panic!("{}: {message}: {}", place(case), case.value),
            Answer::Read { again, violations } => {
                assert!(
                    same(&again, &case.value),
                    "{}: {} became {again}",
                    place(case),
                    case.value
                );
                assert_eq!(violations, [""; 0], "{}: {}", place(case), case.value);
            }
        }
    }
}

#[test]
fn values_outside_their_bounds_are_refused() {
    let (mut cases, mut within) = (Vec::new(), Vec::new());
    for (document, model, name, definition) in definitions().filter(|(.., found)| found.sent) {
        let tried = cases.len();
        for (wire, field) in definition.fields() {
            for value in outside(field) {
                let mut object = sample_object(model, definition);
                object.insert(wire.to_owned(), value);
                cases.push(case(document, name, Value::Object(object)));
            }
        }
        if cases.len() > tried {
            let sample = sample_object(model, definition);
            within.push(case(document, name, Value::Object(sample)));
        }
    }
    assert!(cases.len() > 10, "there is something to try");
    for (case, answer) in cases.iter().zip(ask_all(&cases)) {
        if let Answer::Read { violations, .. } = answer {
            assert!(
                !violations.is_empty(),
                "{}: {} passed",
                place(case),
                case.value
            );
        }
    }
    for (case, answer) in within.iter().zip(ask_all(&within)) {
        let is_read = matches!(&answer, Answer::Read { violations, .. } if violations.is_empty());
        assert!(is_read, "{}: {answer:?}", place(case));
    }
}

#[test]
fn unlisted_values_are_refused_when_sent_and_kept_when_received() {
    let mut cases = Vec::new();
    let mut open = Vec::new();
    for (document, _, name, definition) in definitions() {
        if let Kind::Enum(values) = definition.kind() {
            let text = values.iter().all(Value::is_string);
            let strange = if text {
                json!("no such value")
            } else {
                json!(-987_654)
            };
            cases.push(case(document, name, strange));
            open.push(definition.received);
        }
    }
    assert!(
        open.contains(&true) && open.contains(&false),
        "there are both kinds"
    );
    for ((case, answer), open) in cases.iter().zip(ask_all(&cases)).zip(open) {
        match answer {
            Answer::Read { again, .. } => {
                assert!(open, "{} takes {}", place(case), case.value);
                assert_eq!(again, case.value, "{}", place(case));
            }
            Answer::Refused(message) => assert!(!open, "{}: {message}", place(case)),
        }
    }
}

#[test]
fn answers_may_hold_null_and_unknown_fields_and_lack_the_rest() {
    let mut cases = Vec::new();
    for (document, model, name, definition) in definitions().filter(|(.., found)| found.received) {
        if !matches!(definition.kind(), Kind::Object) {
            continue;
        }
        let mut bare = Map::new();
        for (wire, field) in definition.fields() {
            if definition.is_certain(wire, field) {
                bare.insert(wire.to_owned(), sample(model, field));
            }
        }
        let mut nulls = bare.clone();
        for (wire, _) in definition.fields() {
            nulls.entry(wire).or_insert(Value::Null);
        }
        nulls.insert("a_field_of_tomorrow".to_owned(), json!({ "any": [1] }));
        cases.push(case(document, name, Value::Object(bare)));
        // What stands beside the known fields may have a type of its own.
        if definition.node.entries.is_none() {
            cases.push(case(document, name, Value::Object(nulls)));
        }
    }
    assert!(cases.len() > 4, "there is something to try");
    for (case, answer) in cases.iter().zip(ask_all(&cases)) {
        if let Answer::Refused(message) = answer {
            panic!("{}: {message}: {}", place(case), case.value);
        }
    }
}

#[test]
fn the_documents_and_what_becomes_of_their_traps() {
    if CORPUS.is_empty() {
        without_corpus();
        return;
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in CORPUS.values() {
        for (trap, (_, holds)) in traps() {
            *counts.entry(trap).or_default() += usize::from(any(&entry.document, &holds));
        }
    }
    let made = CORPUS
        .values()
        .filter(|entry| entry.outcome.is_ok())
        .count();
    let mut table = format!(
        "{} documents: {made} become types, {} are broken and say where and why.\n\n",
        CORPUS.len(),
        CORPUS.len() - made
    );
    table.push_str("| in the schema | documents | what becomes of it |\n| --- | --- | --- |\n");
    for (trap, (handling, _)) in traps() {
        writeln!(
            table,
            "| {trap} | {} | {handling} |",
            counts.get(trap).unwrap()
        )
        .unwrap();
    }
    println!("{table}");
    snapshot(
        "corpus-traps",
        "What other endpoints' schemas hold, and how it is handled.",
        &table,
    );
}

fn case(document: &str, type_name: &str, value: Value) -> Case {
    Case {
        document: document.to_owned(),
        type_name: type_name.to_owned(),
        value,
    }
}

fn place(case: &Case) -> String {
    format!("{} of {}", case.type_name, case.document)
}

/// Equal JSON: whichever way its numbers are written, and null as good as absent.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same(l, r))
        }
        (Value::Object(left), Value::Object(right)) => left.keys().chain(right.keys()).all(|key| {
            same(
                left.get(key).unwrap_or(&Value::Null),
                right.get(key).unwrap_or(&Value::Null),
            )
        }),
        _ => left == right,
    }
}
