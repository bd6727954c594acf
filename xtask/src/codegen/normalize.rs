//! Third step, JSON to JSON: the many ways in which fal's documents say a thing become one.
//!
//! `simplify` gives every schema one spelling, `hoist` gives every shape that needs a Rust type a
//! name and a place of its own, `number` settles integer types and bounds. What comes out is still
//! JSON schema, with `x-` keys for what the schema language has no word for.

mod hoist;
mod number;
mod simplify;

use serde_json::{Map, Value};

use super::load::Fault;
use super::select::{COMPONENTS, Selection};

/// An object's keys.
type Node = Map<String, Value>;

/// Normalises the endpoint's part of a document.
pub fn normalize(selection: &Selection) -> Result<Value, Fault> {
    let mut components = std::collections::BTreeMap::new();
    for (name, component) in &selection.components {
        let place = format!("{COMPONENTS}.{name}");
        let node = simplify::schema(&place, &component.schema, &selection.components)?;
        components.insert(name.clone(), (node, component.sent, component.received));
    }
    hoist::hoist(selection, &components)
}

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key).and_then(Value::as_str)
}

fn truth(node: &Node, key: &str) -> bool {
    node.get(key).and_then(Value::as_bool).unwrap_or(false)
}
