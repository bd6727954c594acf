//! One trap a test: the shape in a fixture, the outline that comes out, the behaviour that counts.

use serde_json::json;

use super::compiled::{FIXTURES, ask, options};
use super::snapshot;

#[track_caller]
fn outline_of(fixture: &str, guards: &str) {
    let made = FIXTURES
        .get(fixture)
        .expect("the fixture exists")
        .outcome
        .as_ref();
    let made = made.unwrap_or_else(|fault| panic!("{fault}"));
    snapshot(&format!("codegen-trap-{fixture}"), guards, &made.outline);
}

#[track_caller]
fn code_of(fixture: &str) -> &'static str {
    &FIXTURES
        .get(fixture)
        .expect("the fixture exists")
        .outcome
        .as_ref()
        .unwrap()
        .code
}

#[track_caller]
fn fault_of(fixture: &str) -> String {
    match &FIXTURES.get(fixture).expect("the fixture exists").outcome {
        Ok(_) => panic!("{fixture} was generated"),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn titles_of_properties_never_name_a_type() {
    outline_of(
        "title-like-a-component",
        "A property's title does not name its type.",
    );
    let value = json!({ "frame": { "width": 3 }, "mode": "fast" });
    assert_eq!(
        ask("title-like-a-component", "PaintInput", value.clone()).again(),
        value
    );
}

#[test]
fn a_preset_or_an_object_has_names_that_a_person_would_choose() {
    outline_of(
        "union-of-preset-and-object",
        "A union of listed texts and an object.",
    );
    for value in [
        json!({ "canvas": "tall_9_16" }),
        json!({ "canvas": { "width": 9 } }),
        json!({}),
    ] {
        let again = ask("union-of-preset-and-object", "PaintInput", value.clone()).again();
        assert_eq!(again, value);
    }
}

#[test]
fn a_union_says_which_field_and_what_was_expected_and_what_came() {
    let refusal = |value| ask("union-of-preset-and-object", "PaintInput", value).refusal();
    assert_eq!(
        refusal(json!({ "canvas": 5 })),
        "canvas: invalid type: integer `5`, expected one of `square`, `tall_9_16` or an object \
         with `width` and `height` at line 1 column 12"
    );
    assert_eq!(
        refusal(json!({ "canvas": "round" })),
        "canvas: unknown variant `round`, expected `square` or `tall_9_16` at line 1 column 18"
    );
    assert_eq!(
        refusal(json!({ "canvas": { "widht": 9 } })),
        "canvas: widht: unknown field `widht`, expected `width` or `height` at line 1 column 22"
    );
    assert_eq!(
        refusal(json!({ "canvas": { "width": -1 } })),
        "canvas: width: invalid value: integer `-1`, expected u32 at line 1 column 23"
    );
}

#[test]
fn defaults_stay_with_the_service() {
    outline_of("defaults", "Inputs are optional, defaults are constants.");
    let smallest = json!({ "prompt": "sea" });
    assert_eq!(
        ask("defaults", "PaintInput", smallest.clone()).again(),
        smallest
    );
    let code = code_of("defaults");
    assert!(
        code.contains("the default of the service is 28"),
        "the docs tell it"
    );
    assert!(
        !code.contains("SPEED_DEFAULT"),
        "a default that its own schema refuses is none"
    );
}

#[test]
fn bounds_are_constants_and_are_checked() {
    outline_of("bounds", "Every bound is a constant.");
    let violations = |value| ask("bounds", "PaintInput", value).violations();
    let cases = [
        (
            json!({ "images": 5 }),
            "images is 5, but must be between 1 and 4",
        ),
        (
            json!({ "images": 0 }),
            "images is 0, but must be between 1 and 4",
        ),
        (
            json!({ "guidance": 10 }),
            "guidance is 10, but must be at least 1 and less than 10",
        ),
        (json!({ "noise": 0 }), "noise is 0, but must be more than 0"),
        (json!({ "old": 0 }), "old is 0, but must be at least 1"),
        (
            json!({ "prompt": "" }),
            "prompt is 0 characters, but must be between 1 and 8 characters",
        ),
        (
            json!({ "prompt": "ööööööööö" }),
            "prompt is 9 characters, but must be between 1 and 8 characters",
        ),
        (
            json!({ "urls": [] }),
            "urls is 0 items, but must be between 1 and 2 items",
        ),
        (
            json!({ "urls": ["abcdef"] }),
            "urls[0] is 6 characters, but must be at most 5 characters",
        ),
        (
            json!({ "steps": 12 }),
            "steps is 12, but must be a multiple of 8",
        ),
        (
            json!({ "weight": 0.12 }),
            "weight is 0.12, but must be a multiple of 0.05",
        ),
        (
            json!({ "offset": -6 }),
            "offset is -6, but must be between -5 and 5",
        ),
        (
            json!({ "layers": [{ "depth": 4 }] }),
            "layers[0].depth is 4, but must be between 0 and 3",
        ),
        (
            json!({ "matrix": [[1], [0.5, 2]] }),
            "matrix[1][1] is 2, but must be at most 1",
        ),
        (
            json!({ "scores": { "sky": 2 } }),
            "scores.sky is 2, but must be at most 1",
        ),
    ];
    for (value, violation) in cases {
        assert_eq!(violations(value), [violation]);
    }
    let inside = json!({
        "images": 4, "guidance": 9.99, "noise": 0.01, "prompt": "öööööööö", "urls": ["abcde"],
        "steps": 16, "weight": 0.15, "offset": -5, "layers": [{ "depth": 0 }], "seed": u64::MAX,
    });
    assert_eq!(violations(inside), [""; 0]);
    let both = json!({ "images": 9, "steps": 1 });
    assert_eq!(
        violations(both).len(),
        3,
        "every violation is told, not only the first"
    );
}

#[test]
fn answers_may_be_null_or_leave_out_what_their_schema_requires() {
    outline_of(
        "null-and-missing",
        "What may be null or missing is optional.",
    );
    let output = |value| ask("null-and-missing", "PaintOutput", value).again();
    assert_eq!(output(json!({})), json!({}));
    assert_eq!(
        output(json!({ "images": null, "seed": null, "took": null })),
        json!({})
    );
    let image = json!({ "images": [{ "url": "u", "width": null, "kind": null, "new": 1 }] });
    assert_eq!(output(image), json!({ "images": [{ "url": "u" }] }));
    let without_url = json!({ "images": [{ "width": 5 }] });
    assert!(
        ask("null-and-missing", "PaintOutput", without_url)
            .refusal()
            .contains("url")
    );
    // What must travel but may be null travels as null.
    let input = ask("null-and-missing", "PaintInput", json!({ "hint": null })).again();
    assert_eq!(input, json!({ "must": null }));
}

#[test]
fn answers_keep_values_that_the_schema_does_not_list() {
    outline_of(
        "open-answers",
        "Listed values are closed where we send, open where we read.",
    );
    let strange = json!({ "verdict": "splendid", "level": 7 });
    assert_eq!(
        ask("open-answers", "PaintOutput", strange.clone()).again(),
        strange
    );
    let refusal = ask("open-answers", "PaintInput", json!({ "mood": "furious" })).refusal();
    assert!(
        refusal.contains("unknown variant `furious`, expected `calm` or `wild`"),
        "{refusal}"
    );
}

#[test]
fn a_bare_object_is_a_map_and_a_seed_may_exceed_63_bits() {
    outline_of(
        "bare-object-and-large-seed",
        "A bare object is a map; a seed is unsigned.",
    );
    let value = json!({
        "timings": { "load": 0.5, "steps": [1, 2], "deep": { "a": null } },
        "seed": 15_860_307_465_884_635_512_u64,
        "scores": { "a": 0.5 },
        "anything": [true, -3],
        "offset": -4,
    });
    assert_eq!(
        ask("bare-object-and-large-seed", "PaintOutput", value.clone()).again(),
        value
    );
}

#[test]
fn overlapping_alternatives_lose_no_field() {
    outline_of("overlapping-unions", "Alternatives that overlap.");
    for value in [
        json!({ "source": { "url": "u", "seconds": 3.5 } }),
        json!({ "source": { "url": "u", "name": "n" } }),
        json!({ "amount": 2.5 }),
        json!({ "amount": "much" }),
        json!({ "event": { "type": "stop", "at": 1.5 } }),
        json!({ "event": { "type": "start", "at": 1.5 } }),
        json!({ "content": "text" }),
        json!({ "content": [{ "type": "text", "text": "hi" }] }),
        json!({ "ratio": "16:9" }),
        json!({ "ratio": "17:9" }),
    ] {
        assert_eq!(
            ask("overlapping-unions", "PaintInput", value.clone()).again(),
            value
        );
    }
    let refusal = ask("overlapping-unions", "PaintInput", json!({ "source": {} })).refusal();
    assert_eq!(
        refusal,
        "source: not an object with `url`: missing field `url`; not an object with `url`: missing \
         field `url` at line 1 column 13"
    );
}

#[test]
fn odd_values_become_variants_that_differ() {
    outline_of(
        "odd-values",
        "Values that start with a digit, collide, are empty or not ASCII.",
    );
    for value in [
        json!({ "voice": "c++", "aspect_ratio": "9:16", "fps": -1 }),
        json!({ "voice": "" }),
        json!({ "voice": "Hope " }),
        json!({ "voice": "明" }),
        json!({ "level": "high", "either": "a", "mixed": 1 }),
    ] {
        assert_eq!(
            ask("odd-values", "PaintInput", value.clone()).again(),
            value
        );
    }
    let refusal = ask("odd-values", "PaintInput", json!({ "fps": 25 })).refusal();
    assert!(
        refusal.contains("unknown value `25`, expected one of `24`, `30`, `-1`"),
        "{refusal}"
    );
}

#[test]
fn reserved_words_and_odd_names_keep_their_spelling_on_the_wire() {
    outline_of("reserved-words", "Names that Rust cannot take as they are.");
    let value = json!({
        "type": "t", "loop": true, "box": "b", "self": "s", "3d": false, "camelCase": "1",
        "camel_case": "2", "a-b": "c", "String": "x",
    });
    assert_eq!(
        ask("reserved-words", "PaintInput", value.clone()).again(),
        value
    );
}

#[test]
fn both_spellings_of_one_thing_give_the_same_types() {
    outline_of(
        "spellings-of-june",
        "References with siblings, unions with null.",
    );
    let outline = |fixture: &str| {
        &FIXTURES
            .get(fixture)
            .unwrap()
            .outcome
            .as_ref()
            .unwrap()
            .outline
    };
    assert_eq!(
        outline("spellings-of-january"),
        outline("spellings-of-june")
    );
}

#[test]
fn a_recursive_type_is_boxed() {
    outline_of("recursion", "A type that holds itself.");
    let value = json!({ "root": { "mask": { "opacity": 0.5 }, "children": [{}] } });
    assert_eq!(ask("recursion", "PaintInput", value.clone()).again(), value);
    let deep = json!({ "root": { "mask": { "children": [{ "opacity": 2 }] } } });
    assert_eq!(
        ask("recursion", "PaintInput", deep).violations(),
        ["root.mask.children[0].opacity is 2, but must be between 0 and 1"]
    );
}

#[test]
fn lists_and_maps_of_every_kind() {
    outline_of(
        "lists-and-maps",
        "Nested lists, tuples, null items, open objects.",
    );
    let value = json!({
        "grid": [[1.5], []], "span": [0.5, 1.5], "pair": [1, "a"], "plain": [null],
        "points": [1, null], "palette": [{ "hex": "#fff" }],
    });
    assert_eq!(
        ask("lists-and-maps", "PaintInput", value.clone()).again(),
        value
    );
    let more = json!({ "text": "t", "extra": { "kept": true } });
    assert_eq!(
        ask("lists-and-maps", "PaintOutput", more.clone()).again(),
        more
    );
}

#[test]
fn descriptions_become_docs_that_rustdoc_takes() {
    let code = code_of("descriptions");
    let docs: Vec<&str> = code
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("///"))
        .collect();
    snapshot(
        "codegen-trap-descriptions",
        "Docs made from odd descriptions.",
        &docs.join("\n"),
    );
}

#[test]
fn an_output_without_a_type_is_any_value() {
    outline_of("untyped-output", "An output about which nothing is said.");
    let value = json!({ "text": ["anything"] });
    assert_eq!(
        ask("untyped-output", "PaintOutput", value.clone()).again(),
        value
    );
}

#[test]
fn a_broken_document_is_refused_with_place_and_reason() {
    assert_eq!(
        fault_of("missing-component"),
        "components.schemas.PaintInput.properties.track.items: refers to the component \
         `TrackPoint`, which the document lacks"
    );
    assert_eq!(
        fault_of("numbered-items"),
        "components.schemas.PaintInput.properties.span.items: numbered keys stand where a schema \
         must be; a list of schemas was meant"
    );
    assert_eq!(
        fault_of("listing-error"),
        "error: fal's listing gave an error (`expansion_failed`) in place of a schema"
    );
}

#[test]
fn no_fixture_is_left_without_a_use() {
    let source = include_str!("traps.rs");
    for name in FIXTURES.keys() {
        assert!(
            source.contains(&format!("\"{name}\"")),
            "no test uses {name}.json"
        );
    }
    assert_eq!(options().command, "cargo xtask codegen");
}
