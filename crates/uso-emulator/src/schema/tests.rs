use serde_json::{Value, json};

use super::{DOCUMENT, Schema};

fn problems(schema: &Schema, input: &Value) -> Vec<(String, String)> {
    match schema.validate(input) {
        Ok(_) => Vec::new(),
        Err(problems) => problems
            .iter()
            .map(|problem| {
                let loc: Vec<String> = problem
                    .loc
                    .iter()
                    .map(|step| {
                        step.as_str()
                            .map_or_else(|| step.to_string(), str::to_owned)
                    })
                    .collect();
                (problem.kind.to_owned(), loc.join("."))
            })
            .collect(),
    }
}

fn one(input: Value) -> Value {
    let mut whole = json!({ "input_image_urls": ["https://example.org/a.png"] });
    for (name, value) in input.as_object().unwrap() {
        whole[name] = value.clone();
    }
    whole
}

/// The same API in both spellings that were published: that an optional value may be null is left
/// out, or said as a union.
fn spellings() -> [String; 2] {
    let union = json!([{ "type": "integer" }, { "type": "null" }]);
    [json!({ "type": "integer" }), json!({ "anyOf": union })].map(|seed| {
        let mut document: Value = serde_json::from_str(DOCUMENT).unwrap();
        document["components"]["schemas"]["UsoInput"]["properties"]["seed"] = seed;
        document.to_string()
    })
}

#[test]
fn defaults_are_filled_in_and_values_are_coerced() {
    let schema = Schema::read(DOCUMENT).unwrap();
    let input = one(json!({ "num_images": "2", "keep_size": "yes", "guidance_scale": 7 }));
    let fields = schema.validate(&input).unwrap();
    assert_eq!(fields["num_images"], 2);
    assert_eq!(fields["keep_size"], true);
    assert_eq!(fields["num_inference_steps"], 28);
    assert_eq!(fields["image_size"], "square_hd");
    assert!(!fields.contains_key("seed"));
}

#[test]
fn every_problem_has_its_type_and_place() {
    for document in spellings() {
        let schema = Schema::read(&document).unwrap();
        for (input, expected) in [
            (
                json!({ "prompt": "x" }),
                vec![("missing", "body.input_image_urls")],
            ),
            (json!([]), vec![("model_attributes_type", "body")]),
            (
                one(json!({ "num_images": 9 })),
                vec![("less_than_equal", "body.num_images")],
            ),
            (
                one(json!({ "num_images": 0 })),
                vec![("greater_than_equal", "body.num_images")],
            ),
            (
                one(json!({ "num_images": 1.5 })),
                vec![("int_from_float", "body.num_images")],
            ),
            (
                one(json!({ "num_images": "x" })),
                vec![("int_parsing", "body.num_images")],
            ),
            (
                one(json!({ "num_images": null })),
                vec![("int_type", "body.num_images")],
            ),
            (
                one(json!({ "guidance_scale": 10.5 })),
                vec![("less_than_equal", "body.guidance_scale")],
            ),
            (
                one(json!({ "guidance_scale": "x" })),
                vec![("float_parsing", "body.guidance_scale")],
            ),
            (
                one(json!({ "keep_size": 3 })),
                vec![("bool_parsing", "body.keep_size")],
            ),
            (
                one(json!({ "prompt": 3 })),
                vec![("string_type", "body.prompt")],
            ),
            (
                one(json!({ "output_format": "gif" })),
                vec![("literal_error", "body.output_format")],
            ),
            (
                json!({ "input_image_urls": "x" }),
                vec![("list_type", "body.input_image_urls")],
            ),
            (
                json!({ "input_image_urls": [1] }),
                vec![("string_type", "body.input_image_urls.0")],
            ),
            (
                one(json!({ "seed": "x" })),
                vec![("int_parsing", "body.seed")],
            ),
            (one(json!({ "seed": null })), vec![]),
            (one(json!({ "seed": 15860307465884635512u64 })), vec![]),
            (one(json!({ "image_size": { "width": 5 } })), vec![]),
            (one(json!({ "unknown": 1 })), vec![]),
        ] {
            let expected: Vec<(String, String)> = expected
                .into_iter()
                .map(|(kind, place)| (kind.to_owned(), place.to_owned()))
                .collect();
            assert_eq!(problems(&schema, &input), expected, "{input}");
        }
    }
}

#[test]
fn a_union_reports_every_branch() {
    let schema = Schema::read(DOCUMENT).unwrap();
    let sizes = "body.image_size.literal['square_hd','square','portrait_4_3','portrait_16_9',\
                 'landscape_4_3','landscape_16_9']";
    assert_eq!(
        problems(&schema, &one(json!({ "image_size": "banana" }))),
        [
            (
                "model_attributes_type".to_owned(),
                "body.image_size.ImageSize".to_owned()
            ),
            ("literal_error".to_owned(), sizes.to_owned()),
        ]
    );
    let zero = problems(
        &schema,
        &one(json!({ "image_size": { "width": 0, "height": 99999 } })),
    );
    assert!(zero.contains(&(
        "greater_than".to_owned(),
        "body.image_size.ImageSize.width".to_owned()
    )));
    assert!(zero.contains(&(
        "less_than_equal".to_owned(),
        "body.image_size.ImageSize.height".to_owned()
    )));
}

#[test]
fn a_problem_names_the_limit() {
    let schema = Schema::read(DOCUMENT).unwrap();
    let found = schema
        .validate(&one(json!({ "num_inference_steps": 51 })))
        .unwrap_err();
    assert_eq!(
        found[0].json(),
        json!({
            "type": "less_than_equal",
            "loc": ["body", "num_inference_steps"],
            "msg": "Input should be less than or equal to 50",
            "input": 51,
            "ctx": { "le": 50 },
        })
    );
}
