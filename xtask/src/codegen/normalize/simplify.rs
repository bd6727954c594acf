//! One spelling for every schema.
//!
//! `nullable`, a type list and a union with null become `nullable`; `const` becomes a one-valued
//! `enum`; `allOf` and keys beside a reference are merged; a union of one is that one; what a
//! schema leaves unsaid about its type is read from the keys that it has.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::node::{Node, text, truth};
use crate::codegen::load::Fault;
use crate::codegen::select::{Component, referenced};

/// Keys that say something about a place and not about the shape that stands there.
const NOTES: &[&str] = &["description", "default", "examples"];

type Components = BTreeMap<String, Component>;

/// Simplifies a schema and everything below it.
pub(super) fn schema(place: &str, schema: &Value, all: &Components) -> Result<Node, Fault> {
    let source = match schema {
        Value::Object(source) => source,
        Value::Bool(true) => return Ok(Node::new()),
        _ => return Err(Fault::new(place, "a schema must be an object")),
    };
    if !source.is_empty() && source.keys().all(|key| key.parse::<u32>().is_ok()) {
        let reason = "numbered keys stand where a schema must be; a list of schemas was meant";
        return Err(Fault::new(place, reason));
    }

    let mut node = notes(source);
    if truth(source, "nullable") {
        node.insert("nullable".into(), json!(true));
    }
    if let Some(target) = referenced(schema) {
        node.insert("$ref".into(), json!(target));
        return Ok(node);
    }
    if let Some(parts) = source.get("allOf").and_then(Value::as_array) {
        return all_of(place, source, node, parts, all);
    }
    if let Some(values) = enumeration(source) {
        return Ok(enumerated(node, source, values));
    }
    let alternatives = ["anyOf", "oneOf"]
        .into_iter()
        .find_map(|key| Some((key, source.get(key)?.as_array()?)))
        .filter(|_| !source.contains_key("properties"));
    if let Some((key, alternatives)) = alternatives {
        return any_of(&format!("{place}.{key}"), node, alternatives, all);
    }
    if let Some(types) = source.get("type").and_then(Value::as_array) {
        let alternatives: Vec<Value> = types
            .iter()
            .map(|kind| {
                let mut alternative = source.clone();
                alternative.retain(|key, _| !NOTES.contains(&key.as_str()));
                alternative.insert("type".into(), kind.clone());
                Value::Object(alternative)
            })
            .collect();
        return any_of(place, node, &alternatives, all);
    }
    match kind(source) {
        Some("object") => object(place, source, &mut node, all)?,
        Some("array") => array(place, source, &mut node, all)?,
        Some("string") => copy(source, &mut node, "string", &["minLength", "maxLength"]),
        Some(number @ ("integer" | "number")) => {
            let bounds = [
                "minimum",
                "maximum",
                "exclusiveMinimum",
                "exclusiveMaximum",
                "multipleOf",
            ];
            copy(source, &mut node, number, &bounds);
        }
        Some("boolean") => copy(source, &mut node, "boolean", &[]),
        Some("null") => drop(node.insert("nullable".into(), json!(true))),
        Some(other) => return Err(Fault::new(place, format!("unknown type `{other}`"))),
        None => {}
    }
    Ok(node)
}

fn notes(source: &Node) -> Node {
    let mut node = Node::new();
    for key in NOTES {
        if let Some(value) = source.get(*key) {
            node.insert((*key).into(), value.clone());
        }
    }
    // Older documents spell a single example without the list.
    if let (None, Some(example)) = (node.get("examples"), source.get("example")) {
        node.insert("examples".into(), json!([example]));
    }
    if !node.get("examples").is_none_or(Value::is_array) {
        node.remove("examples");
    }
    node
}

fn copy(source: &Node, node: &mut Node, kind: &str, keys: &[&str]) {
    node.insert("type".into(), json!(kind));
    for key in keys {
        if let Some(value) = source.get(*key) {
            node.insert((*key).into(), value.clone());
        }
    }
}

fn kind(source: &Node) -> Option<&str> {
    text(source, "type").or_else(|| {
        let has = |keys: &[&str]| keys.iter().any(|key| source.contains_key(*key));
        if has(&["properties"]) {
            Some("object")
        } else if has(&["items", "prefixItems", "minItems", "maxItems"]) {
            Some("array")
        } else if has(&["minLength", "maxLength", "pattern"]) {
            Some("string")
        } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]) {
            Some("number")
        } else {
            None
        }
    })
}

