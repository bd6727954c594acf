//! What a newer schema changes, in words.

use serde_json::{Value, json};
use xtask::codegen::Document;
use xtask::drift::{Drift, Severity, drift};

use super::snapshot;

fn old() -> Value {
    json!({
        "info": { "x-fal-metadata": { "endpointId": "acme/paint", "category": "image-to-image" } },
        "components": { "schemas": {
            "PaintInput": {
                "type": "object",
                "required": ["urls"],
                "properties": {
                    "urls": { "type": "array", "items": { "type": "string" } },
                    "steps": { "type": "integer", "minimum": 1, "maximum": 50, "default": 28 },
                    "format": { "type": "string", "enum": ["png", "jpeg"] },
                    "seed": { "type": "integer", "description": "The seed." },
                    "size": { "anyOf": [
                        { "$ref": "#/components/schemas/Size" },
                        { "type": "string", "enum": ["square"] },
                    ] },
                },
            },
            "Size": { "type": "object", "properties": { "width": { "type": "integer" } } },
            "PaintOutput": {
                "type": "object",
                "required": ["images"],
                "properties": { "images": { "type": "array", "items": { "type": "string" } } },
            },
        } },
    })
}

/// The drift from the old document to one that is edited.
fn edited(edit: impl FnOnce(&mut Value)) -> Drift {
    let mut new = old();
    edit(&mut new);
    let document =
        |name: &str, value: &Value| Document::parse(name, value.to_string().as_bytes()).unwrap();
    drift(&document("old.json", &old()), &document("new.json", &new)).unwrap()
}

fn input(document: &mut Value) -> &mut Value {
    &mut document["components"]["schemas"]["PaintInput"]["properties"]
}

/// Edits one thing and expects one change.
#[track_caller]
fn one(severity: Severity, change: &str, edit: impl FnOnce(&mut Value)) {
    let drift = edited(edit);
    let found: Vec<String> = drift
        .changes
        .iter()
        .map(|change| format!("{} {}", change.place, change.words))
        .collect();
    assert_eq!(found, [change]);
    assert_eq!(drift.severity(), Some(severity));
}

#[test]
fn the_same_document_does_not_drift() {
    let drift = edited(|_| {});
    assert_eq!(drift.severity(), None);
    assert_eq!(drift.step(), "none");
    assert_eq!(drift.to_string(), "Nothing changes.\n");
    assert_eq!(Severity::exit_code(None), 0);
}

#[test]
fn what_code_or_requests_relied_on_and_is_gone_breaks_callers() {
    use Severity::Breaks;
    one(Breaks, "PaintInput.seed is gone", |new| {
        input(new).as_object_mut().unwrap().remove("seed");
    });
    one(Breaks, "PaintOutput.images is gone", |new| {
        new["components"]["schemas"]["PaintOutput"]["properties"] = json!({});
        new["components"]["schemas"]["PaintOutput"]["additionalProperties"] = json!(false);
    });
    one(
        Breaks,
        "PaintInput.seed was of type `Option<u64>`, is of type `Option<String>`",
        |new| {
            input(new)["seed"]["type"] = json!("string");
        },
    );
    one(
        Breaks,
        "PaintInput.steps has the maximum 40 in place of 50",
        |new| {
            input(new)["steps"]["maximum"] = json!(40);
        },
    );
    one(
        Breaks,
        "PaintInput.urls has the most items 3 in place of none",
        |new| {
            input(new)["urls"]["maxItems"] = json!(3);
        },
    );
    one(
        Breaks,
        "PaintInput.steps is `30` in place of `28` when a request leaves it out",
        |new| input(new)["steps"]["default"] = json!(30),
    );
    one(Breaks, "Format no longer takes `jpeg`", |new| {
        input(new)["format"]["enum"] = json!(["png"]);
    });
    one(
        Breaks,
        "PaintInput.mood is new, and a request must carry it",
        |new| {
            input(new)["mood"] = json!({ "type": "string" });
            new["components"]["schemas"]["PaintInput"]["required"] = json!(["urls", "mood"]);
        },
    );
    one(
        Breaks,
        "PaintInput.seed was of type `Option<u64>`, is of type `u64`",
        |new| new["components"]["schemas"]["PaintInput"]["required"] = json!(["urls", "seed"]),
    );
    let third_shape = edited(|new| {
        let shapes = input(new)["size"]["anyOf"].as_array_mut().unwrap();
        shapes.push(json!({ "type": "boolean" }));
    });
    assert_eq!(third_shape.severity(), Some(Breaks));
    let words: Vec<_> = third_shape
        .changes
        .iter()
        .map(|change| change.words.as_str())
        .collect();
    assert!(
        words.contains(&"also takes `Flag(bool)`, which a match must handle"),
        "{words:?}"
    );
}

