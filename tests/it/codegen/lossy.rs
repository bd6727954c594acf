//! Lossy decoding of results: pictures are never hidden by the fields beside them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde::Deserialize;
use serde_json::{Value, json};
use uso_types::{Unreadable, UsoOutput, from_value_lossy};

fn output(value: Value) -> (UsoOutput, Vec<String>) {
    let (output, left_out) = UsoOutput::from_value_lossy(value).unwrap();
    (output, messages(&left_out))
}

fn messages(left_out: &[Unreadable]) -> Vec<String> {
    left_out.iter().map(ToString::to_string).collect()
}

fn urls(output: &UsoOutput) -> Vec<&str> {
    let images = output.images.iter().flatten();
    images.map(|image| image.url.as_str()).collect()
}

#[test]
fn an_odd_field_beside_the_pictures_counts_as_absent_and_is_reported() {
    let odd = [
        ("seed", json!(-1), "seed: -1 does not fit the schema"),
        ("seed", json!(1e30), "seed: 1e+30 does not fit the schema"),
        ("seed", json!("123"), "seed: a text does not fit the schema"),
        (
            "seed",
            serde_json::from_str("1180591620717411303424").unwrap(),
            "seed: 1.1805916207174113e+21 does not fit the schema",
        ),
        ("seed", json!(1.5), "seed: 1.5 does not fit the schema"),
        (
            "prompt",
            json!(["a"]),
            "prompt: a list does not fit the schema",
        ),
        (
            "timings",
            json!([1]),
            "timings: a list does not fit the schema",
        ),
        (
            "timings",
            json!("soon"),
            "timings: a text does not fit the schema",
        ),
        (
            "has_nsfw_concepts",
            json!("no"),
            "has_nsfw_concepts: not a list",
        ),
        (
            "has_nsfw_concepts",
            json!(true),
            "has_nsfw_concepts: not a list",
        ),
        (
            "has_nsfw_concepts",
            json!({}),
            "has_nsfw_concepts: not a list",
        ),
    ];
    for (name, value, message) in odd {
        let mut body = json!({ "images": [{ "url": "a" }, { "url": "b" }] });
        body[name] = value;
        let (output, left_out) = output(body);
        assert_eq!(urls(&output), ["a", "b"]);
        assert_eq!(left_out, [message]);
        let mut written = serde_json::to_value(&output).unwrap();
        let others = written.as_object_mut().unwrap();
        others.remove("images");
        assert!(others.is_empty(), "{name} is absent: {others:?}");
    }
}

#[test]
fn an_odd_field_of_a_picture_leaves_the_picture() {
    let (read, left_out) = output(json!({ "images": [{
        "url": "a", "width": 8.0, "height": -8, "file_size": "4 MB", "content_type": 5,
        "file_name": { "a": 1 },
    }] }));
    let image = &read.images.unwrap()[0];
    assert_eq!(
        (image.width, image.height, image.file_size),
        (Some(8), None, None)
    );
    assert_eq!((&image.content_type, &image.file_name), (&None, &None));
    let expected = [
        "images[0].content_type: 5 does not fit the schema",
        "images[0].file_name: an object does not fit the schema",
        "images[0].file_size: a text does not fit the schema",
        "images[0].height: -8 does not fit the schema",
    ];
    assert_eq!(
        left_out, expected,
        "a whole width with a fraction is no fault"
    );
}

#[test]
fn each_picture_stands_alone_and_keeps_its_own_flag() {
    let (read, left_out) = output(json!({
        "images": [{ "width": 1 }, { "url": "b" }, null, ["c"], { "url": null }, { "url": "f" }],
        "has_nsfw_concepts": [true, false, true, true, true, true],
    }));
    assert_eq!(urls(&read), ["b", "f"]);
    assert_eq!(read.has_nsfw_concepts, Some(vec![false, true]));
    let expected = [
        "images[0]: missing field `url`",
        "images[2]: null does not fit the schema",
        "images[3]: a list does not fit the schema",
        "images[4]: missing field `url`",
    ];
    assert_eq!(left_out, expected);
}