/// The listed values, if there are any; `const` is a list of one.
fn enumeration(source: &Node) -> Option<Vec<Value>> {
    match source.get("enum").and_then(Value::as_array) {
        Some(values) => Some(values.clone()),
        None => source.get("const").map(|value| vec![value.clone()]),
    }
}

/// Texts are one enumeration, whole numbers another; of other values only the common type is kept.
fn enumerated(mut node: Node, source: &Node, values: Vec<Value>) -> Node {
    let mut listed: Vec<Value> = Vec::new();
    for value in values {
        if value.is_null() {
            node.insert("nullable".into(), json!(true));
        } else if !listed.contains(&value) {
            listed.push(value);
        }
    }
    if listed
        .iter()
        .all(|value| value.is_string() || value.is_i64())
    {
        let (texts, numbers): (Vec<Value>, Vec<Value>) =
            listed.into_iter().partition(Value::is_string);
        let mut shapes: Vec<Node> = [("string", texts), ("integer", numbers)]
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(kind, values)| {
                Node::from_iter([("type".into(), json!(kind)), ("enum".into(), json!(values))])
            })
            .collect();
        if shapes.len() == 1 {
            node.extend(shapes.remove(0));
        } else if !shapes.is_empty() {
            node.insert("anyOf".into(), json!(shapes));
        }
    } else if listed.iter().all(Value::is_number) {
        copy(source, &mut node, "number", &[]);
    } else if listed.iter().all(Value::is_boolean) {
        copy(source, &mut node, "boolean", &[]);
    }
    node
}

fn any_of(
    place: &str,
    mut node: Node,
    alternatives: &[Value],
    all: &Components,
) -> Result<Node, Fault> {
    let mut shapes: Vec<Node> = Vec::new();
    for (index, alternative) in alternatives.iter().enumerate() {
        let is_null = alternative.get("type").and_then(Value::as_str) == Some("null");
        let mut shape = schema(&format!("{place}.{index}"), alternative, all)?;
        if shape.remove("nullable").is_some() {
            node.insert("nullable".into(), json!(true));
        }
        if is_null {
            continue;
        }
        match shape.remove("anyOf") {
            Some(Value::Array(nested)) => {
                let nested = nested
                    .into_iter()
                    .filter_map(|value| value.as_object().cloned());
                nested.for_each(|shape| add(&mut shapes, shape));
            }
            _ => add(&mut shapes, shape),
        }
    }
    join_enumerations(&mut shapes);
    if shapes
        .iter()
        .any(|shape| kind(shape) == Some("number") && !shape.contains_key("enum"))
    {
        shapes.retain(|shape| kind(shape) != Some("integer") || shape.contains_key("enum"));
    }
    let untyped = |shape: &Node| shape.keys().all(|key| NOTES.contains(&key.as_str()));
    if shapes.iter().any(untyped) {
        return Ok(node);
    }
    if shapes.len() == 1 {
        for (key, value) in shapes.remove(0) {
            node.entry(key).or_insert(value);
        }
    } else if !shapes.is_empty() {
        node.insert(
            "anyOf".into(),
            shapes.into_iter().map(Value::Object).collect(),
        );
    }
    Ok(node)
}

/// Enumerations of one kind are one enumeration.
fn join_enumerations(shapes: &mut Vec<Node>) {
    let mut joined: Vec<Node> = Vec::new();
    for shape in shapes.drain(..) {
        let same_kind = |known: &&mut Node| {
            known.contains_key("enum") && known.get("type") == shape.get("type")
        };
        let known = joined
            .iter_mut()
            .find(same_kind)
            .filter(|_| shape.contains_key("enum"));
        match (
            known.and_then(|known| known.get_mut("enum")),
            shape.get("enum"),
        ) {
            (Some(Value::Array(values)), Some(Value::Array(more))) => {
                let fresh: Vec<_> = more
                    .iter()
                    .filter(|m| !values.contains(m))
                    .cloned()
                    .collect();
                values.extend(fresh);
            }
            _ => joined.push(shape),
        }
    }
    *shapes = joined;
}

/// Two alternatives that differ only in what they say are one.
fn add(shapes: &mut Vec<Node>, shape: Node) {
    let bare = |node: &Node| {
        let mut bare = node.clone();
        bare.retain(|key, _| !NOTES.contains(&key.as_str()));
        bare
    };
    if !shapes.iter().any(|known| bare(known) == bare(&shape)) {
        shapes.push(shape);
    }
}

