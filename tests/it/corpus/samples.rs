//! Values that a schema allows, and values just outside what it allows.

use serde_json::{Map, Number, Value, json};
use xtask::codegen::Model;
use xtask::codegen::model::{Definition, Kind, Node};

/// The smallest object that the schema allows.
pub(crate) fn sample_object(model: &Model, definition: &Definition) -> Map<String, Value> {
    definition
        .fields()
        .filter(|(wire, _)| definition.required.iter().any(|required| required == wire))
        .map(|(wire, field)| (wire.to_owned(), sample(model, field)))
        .collect()
}

/// The smallest value that a node allows.
pub(super) fn sample(model: &Model, node: &Node) -> Value {
    if let Some((_, target)) = model.target(node) {
        return match target.kind() {
            Kind::Object => Value::Object(sample_object(model, target)),
            Kind::Enum(values) => values.first().cloned().unwrap_or_default(),
            Kind::Union(shapes) => shapes
                .first()
                .map(|shape| sample(model, shape))
                .unwrap_or_default(),
            Kind::Alias => sample(model, &target.node),
        };
    }
    let limits = &node.limits;
    match node.kind.as_deref() {
        Some("boolean") => json!(true),
        Some("integer") => {
            let step = limits.multiple_of.as_ref().map(|step| json!(step));
            limits
                .minimum
                .as_ref()
                .map(|least| json!(least))
                .or(step)
                .unwrap_or(json!(1))
        }
        Some("number") => limits
            .minimum
            .as_ref()
            .map_or(json!(0.5), |least| json!(least)),
        Some("string") => json!("x".repeat(limits.min_length.unwrap_or(1) as usize)),
        Some("array") => {
            let item = node
                .items
                .as_deref()
                .map(|item| sample(model, item))
                .unwrap_or_default();
            Value::Array(vec![item; limits.min_items.unwrap_or(0) as usize])
        }
        Some("object") => json!({}),
        _ => json!("anything"),
    }
}

/// Values just outside the bounds of a field.
pub(super) fn outside(field: &Node) -> Vec<Value> {
    let limits = &field.limits;
    let mut values = Vec::new();
    let number = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_f64);
    match field.kind.as_deref() {
        Some("integer") => {
            let least = limits.minimum.as_ref().and_then(Number::as_i64);
            let most = limits.maximum.as_ref().and_then(Number::as_i64);
            values.extend(
                least
                    .and_then(|least| least.checked_sub(1))
                    .map(|value| json!(value)),
            );
            values.extend(
                most.and_then(|most| most.checked_add(1))
                    .map(|value| json!(value)),
            );
        }
        Some("number") => {
            values.extend(number(&limits.minimum).map(|least| json!(least - 0.5)));
            values.extend(number(&limits.maximum).map(|most| json!(most + 0.5)));
            values.extend(number(&limits.exclusive_minimum).map(|bound| json!(bound)));
            values.extend(number(&limits.exclusive_maximum).map(|bound| json!(bound)));
        }
        Some("string") => {
            let shorter = limits.min_length.and_then(|least| least.checked_sub(1));
            values.extend(shorter.map(|length| json!("x".repeat(length as usize))));
            let longer = limits.max_length.map(|most| most + 1);
            values.extend(longer.map(|length| json!("ü".repeat(length as usize))));
        }
        _ => {}
    }
    values
}