#[test]
fn a_picture_without_its_list_or_its_object_is_read() {
    let url = "https://v3.fal.media/a.png";
    for images in [
        json!([url]),
        json!(url),
        json!({ "url": url }),
        json!([{ "url": url }]),
    ] {
        let body = json!({ "images": images, "has_nsfw_concepts": [true] });
        let (read, left_out) = output(body);
        assert_eq!(urls(&read), [url], "{images}");
        assert_eq!(read.has_nsfw_concepts, Some(vec![true]), "{images}");
        assert!(left_out.is_empty(), "{images}: {left_out:?}");
    }
    for (images, message) in [
        (json!("none"), "images[0]: a text does not fit the schema"),
        (json!({}), "images[0]: missing field `url`"),
        (json!(5), "images: not a list"),
    ] {
        let (read, left_out) = output(json!({ "images": images }));
        assert!(urls(&read).is_empty(), "{images}");
        assert_eq!(left_out, [message]);
    }
}

#[test]
fn an_entry_that_is_no_truth_value_leaves_the_flags_of_the_others() {
    let (read, left_out) = output(json!({
        "images": [{ "url": "a" }, { "url": "b" }],
        "has_nsfw_concepts": ["maybe", true],
    }));
    assert_eq!(read.has_nsfw_concepts, Some(vec![false, true]));
    assert_eq!(left_out, ["has_nsfw_concepts[0]: not a truth value"]);
}

#[test]
fn a_value_that_is_no_object_is_refused() {
    for value in [json!(null), json!([]), json!("x"), json!(5)] {
        let refusal = UsoOutput::from_value_lossy(value).unwrap_err();
        assert_eq!(refusal.path(), "");
        assert!(
            refusal.reason().ends_with("does not fit the schema"),
            "{refusal}"
        );
    }
}

#[test]
fn no_text_of_the_value_is_repeated_in_a_report() {
    let secret = "a prompt of somewhat private nature";
    let (_, left_out) = output(json!({
        "images": [secret, { "url": [secret] }, { "url": "a", "width": secret }],
        "has_nsfw_concepts": [true, true, secret], "seed": secret, "timings": secret, "prompt": { "a": secret },
    }));
    assert_eq!(left_out.len(), 7);
    assert!(
        left_out.iter().all(|message| !message.contains("private")),
        "{left_out:?}"
    );
}