fn all_of(
    place: &str,
    source: &Node,
    node: Node,
    parts: &[Value],
    all: &Components,
) -> Result<Node, Fault> {
    let mut rest = source.clone();
    rest.remove("allOf");
    rest.retain(|key, _| !NOTES.contains(&key.as_str()));
    let mut shapes = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        shapes.push(schema(&format!("{place}.allOf.{index}"), part, all)?);
    }
    if rest.contains_key("properties") {
        shapes.push(schema(place, &Value::Object(rest), all)?);
    }
    let mut merged = if shapes.len() == 1 {
        shapes.remove(0)
    } else {
        merge(place, shapes, all)?
    };
    merged.extend(node);
    Ok(merged)
}

/// Several objects that must all hold are one object with the fields of all.
fn merge(place: &str, shapes: Vec<Node>, all: &Components) -> Result<Node, Fault> {
    let mut merged = Node::from_iter([("type".to_owned(), json!("object"))]);
    for shape in shapes {
        let shape = match text(&shape, "$ref").and_then(|name| all.get(name)) {
            Some(component) => schema(place, &component.schema, all)?,
            None => shape,
        };
        if kind(&shape) != Some("object") {
            return Err(Fault::new(
                place,
                "`allOf` joins something that is not an object",
            ));
        }
        for (key, value) in shape {
            match (merged.get_mut(&key), value) {
                (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
                (Some(Value::Array(known)), Value::Array(more)) => {
                    let fresh: Vec<_> = more.into_iter().filter(|m| !known.contains(m)).collect();
                    known.extend(fresh);
                }
                (Some(_), _) => {}
                (None, value) => drop(merged.insert(key, value)),
            }
        }
    }
    Ok(merged)
}

fn object(place: &str, source: &Node, node: &mut Node, all: &Components) -> Result<(), Fault> {
    node.insert("type".into(), json!("object"));
    let properties = source.get("properties").and_then(Value::as_object);
    let properties = properties.filter(|properties| !properties.is_empty());
    let additional = match source.get("additionalProperties") {
        Some(Value::Bool(open)) => open.then(Node::new),
        Some(open) => Some(schema(&format!("{place}.additionalProperties"), open, all)?),
        // An object about which nothing is said holds anything.
        None => properties.is_none().then(Node::new),
    };
    if let Some(additional) = additional {
        node.insert("additionalProperties".into(), Value::Object(additional));
        if properties.is_none() {
            return Ok(());
        }
    }
    let mut simple = Node::new();
    for (name, property) in properties.into_iter().flatten() {
        let place = format!("{place}.properties.{name}");
        simple.insert(name.clone(), Value::Object(schema(&place, property, all)?));
    }
    let mut order: Vec<&str> = Vec::new();
    let given = source
        .get("x-fal-order-properties")
        .and_then(Value::as_array);
    let given = given.into_iter().flatten().filter_map(Value::as_str);
    // A document without an explicit order has none: the order of its keys is random.
    for name in given.chain(simple.keys().map(String::as_str)) {
        if simple.contains_key(name) && !order.contains(&name) {
            order.push(name);
        }
    }
    let required = source.get("required").and_then(Value::as_array);
    let required: Vec<&str> = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|name| simple.contains_key(*name))
        .collect();
    node.insert("x-fal-order-properties".into(), json!(order));
    node.insert("required".into(), json!(required));
    node.insert("properties".into(), Value::Object(simple));
    Ok(())
}

fn array(place: &str, source: &Node, node: &mut Node, all: &Components) -> Result<(), Fault> {
    copy(source, node, "array", &["minItems", "maxItems"]);
    let tuple = ["prefixItems", "items"]
        .into_iter()
        .find_map(|key| Some((key, source.get(key)?.as_array()?)));
    let items = match (tuple, source.get("items")) {
        (Some((key, parts)), _) => {
            let mut shapes = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                shapes.push(schema(&format!("{place}.{key}.{index}"), part, all)?);
            }
            // A tuple of equal parts is a list; any other is a list of anything.
            shapes.dedup();
            if shapes.len() == 1 {
                shapes.remove(0)
            } else {
                Node::new()
            }
        }
        (None, Some(items)) => schema(&format!("{place}.items"), items, all)?,
        (None, None) => Node::new(),
    };
    node.insert("items".into(), Value::Object(items));
    Ok(())
}
