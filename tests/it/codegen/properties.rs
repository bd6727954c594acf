//! Inputs drawn from the schemas, and an independent validator's opinion of them; and the schema
//! that the types give of themselves.

use std::collections::BTreeMap;

use jsonschema::Validator;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use schemars::schema_for;
use serde_json::{Map, Number, Value, json};
use xtask::codegen::model::{Definition, Kind, Limits, Node};
use xtask::codegen::{Document, Model, read};

use super::compiled::{Answer, CORPUS, Case, Entry, FIXTURES, PINNED, ask_all};

const INPUTS_OF_THE_PINNED_SCHEMA: usize = 400;
const INPUTS_OF_OTHERS: usize = 12;

#[test]
fn our_bounds_are_those_of_an_independent_validator() {
    let mut runner = TestRunner::deterministic();
    let mut cases = Vec::new();
    let mut opinions = Vec::new();
    for entry in PINNED
        .values()
        .chain(FIXTURES.values())
        .chain(CORPUS.values())
    {
        let Some((model, name, validator)) = validator(entry) else {
            continue;
        };
        let count = if entry.name == "pinned" {
            INPUTS_OF_THE_PINNED_SCHEMA
        } else {
            INPUTS_OF_OTHERS
        };
        let inputs = object(model, model.definitions.get(name).unwrap(), 3);
        for _ in 0..count {
            let value = inputs.new_tree(&mut runner).unwrap().current();
            opinions.push(validator.is_valid(&value));
            let (document, type_name) = (entry.name.clone(), name.to_owned());
            cases.push(Case {
                document,
                type_name,
                value,
            });
        }
    }
    let mut verdicts = BTreeMap::new();
    for ((case, answer), valid) in cases.iter().zip(ask_all(&cases)).zip(opinions) {
        let ours = match &answer {
            Answer::Refused(_) => false,
            Answer::Read { violations, .. } => violations.is_empty(),
        };
        assert_eq!(
            ours, valid,
            "{} of {}: {}: {answer:?}",
            case.type_name, case.document, case.value
        );
        *verdicts.entry((&case.document, valid)).or_insert(0) += 1;
    }
    let pinned = "pinned".to_owned();
    for valid in [true, false] {
        assert!(
            verdicts
                .get(&(&pinned, valid))
                .is_some_and(|count| *count > 20),
            "{verdicts:?}"
        );
    }
}

/// The validator of a document's input, where the document keeps to JSON schema.
fn validator(entry: &Entry) -> Option<(&Model, &str, Validator)> {
    let model = &entry.outcome.as_ref().ok()?.model;
    let name = model.input.as_deref()?;
    let schemas = entry.document.pointer("/components/schemas")?.as_object()?;
    if !matches!(model.definitions.get(name)?.kind(), Kind::Object) {
        return None;
    }
    let text = entry.document.to_string();
    // `nullable` and a truth value for `exclusiveMinimum` are OpenAPI's own words, and a tuple of
    // unequal parts is a list of anything to us.
    let beyond = [
        "\"nullable\"",
        "\"exclusiveMinimum\":true",
        "\"prefixItems\"",
    ];
    if beyond.iter().any(|word| text.contains(word)) {
        return None;
    }
    let component = schemas
        .keys()
        .find(|key| xtask::codegen::names::type_name(key) == name)?;
    let root = json!({
        "$ref": format!("#/components/schemas/{component}"),
        "components": { "schemas": schemas },
    });
    Some((model, name, jsonschema::draft202012::new(&root).ok()?))
}

/// Objects with the required fields and some of the others.
fn object(model: &Model, definition: &Definition, depth: u32) -> BoxedStrategy<Value> {
    let mut fields: BoxedStrategy<Map<String, Value>> = Just(Map::new()).boxed();
    for (wire, field) in definition.fields() {
        let required = definition.required.iter().any(|name| name == wire);
        let wire = wire.to_owned();
        let value = prop::option::weighted(
            if required { 0.95 } else { 0.4 },
            values(model, field, depth),
        );
        fields = (fields, value)
            .prop_map(move |(mut fields, value)| {
                if let Some(value) = value {
                    fields.insert(wire.clone(), value);
                }
                fields
            })
            .boxed();
    }
    fields.prop_map(Value::Object).boxed()
}

