//! Rust type of a number, and its bounds in one spelling.

use serde_json::{Number, Value, json};

use super::node::{Node, text, truth};

/// Names of quantities that are never negative. Where the schema says nothing about the lower end,
/// an unsigned type is right for these: seeds exceed `i64`.
const COUNTED: &[&str] = &[
    "bytes", "channels", "count", "frames", "height", "length", "num", "seed", "size", "tokens",
    "width",
];

/// Rewrites the bounds of a number and gives an integer its `format`.
pub(super) fn settle(node: &mut Node, name: &str) {
    let integer = text(node, "type") == Some("integer");
    if integer {
        let least = bound(node, "minimum", "exclusiveMinimum", 1);
        let most = bound(node, "maximum", "exclusiveMaximum", -1);
        for key in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
            node.remove(key);
        }
        let format = integer_format(node, name, least, most);
        let (lowest, highest) = limits(format);
        // A bound that the type cannot pass, or cannot hold, is no bound.
        if let Some(least) = least.filter(|least| *least >= lowest && *least <= highest) {
            if let Ok(least) = u64::try_from(least) {
                node.insert("minimum".into(), json!(least));
            } else if let Ok(least) = i64::try_from(least) {
                node.insert("minimum".into(), json!(least));
            }
        }
        if let Some(most) = most.filter(|most| *most >= lowest && *most < highest) {
            if let Ok(most) = u64::try_from(most) {
                node.insert("maximum".into(), json!(most));
            } else if let Ok(most) = i64::try_from(most) {
                node.insert("maximum".into(), json!(most));
            }
        }
        node.insert("format".into(), json!(format));
    } else {
        for (key, exclusive) in [
            ("minimum", "exclusiveMinimum"),
            ("maximum", "exclusiveMaximum"),
        ] {
            // OpenAPI 3.0 writes `exclusiveMinimum: true` beside `minimum`.
            if truth(node, exclusive)
                && let Some(value) = node.remove(key)
            {
                node.insert(exclusive.into(), value);
            }
            if !node.get(exclusive).is_some_and(Value::is_number) {
                node.remove(exclusive);
            }
            let value = |key: &str| node.get(key).and_then(Value::as_f64);
            if let (Some(closed), Some(open)) = (value(key), value(exclusive)) {
                let open_is_tighter = if key == "minimum" {
                    open >= closed
                } else {
                    open <= closed
                };
                node.remove(if open_is_tighter { key } else { exclusive });
            }
        }
    }
}

fn integer_format(
    node: &Node,
    name: &str,
    least: Option<i128>,
    most: Option<i128>,
) -> &'static str {
    let negative = |value: &Value| value.as_f64().is_some_and(|number| number < 0.0);
    let mut samples = node.get("default").into_iter().chain(
        node.get("examples")
            .and_then(Value::as_array)
            .into_iter()
            .flatten(),
    );
    let unsigned = match least {
        Some(least) => least >= 0,
        None => {
            most.is_none_or(|most| most > 0)
                && !samples.any(negative)
                && name.split('_').any(|word| COUNTED.contains(&word))
        }
    };
    match (unsigned, least, most) {
        (true, Some(_), Some(most)) if most <= i128::from(u32::MAX) => "uint32",
        (true, ..) => "uint64",
        (false, ..) => "int64",
    }
}

fn limits(format: &str) -> (i128, i128) {
    match format {
        "uint32" => (0, i128::from(u32::MAX)),
        "uint64" => (0, i128::from(u64::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    }
}

/// A bound as an inclusive whole number.
fn bound(node: &Node, inclusive: &str, exclusive: &str, step: i128) -> Option<i128> {
    let plain = node
        .get(inclusive)
        .and_then(Value::as_number)
        .and_then(|n| whole(n, step));
    match node.get(exclusive) {
        Some(Value::Bool(true)) => plain.map(|value| value + step),
        Some(Value::Number(number)) => {
            // Rounding moves a fraction past the bound already.
            let fraction = number.as_f64().is_some_and(|number| number.fract() != 0.0);
            let open = whole(number, step)? + if fraction { 0 } else { step };
            Some(match plain {
                Some(plain) if step > 0 => plain.max(open),
                Some(plain) => plain.min(open),
                None => open,
            })
        }
        _ => plain,
    }
}

fn whole(number: &Number, step: i128) -> Option<i128> {
    if let Some(whole) = number.as_i64() {
        return Some(i128::from(whole));
    }
    if let Some(whole) = number.as_u64() {
        return Some(i128::from(whole));
    }
    let float = number.as_f64()?;
    let rounded = if step > 0 {
        float.ceil()
    } else {
        float.floor()
    };
    // Beyond 64 bits there is nothing to check: no integer of ours gets there.
    (rounded.abs() < 1.8e19).then_some(rounded as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn settles(name: &str, node: Value, wanted: Value) {
        let mut node = node.as_object().cloned().unwrap();
        settle(&mut node, name);
        assert_eq!(Value::Object(node), wanted);
    }

    #[test]
    fn the_bounds_choose_the_integer() {
        settles(
            "steps",
            json!({ "type": "integer", "exclusiveMinimum": 0, "maximum": 50 }),
            json!({ "type": "integer", "minimum": 1, "maximum": 50, "format": "uint32" }),
        );
        settles(
            "steps",
            json!({ "type": "integer", "minimum": -1 }),
            json!({ "type": "integer", "minimum": -1, "format": "int64" }),
        );
        settles(
            "seed",
            json!({ "type": "integer" }),
            json!({ "type": "integer", "format": "uint64" }),
        );
        settles(
            "seed",
            json!({ "type": "integer", "default": -1 }),
            json!({ "type": "integer", "default": -1, "format": "int64" }),
        );
    }

    #[test]
    fn a_bound_beyond_64_bits_is_none() {
        settles(
            "seed",
            json!({ "type": "integer", "minimum": 0, "maximum": 1e30 }),
            json!({ "type": "integer", "minimum": 0, "format": "uint64" }),
        );
    }

    #[test]
    fn openapi_s_truth_value_becomes_a_number() {
        settles(
            "noise",
            json!({ "type": "number", "minimum": 0, "exclusiveMinimum": true }),
            json!({ "type": "number", "exclusiveMinimum": 0 }),
        );
    }

    #[test]
    fn of_two_bounds_the_tighter_one_holds() {
        settles(
            "noise",
            json!({ "type": "number", "minimum": 0, "exclusiveMinimum": 0.5 }),
            json!({ "type": "number", "exclusiveMinimum": 0.5 }),
        );
        settles(
            "noise",
            json!({ "type": "number", "maximum": 1, "exclusiveMaximum": 2 }),
            json!({ "type": "number", "maximum": 1 }),
        );
    }
}
