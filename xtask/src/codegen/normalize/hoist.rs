//! Definitions: every shape that needs a Rust type gets a name and a definition.
//!
//! Components keep their names; a shape inside a property is named after the property, never after
//! its title. Components that are no type of their own (a plain text, a list) are put in place.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::node::{Node, text, truth};
use super::number;
use crate::codegen::load::Fault;
use crate::codegen::names;
use crate::codegen::select::{COMPONENTS, Selection};

type Components = BTreeMap<String, (Node, bool, bool)>;

/// Collects the definitions in the order in which a reader meets them.
pub(super) fn hoist(selection: &Selection, components: &Components) -> Result<Value, Fault> {
    let mut hoister = Hoister {
        components,
        names: component_names(components),
        taken: BTreeSet::new(),
        definitions: Node::new(),
        order: Vec::new(),
    };
    hoister.taken = hoister.names.values().cloned().collect();
    let mut normalized = Node::new();
    for (key, root) in [("input", &selection.input), ("output", &selection.output)] {
        if let Some(root) = root {
            hoister.component(root, true)?;
            normalized.insert(key.into(), json!(hoister.names.get(root)));
        }
    }
    normalized.insert("endpoint".into(), json!(selection.endpoint));
    normalized.insert("order".into(), json!(hoister.order));
    normalized.insert("definitions".into(), Value::Object(hoister.definitions));
    Ok(Value::Object(normalized))
}

/// The type name of every component that has one: without its namespace where that is clear.
fn component_names(components: &Components) -> BTreeMap<String, String> {
    let short = |component: &str| {
        names::without_namespace(component)
            .map(names::type_name)
            .unwrap_or_default()
    };
    let plain: Vec<String> = components
        .keys()
        .map(|name| names::type_name(name))
        .collect();
    let mut chosen = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for component in components.keys() {
        let brief = short(component);
        let rivals = components
            .keys()
            .filter(|other| short(other) == brief)
            .count();
        let mut name = if brief.is_empty() || rivals > 1 || plain.contains(&brief) {
            names::type_name(component)
        } else {
            brief
        };
        while !taken.insert(name.clone()) {
            name.push('_');
        }
        chosen.insert(component.clone(), name);
    }
    chosen
}

/// Whether a shape is a type of its own, or written out where it is used.
fn is_type(node: &Node) -> bool {
    node.contains_key("properties")
        || node.contains_key("enum")
        || node.contains_key("anyOf")
        || (text(node, "type") == Some("object") && !node.contains_key("additionalProperties"))
}

/// Where a shape was found: this is what it is named after.
struct Place<'a> {
    /// The type that owns the field.
    owner: &'a str,
    /// The field, in the singular inside a list.
    field: String,
    /// What a union adds to the names of its alternatives.
    suffix: &'static str,
    sent: bool,
    received: bool,
}

struct Hoister<'a> {
    components: &'a Components,
    names: BTreeMap<String, String>,
    taken: BTreeSet<String>,
    definitions: Node,
    order: Vec<String>,
}