/// Values about a node's bounds, mostly inside them.
fn values(model: &Model, node: &Node, depth: u32) -> BoxedStrategy<Value> {
    if let Some((_, target)) = model.target(node) {
        return match target.kind() {
            Kind::Enum(listed) => {
                let listed = prop::sample::select(listed.to_vec());
                let strange = if target.definition_is_text() {
                    json!("strange")
                } else {
                    json!(-98765)
                };
                prop_oneof![9 => listed, 1 => Just(strange)].boxed()
            }
            Kind::Union(shapes) => {
                let shapes: Vec<_> = shapes
                    .iter()
                    .map(|shape| values(model, shape, depth))
                    .collect();
                prop::strategy::Union::new(shapes).boxed()
            }
            Kind::Object if depth > 0 => object(model, target, depth - 1),
            Kind::Object | Kind::Alias => Just(json!({})).boxed(),
        };
    }
    let limits = &node.limits;
    match node.kind.as_deref() {
        Some("boolean") => any::<bool>().prop_map(|truth| json!(truth)).boxed(),
        Some("integer") => integers(node, limits),
        Some("number") => {
            let bound = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_f64);
            let least = bound(&limits.minimum)
                .or(bound(&limits.exclusive_minimum))
                .unwrap_or(-10.0);
            let most = bound(&limits.maximum)
                .or(bound(&limits.exclusive_maximum))
                .unwrap_or(least + 20.0);
            if limits.multiple_of.is_some() {
                // Floats and their multiples are a matter of opinion; the ends are not.
                return prop_oneof![Just(json!(least)), Just(json!(least - 1.0))].boxed();
            }
            let margin = (most - least) * 0.05;
            prop_oneof![
                8 => (least..=most).prop_map(|number| json!(number)),
                1 => Just(json!(least)),
                1 => Just(json!(most)),
                1 => Just(json!(least - margin)),
                1 => Just(json!(most + margin)),
            ]
            .boxed()
        }
        Some("string") => texts(limits),
        Some("array") => {
            let item = node.items.as_deref().cloned().unwrap_or_default();
            let least = limits.min_items.unwrap_or(0) as usize;
            let most = limits
                .max_items
                .map_or(least + 3, |most| most.min(50) as usize + 1);
            vec(values(model, &item, depth), least.saturating_sub(1)..=most)
                .prop_map(Value::Array)
                .boxed()
        }
        Some("object") => {
            let entry = node.entries.as_deref().cloned().unwrap_or_default();
            btree_map("[a-z]{1,4}", values(model, &entry, depth), 0..3)
                .prop_map(|entries| json!(entries))
                .boxed()
        }
        _ => prop_oneof![Just(json!("any")), Just(json!([1, null]))].boxed(),
    }
}

/// Whole numbers inside the type's range: a negative seed has no place in ours.
fn integers(node: &Node, limits: &Limits) -> BoxedStrategy<Value> {
    let bound = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_i64);
    let floor = if node.format.as_deref() == Some("int64") {
        -1000
    } else {
        0
    };
    let least = bound(&limits.minimum).unwrap_or(floor);
    let most = bound(&limits.maximum).unwrap_or(least.saturating_add(1000));
    let step = limits
        .multiple_of
        .as_ref()
        .and_then(Number::as_i64)
        .unwrap_or(1);
    let mut choices = vec![
        (
            8,
            (least..=most)
                .prop_map(move |n| json!(n - n % step))
                .boxed(),
        ),
        (1, Just(json!(least)).boxed()),
        (1, Just(json!(most)).boxed()),
    ];
    if limits.minimum.is_some() {
        choices.push((1, Just(json!(least.saturating_sub(1))).boxed()));
    }
    if limits.maximum.is_some() {
        choices.push((1, Just(json!(most.saturating_add(1))).boxed()));
    }
    prop::strategy::Union::new_weighted(choices).boxed()
}

