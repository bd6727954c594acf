//! Third step, JSON to JSON: one spelling for the many that fal's documents use.
//!
//! `simplify` gives every schema one spelling, `hoist` gives every shape that needs a Rust type a
//! name and a place of its own, `number` settles integer types and bounds. What comes out is still
//! JSON schema, with `x-` keys for what the schema language has no word for.

mod hoist;
mod node;
mod number;
mod simplify;

use serde_json::Value;

use super::load::Fault;
use super::select::{COMPONENTS, Selection};

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