#[derive(Debug, Deserialize, PartialEq)]
struct Scene {
    layers: Option<Vec<Layer>>,
    matrix: Option<Vec<Vec<f64>>>,
    camera: Option<Layer>,
    named: Option<BTreeMap<String, Layer>>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Layer {
    id: u64,
    parts: Option<Vec<Layer>>,
}

fn layer(id: u64) -> Layer {
    Layer { id, parts: None }
}

#[test]
fn the_smallest_part_that_can_be_absent_is_left_out_of_any_value() {
    let (scene, left_out) = from_value_lossy::<Scene>(json!({
        "layers": [
            { "id": 1, "parts": [{ "id": "x" }, { "id": 2 }, {}] }, { "id": -3 }, { "id": 4.0 }, {},
        ],
        "matrix": [[1, 2], [3, "4"]],
        "camera": { "parts": [] },
        "named": { "a": { "id": 5 }, "b": 6 },
    }))
    .unwrap();
    let parts = Some(vec![layer(2)]);
    assert_eq!(scene.layers, Some(vec![Layer { id: 1, parts }, layer(4)]));
    assert_eq!(
        (scene.matrix, scene.camera),
        (None, None),
        "numbers keep their places or go"
    );
    assert_eq!(
        scene.named.unwrap(),
        BTreeMap::from([("a".to_owned(), layer(5))])
    );
    let expected = [
        "camera: missing field `id`",
        "layers[0].parts[0].id: a text does not fit the schema",
        "layers[0].parts[0]: missing field `id`",
        "layers[0].parts[2]: missing field `id`",
        "layers[1].id: -3 does not fit the schema",
        "layers[1]: missing field `id`",
        "layers[3]: missing field `id`",
        "matrix[1][1]: a text does not fit the schema",
        "named.b: 6 does not fit the schema",
    ];
    assert_eq!(messages(&left_out), expected);
}

#[test]
fn a_value_with_more_unreadable_parts_than_any_honest_one_is_refused_soon() {
    let layers: Vec<Value> = (0..100_000).map(|_| json!({})).collect();
    let refusal = from_value_lossy::<Scene>(json!({ "layers": layers })).unwrap_err();
    assert_eq!(refusal.to_string(), "layers[0]: missing field `id`");
    let (read, left_out) = output(json!({ "images": layers, "seed": 7 }));
    assert_eq!((urls(&read).len(), read.seed), (0, Some(7)));
    // The first 64 one by one, and the number of the others.
    assert_eq!(left_out.len(), 65);
    let others = left_out.last().unwrap().to_string();
    assert_eq!(others, "99936 further parts cannot be read");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("url|width|seed|a", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

/// A field that is missing, as the schema has it, or seldom anything at all.
fn field(valid: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Option<Value>> {
    let present = prop_oneof![30 => valid.boxed(), 1 => any_json().boxed()];
    prop::option::weighted(0.8, present)
}

/// An object of these fields, where they are present.
fn object(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let present = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect())
}

fn any_picture() -> impl Strategy<Value = Value> {
    let number = || field(any::<u64>().prop_map(Value::from));
    let text = || field(".{0,8}".prop_map(Value::from));
    let fields = (".{1,8}", text(), text(), number(), number(), number());
    fields.prop_map(|(url, content_type, file_name, size, width, height)| {
        object([
            ("url", Some(json!(url))),
            ("content_type", content_type),
            ("file_name", file_name),
            ("file_size", size),
            ("width", width),
            ("height", height),
        ])
    })
}

/// A result in the shape of the schema, with few fields that are not.
fn any_output() -> impl Strategy<Value = Value> {
    let list = |item: BoxedStrategy<Value>| prop::collection::vec(item, 0..4).prop_map(Value::from);
    let timings = prop::collection::btree_map(".{0,4}", any_json(), 0..3);
    let fields = (
        field(list(any_picture().boxed())),
        field(any::<u64>().prop_map(Value::from)),
        field(list(any::<bool>().prop_map(Value::from).boxed())),
        field(".{0,8}".prop_map(Value::from)),
        field(timings.prop_map(Value::from_iter)),
        any_json(),
    );
    fields.prop_map(|(images, seed, flags, prompt, timings, unknown)| {
        object([
            ("images", images),
            ("seed", seed),
            ("has_nsfw_concepts", flags),
            ("prompt", prompt),
            ("timings", timings),
            ("unknown", Some(unknown)),
        ])
    })
}

proptest! {
    #[test]
    fn good_pictures_survive_anything_beside_them(
        others in prop::collection::vec(any_json(), 4),
        mut pictures in prop::collection::vec(any_json(), 0..4),
        place in any::<prop::sample::Index>(),
    ) {
        let place = place.index(pictures.len() + 1);
        pictures.insert(place, json!({ "url": "the good one", "width": others[3] }));
        let body = json!({
            "images": pictures, "seed": others[0], "timings": others[1],
            "has_nsfw_concepts": others[2], "prompt": others[3], "unknown": others[0],
        });
        let (output, _) = UsoOutput::from_value_lossy(body).unwrap();
        prop_assert!(urls(&output).contains(&"the good one"));
    }

    #[test]
    fn what_strict_decoding_takes_lossy_decoding_takes_whole(body in any_output()) {
        if let Ok(strict) = serde_json::from_value::<UsoOutput>(body.clone()) {
            prop_assert_eq!(UsoOutput::from_value_lossy(body), Ok((strict, Vec::new())));
        }
    }
}

#[test]
fn the_outputs_that_are_drawn_are_often_right_with_pictures_and_often_wrong() {
    let mut runner = TestRunner::deterministic();
    let (mut with_pictures, mut wrong) = (0, 0);
    for _ in 0..256 {
        let body = any_output().new_tree(&mut runner).unwrap().current();
        match serde_json::from_value::<UsoOutput>(body) {
            Ok(output) => with_pictures += usize::from(!urls(&output).is_empty()),
            Err(_) => wrong += 1,
        }
    }
    assert!(with_pictures > 50 && wrong > 50, "{with_pictures}, {wrong}");
}
