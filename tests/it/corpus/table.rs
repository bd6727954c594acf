//! The shapes that make schemas hard, how to find them, and what becomes of each.

use serde_json::{Map, Value, json};

/// Whether a schema, at any depth, has a shape.
pub(super) type Holds = Box<dyn Fn(&Map<String, Value>) -> bool>;

/// Every shape with what becomes of it and how it is found.
pub(super) fn traps() -> Vec<(&'static str, (&'static str, Holds))> {
    fn has(key: &'static str, test: impl Fn(&Value) -> bool + 'static) -> Holds {
        Box::new(move |node| node.get(key).is_some_and(&test))
    }
    fn listed(test: impl Fn(&str) -> bool + 'static) -> Holds {
        has("enum", move |values| {
            values
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .any(&test)
        })
    }
    let null = |value: &Value| value.get("type").and_then(Value::as_str) == Some("null");
    let union = |test: fn(usize) -> bool| {
        has("anyOf", move |all| {
            all.as_array()
                .is_some_and(|all| test(all.iter().filter(|one| !null(one)).count()))
        })
    };
    vec![
        (
            "union with null",
            (
                "optional",
                has("anyOf", move |all| {
                    all.as_array().is_some_and(|all| all.iter().any(null))
                }),
            ),
        ),
        (
            "`nullable: true`",
            ("optional", has("nullable", |value| value == &json!(true))),
        ),
        (
            "reference with siblings",
            (
                "the reference, with the field's own docs and default",
                Box::new(|node| node.contains_key("$ref") && node.len() > 1),
            ),
        ),
        (
            "`allOf`",
            ("merged; of one, that one", has("allOf", Value::is_array)),
        ),
        (
            "union of several shapes",
            (
                "an enum whose error names field and shapes",
                union(|count| count > 1),
            ),
        ),
        (
            "`oneOf` with discriminator",
            ("the tag decides", has("discriminator", Value::is_object)),
        ),
        (
            "value that starts with a digit",
            (
                "named after its enum: `Ratio16_9`",
                listed(|value| value.starts_with(|first: char| first.is_ascii_digit())),
            ),
        ),
        (
            "value that is not ASCII",
            (
                "letters stay, symbols go",
                listed(|value| !value.is_ascii()),
            ),
        ),
        ("empty value", ("`Empty`", listed(str::is_empty))),
        (
            "enumeration of integers",
            (
                "an enum with `as_i64`",
                has("enum", |all| {
                    all.as_array()
                        .is_some_and(|all| all.iter().all(Value::is_i64))
                }),
            ),
        ),
        (
            "`const`",
            (
                "an enum of one, set by itself",
                Box::new(|node| node.contains_key("const")),
            ),
        ),
        (
            "numeric `exclusiveMinimum` or `exclusiveMaximum`",
            (
                "checked; for integers the next one",
                Box::new(|node| {
                    let numeric = |key| node.get(key).is_some_and(Value::is_number);
                    numeric("exclusiveMinimum") || numeric("exclusiveMaximum")
                }),
            ),
        ),
        (
            "bounds of numbers, texts and lists",
            (
                "constants, and checked",
                Box::new(|node| {
                    [
                        "minimum",
                        "maximum",
                        "minLength",
                        "maxLength",
                        "minItems",
                        "maxItems",
                    ]
                    .iter()
                    .any(|key| node.contains_key(*key))
                }),
            ),
        ),
        (
            "`multipleOf`",
            ("checked", has("multipleOf", Value::is_number)),
        ),
        (
            "`additionalProperties` as schema",
            ("a map", has("additionalProperties", Value::is_object)),
        ),
        (
            "`additionalProperties: true`",
            (
                "kept in a map",
                has("additionalProperties", |value| value == &json!(true)),
            ),
        ),
        (
            "bare object",
            (
                "a map of anything",
                Box::new(|node| {
                    node.get("type") == Some(&json!("object"))
                        && !node.contains_key("properties")
                        && !node.contains_key("additionalProperties")
                }),
            ),
        ),
        (
            "`prefixItems`",
            (
                "a list; of anything where its parts differ",
                has("prefixItems", Value::is_array),
            ),
        ),
        (
            "`items` with numbered keys",
            ("refused", has("items", |items| items.get("0").is_some())),
        ),
        (
            "object or list as default",
            (
                "in the docs; a list of plain values also as a constant",
                has("default", |value| match value {
                    Value::Object(entries) => !entries.is_empty(),
                    Value::Array(items) => !items.is_empty(),
                    _ => false,
                }),
            ),
        ),
    ]
}

/// Looks through a schema, its examples and defaults aside.
pub(super) fn any(schema: &Value, holds: &Holds) -> bool {
    match schema {
        Value::Object(node) => {
            holds(node)
                || node.iter().any(|(key, value)| {
                    !matches!(
                        key.as_str(),
                        "default" | "examples" | "enum" | "QueueStatus" | "paths"
                    ) && any(value, holds)
                })
        }
        Value::Array(items) => items.iter().any(|item| any(item, holds)),
        _ => false,
    }
}