fn texts(limits: &Limits) -> BoxedStrategy<Value> {
    let least = limits.min_length.unwrap_or(0) as usize;
    let most = limits.max_length.map_or(least + 12, |most| most as usize);
    let text = |length: usize| json!("é".repeat(length));
    let mut choices = vec![
        (8, "[ -~äß語]{0,12}".prop_map(|text| json!(text)).boxed()),
        (1, Just(text(least)).boxed()),
        (1, Just(text(most)).boxed()),
    ];
    if limits.max_length.is_some() {
        choices.push((1, Just(text(most + 1)).boxed()));
    }
    prop::strategy::Union::new_weighted(choices).boxed()
}

trait IsText {
    fn definition_is_text(&self) -> bool;
}

impl IsText for Definition {
    fn definition_is_text(&self) -> bool {
        self.values.iter().flatten().all(Value::is_string)
    }
}

#[test]
fn the_types_give_a_schema_that_means_what_the_source_means() {
    let source = &PINNED
        .get("pinned")
        .unwrap()
        .outcome
        .as_ref()
        .unwrap()
        .model;
    for (root, own) in [
        ("UsoInput", schema_for!(uso_types::UsoInput)),
        ("UsoOutput", schema_for!(uso_types::UsoOutput)),
    ] {
        let own = own_model(root, own.to_value());
        let meaning =
            |model: &Model| definition_meaning(model, model.definitions.get(root).unwrap());
        assert_eq!(meaning(&own), meaning(source), "{root}");
    }
}

/// Reads a schema that the types gave, as if it were a document of the service.
fn own_model(root: &str, mut schema: Value) -> Model {
    let mut schemas = match schema.as_object_mut().unwrap().remove("$defs") {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    schemas.insert(root.to_owned(), schema);
    let document = json!({ "components": { "schemas": schemas } }).to_string();
    let document = document.replace("#/$defs/", "#/components/schemas/");
    read(&Document::parse("own.json", document.as_bytes()).unwrap()).unwrap()
}

/// What a type means on the wire: neither names nor words, but shapes and bounds.
fn definition_meaning(model: &Model, definition: &Definition) -> Value {
    match definition.kind() {
        Kind::Object => {
            let fields: Map<String, Value> = definition
                .properties
                .iter()
                .flatten()
                .map(|(wire, field)| {
                    let certain = definition.is_certain(wire, field);
                    (
                        wire.clone(),
                        json!({ "certain": certain, "is": meaning(model, field) }),
                    )
                })
                .collect();
            json!({ "fields": fields })
        }
        Kind::Enum(values) => json!({ "values": values }),
        Kind::Union(shapes) => {
            let mut shapes: Vec<Value> = shapes.iter().map(|shape| meaning(model, shape)).collect();
            shapes.sort_by_key(Value::to_string);
            json!({ "one of": shapes })
        }
        Kind::Alias => meaning(model, &definition.node),
    }
}

fn meaning(model: &Model, node: &Node) -> Value {
    if let Some((_, target)) = model.target(node) {
        return definition_meaning(model, target);
    }
    let mut limits = json!(node.limits);
    // That an unsigned number is not negative is said by its type.
    if node.format.as_deref() == Some("uint64") && limits["minimum"] == json!(0) {
        limits["minimum"] = Value::Null;
    }
    json!({
        "type": node.kind,
        "format": if node.kind.as_deref() == Some("integer") { &node.format } else { &None },
        "limits": limits,
        "items": node.items.as_deref().map(|item| meaning(model, item)),
        "entries": node.entries.as_deref().map(|entry| meaning(model, entry)),
    })
}