impl Hoister<'_> {
    /// Defines a component, and returns what stands for it where it is used.
    fn component(&mut self, name: &str, root: bool) -> Result<Node, Fault> {
        let place = format!("{COMPONENTS}.{name}");
        let (node, sent, received) = self
            .components
            .get(name)
            .ok_or_else(|| Fault::new(&place, "is missing"))?;
        let type_name = self.names.get(name).cloned().unwrap_or_default();
        let reference = Node::from_iter([("$ref".to_owned(), json!(type_name))]);
        if self.definitions.contains_key(&type_name) {
            return Ok(reference);
        }
        if let Some(target) = text(node, "$ref").filter(|_| !root) {
            return self.component(target, false);
        }
        if !is_type(node) && !root {
            let mut node = node.clone();
            let place = Place {
                owner: &type_name,
                field: names::field_name(name),
                suffix: "",
                sent: *sent,
                received: *received,
            };
            self.inside(&mut node, &place)?;
            node.retain(|key, _| key != "description");
            return Ok(node);
        }
        self.define(&type_name, node.clone(), *sent, *received)?;
        Ok(reference)
    }

    fn define(
        &mut self,
        name: &str,
        mut node: Node,
        sent: bool,
        received: bool,
    ) -> Result<(), Fault> {
        self.order.push(name.to_owned());
        // Holds the place while the definition refers to itself.
        self.definitions.insert(name.to_owned(), json!({}));
        node.insert("x-sent".into(), json!(sent));
        node.insert("x-received".into(), json!(received));
        if let Some(values) = node.get("enum").and_then(Value::as_array) {
            let texts: Vec<String> = values.iter().map(plain_text).collect();
            let variants = names::variant_names(name, texts.iter().map(String::as_str));
            node.insert("x-names".into(), json!(variants));
        } else if node.contains_key("anyOf") {
            let field = name.strip_suffix("Choice").unwrap_or(name);
            let place = Place {
                owner: name,
                field: names::field_name(field),
                suffix: "",
                sent,
                received,
            };
            self.alternatives(&mut node, &place)?;
        } else if node.contains_key("properties") {
            self.properties(name, &mut node, sent, received)?;
        } else if text(&node, "type") != Some("object") || node.contains_key("additionalProperties")
        {
            let place = Place {
                owner: name,
                field: names::field_name(name),
                suffix: "Item",
                sent,
                received,
            };
            self.inside(&mut node, &place)?;
        }
        self.definitions
            .insert(name.to_owned(), Value::Object(node));
        Ok(())
    }

    fn properties(
        &mut self,
        owner: &str,
        node: &mut Node,
        sent: bool,
        received: bool,
    ) -> Result<(), Fault> {
        let order: Vec<String> = node
            .get("x-fal-order-properties")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        let mut taken = BTreeSet::from(["additional".to_owned()]);
        for property in order {
            let mut name = names::field_name(&property);
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            let slot = node
                .get_mut("properties")
                .and_then(|all| all.get_mut(&property));
            let Some(Value::Object(slot)) = slot else {
                continue;
            };
            let place = Place {
                owner,
                field: names::field_name(&property),
                suffix: "",
                sent,
                received,
            };
            self.inside(slot, &place)?;
            slot.insert("x-name".into(), json!(name));
        }
        if let Some(Value::Object(additional)) = node.get_mut("additionalProperties") {
            let field = "additional".to_owned();
            self.inside(
                additional,
                &Place {
                    owner,
                    field,
                    suffix: "",
                    sent,
                    received,
                },
            )?;
        }
        Ok(())
    }

    /// Replaces what needs a name inside a property, an item or an alternative.
    fn inside(&mut self, node: &mut Node, place: &Place<'_>) -> Result<(), Fault> {
        if let Some(target) = text(node, "$ref").map(str::to_owned) {
            node.remove("$ref");
            for (key, value) in self.component(&target, false)? {
                node.entry(key).or_insert(value);
            }
            return Ok(());
        }
        if is_type(node) {
            let mut definition = node.clone();
            for note in ["default", "examples", "nullable"] {
                definition.remove(note);
            }
            let name = self.name_of(&definition, place);
            if !self.definitions.contains_key(&name) {
                self.define(&name, definition, place.sent, place.received)?;
            } else {
                self.widen(&name, place);
            }
            node.retain(|key, _| {
                ["description", "default", "examples", "nullable"].contains(&key.as_str())
            });
            node.insert("$ref".into(), json!(name));
            return Ok(());
        }
        for key in ["items", "additionalProperties"] {
            if let Some(Value::Object(inner)) = node.get_mut(key) {
                let field = names::singular(&place.field);
                self.inside(inner, &Place { field, ..*place })?;
            }
        }
        if let Some("integer" | "number") = text(node, "type") {
            number::settle(node, &place.field);
        }
        Ok(())
    }

    /// Picks the names of a union's alternatives: `Preset` for listed values and `Custom` for the
    /// one other shape beside them, else the type's own name.
    fn alternatives(&mut self, node: &mut Node, place: &Place<'_>) -> Result<(), Fault> {
        let Some(Value::Array(alternatives)) = node.get_mut("anyOf") else {
            return Ok(());
        };
        let listed = alternatives
            .iter()
            .filter(|shape| shape.get("enum").is_some())
            .count();
        let preset = listed == 1 && alternatives.len() == 2;
        let mut taken = BTreeSet::new();
        for alternative in alternatives.iter_mut() {
            let Value::Object(shape) = alternative else {
                continue;
            };
            let is_enum = shape.contains_key("enum");
            let suffix = if is_enum { "Preset" } else { "Object" };
            self.inside(
                shape,
                &Place {
                    field: place.field.clone(),
                    suffix,
                    ..*place
                },
            )?;
            let mut name = match (preset, is_enum) {
                (true, true) => "Preset".to_owned(),
                (true, false) => "Custom".to_owned(),
                (false, _) => alternative_name(shape),
            };
            while !taken.insert(name.clone()) {
                name.push_str("Too");
            }
            shape.insert("x-name".into(), json!(name));
        }
        Ok(())
    }

    /// The same values or fields under the same name are one type, whichever way they travel.
    fn widen(&mut self, name: &str, place: &Place<'_>) {
        if let Some(Value::Object(known)) = self.definitions.get_mut(name) {
            for (key, now) in [("x-sent", place.sent), ("x-received", place.received)] {
                let before = truth(known, key);
                known.insert(key.into(), json!(before || now));
            }
        }
    }

    fn name_of(&self, definition: &Node, place: &Place<'_>) -> String {
        let suffix = if definition.contains_key("anyOf") {
            "Choice"
        } else {
            place.suffix
        };
        let stem = place
            .owner
            .strip_suffix("Input")
            .or(place.owner.strip_suffix("Output"));
        let short = names::type_name(&format!("{}_{suffix}", place.field));
        let long = names::type_name(&format!(
            "{}_{}_{suffix}",
            stem.unwrap_or(place.owner),
            place.field
        ));
        let mut numbered = (2..).map(|number| format!("{long}{number}"));
        let mut name = short;
        let mut tried_long = false;
        loop {
            let free = !self.taken.contains(&name) && !RESERVED.contains(&name.as_str());
            match self.definitions.get(&name) {
                Some(Value::Object(known)) if same_values(known, definition) => return name,
                None if free => return name,
                _ if !tried_long => {
                    tried_long = true;
                    name.clone_from(&long);
                }
                _ => name = numbered.next().unwrap_or_default(),
            }
        }
    }
}

/// Names that the generated file needs for itself.
const RESERVED: &[&str] = &[
    "Box",
    "BTreeMap",
    "Check",
    "Checker",
    "Default",
    "Deserialize",
    "Deserializer",
    "Display",
    "Err",
    "From",
    "FromStr",
    "None",
    "Ok",
    "Option",
    "Result",
    "Serialize",
    "Serializer",
    "Some",
    "String",
    "UnknownValue",
    "Vec",
    "Violation",
    "Violations",
];

fn same_values(known: &Node, definition: &Node) -> bool {
    known.contains_key("enum") && known.get("enum") == definition.get("enum")
}

fn alternative_name(shape: &Node) -> String {
    if let Some(name) = text(shape, "$ref") {
        return name.to_owned();
    }
    match text(shape, "type") {
        Some("string") => "Text",
        Some("integer") => "Integer",
        Some("number") => "Number",
        Some("boolean") => "Flag",
        Some("array") => "List",
        _ => "Map",
    }
    .to_owned()
}

fn plain_text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