#[test]
fn a_larger_schema_adds() {
    use Severity::Adds;
    one(Adds, "PaintInput.mood is a new field", |new| {
        input(new)["mood"] = json!({ "type": "string" });
    });
    one(Adds, "PaintOutput.seed is a new field", |new| {
        new["components"]["schemas"]["PaintOutput"]["properties"]["seed"] =
            json!({ "type": "integer" });
        new["components"]["schemas"]["PaintOutput"]["required"] = json!(["images", "seed"]);
    });
    one(
        Adds,
        "PaintInput.steps has the maximum 60 in place of 50",
        |new| {
            input(new)["steps"]["maximum"] = json!(60);
        },
    );
    one(Adds, "Format takes the new value `webp`", |new| {
        input(new)["format"]["enum"] = json!(["png", "jpeg", "webp"]);
    });
}

#[test]
fn what_the_types_allowed_all_along_is_documentation() {
    use Severity::Documentation;
    one(
        Documentation,
        "PaintInput.seed is described as \"A seed.\", was \"The seed.\"",
        |new| input(new)["seed"]["description"] = json!("A seed."),
    );
    one(
        Documentation,
        "PaintInput.seed may now be null, which its type allows all along",
        |new| {
            let seed = &mut input(new)["seed"];
            seed.as_object_mut().unwrap().remove("type");
            seed["anyOf"] = json!([{ "type": "integer" }, { "type": "null" }]);
        },
    );
    one(
        Documentation,
        "PaintOutput.images is no longer required, which its type leaves open all along",
        |new| new["components"]["schemas"]["PaintOutput"]["required"] = json!([]),
    );
    one(
        Documentation,
        "The listing's `about` is new: \"Paint\"",
        |new| {
            new["info"]["x-fal-metadata"]["about"] = json!("Paint");
        },
    );
}

#[test]
fn the_report_groups_by_severity_and_names_the_step() {
    let drift = edited(|new| {
        input(new)["steps"]["maximum"] = json!(40);
        input(new)["mood"] = json!({ "type": "string" });
        input(new)["seed"]["description"] = json!("A seed.");
    });
    snapshot(
        "drift-report",
        "The report that a person reads.",
        &drift.to_string(),
    );
    assert_eq!(
        drift.to_json(),
        json!({
            "step": "major",
            "breaks": [{ "place": "PaintInput.steps", "change": "has the maximum 40 in place of 50" }],
            "adds": [{ "place": "PaintInput.mood", "change": "is a new field" }],
            "documentation": [{
                "place": "PaintInput.seed",
                "change": "is described as \"A seed.\", was \"The seed.\"",
            }],
        })
    );
    let codes = [Severity::Documentation, Severity::Adds, Severity::Breaks]
        .map(|severity| Severity::exit_code(Some(severity)));
    assert_eq!(codes, [3, 4, 5]);
}

#[test]
fn a_broken_document_is_named() {
    let good = Document::parse("old.json", old().to_string().as_bytes()).unwrap();
    let mut broken = old();
    input(&mut broken)["seed"] = json!({ "$ref": "#/components/schemas/Nowhere" });
    let broken = Document::parse("new.json", broken.to_string().as_bytes()).unwrap();
    let (name, fault) = drift(&good, &broken).unwrap_err();
    assert_eq!(name, "new.json");
    assert!(fault.to_string().contains("`Nowhere`"), "{fault}");
}
