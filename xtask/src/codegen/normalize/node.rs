//! A JSON object of a schema, and the reading of its keys.

use serde_json::{Map, Value};

/// An object's keys.
pub(super) type Node = Map<String, Value>;

/// The text under a key.
pub(super) fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key).and_then(Value::as_str)
}

/// Whether a key is there and true.
pub(super) fn truth(node: &Node, key: &str) -> bool {
    node.get(key).and_then(Value::as_bool).unwrap_or(false)
}
