//! Second step: which schemas of the document are the endpoint's input and output, and everything
//! that the two refer to. The rest of the frame (queue status, paths, security) is the protocol's
//! and not the endpoint's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::load::Fault;

/// Where components stand in a document.
pub const COMPONENTS: &str = "components.schemas";
const REFERENCE: &str = "#/components/schemas/";

/// The endpoint's part of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The endpoint's id, like `fal-ai/uso`, if the document says it.
    pub endpoint: Option<String>,
    /// The component that a request carries.
    pub input: Option<String>,
    /// The component that a result carries.
    pub output: Option<String>,
    /// Both, and every component that they refer to.
    pub components: BTreeMap<String, Component>,
}

/// A component, and whether requests or results contain it.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Whether a request can carry it.
    pub sent: bool,
    /// Whether a result can carry it.
    pub received: bool,
    /// Its schema.
    pub schema: Value,
}

/// Finds the endpoint's schemas.
pub fn select(document: &Value) -> Result<Selection, Fault> {
    let mut components: BTreeMap<String, Value> = document
        .pointer("/components/schemas")
        .and_then(Value::as_object)
        .ok_or_else(|| {
            Fault::new(
                "components.schemas",
                "the document has no component schemas",
            )
        })?
        .iter()
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();

    let (input, output) = match document.get("paths").and_then(Value::as_object) {
        Some(paths) if !paths.is_empty() => {
            let input = paths.iter().find_map(|(path, item)| {
                let schema = item.pointer("/post/requestBody/content/application~1json/schema")?;
                Some((format!("paths.{path}.post.requestBody"), schema))
            });
            let output = paths.iter().find_map(|(path, item)| {
                let schema = item.pointer("/get/responses/200/content/application~1json/schema")?;
                path.ends_with("/requests/{request_id}")
                    .then(|| (format!("paths.{path}.get.responses.200"), schema))
            });
            // A document without the queue's paths answers the request itself.
            let output = output.or_else(|| {
                paths.iter().find_map(|(path, item)| {
                    let schema =
                        item.pointer("/post/responses/200/content/application~1json/schema")?;
                    Some((format!("paths.{path}.post.responses.200"), schema))
                })
            });
            let mut root = |found: Option<(String, &Value)>, name: &str| {
                found.map(|(place, schema)| root_name(&mut components, &place, schema, name))
            };
            (
                root(input, "Input").transpose()?,
                root(output, "Output").transpose()?,
            )
        }
        _ => (
            by_name(&components, "Input"),
            by_name(&components, "Output"),
        ),
    };
    if input.is_none() && output.is_none() {
        return Err(Fault::new(
            "paths",
            "no path takes an input or gives an output",
        ));
    }

    let sent = reachable(&components, input.as_deref())?;
    let received = reachable(&components, output.as_deref())?;
    let selected = components
        .into_iter()
        .filter(|(name, _)| sent.contains(name) || received.contains(name))
        .map(|(name, schema)| {
            let component = Component {
                sent: sent.contains(&name),
                received: received.contains(&name),
                schema,
            };
            (name, component)
        })
        .collect();
    let endpoint = document
        .pointer("/info/x-fal-metadata/endpointId")
        .and_then(Value::as_str)
        .map(str::to_owned);
    Ok(Selection {
        endpoint,
        input,
        output,
        components: selected,
    })
}

/// The component that a reference names.
pub fn referenced(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(REFERENCE)
}

fn root_name(
    components: &mut BTreeMap<String, Value>,
    place: &str,
    schema: &Value,
    name: &str,
) -> Result<String, Fault> {
    match referenced(schema) {
        Some(target) if components.contains_key(target) => Ok(target.to_owned()),
        Some(target) => Err(missing(place, target)),
        None if components.contains_key(name) => Err(Fault::new(
            place,
            format!("an inline schema beside a component `{name}`"),
        )),
        None => {
            components.insert(name.to_owned(), schema.clone());
            Ok(name.to_owned())
        }
    }
}

/// A bare collection of components has no paths: the root is the component with the right ending
/// that nothing else refers to.
fn by_name(components: &BTreeMap<String, Value>, ending: &str) -> Option<String> {
    let mut referred = BTreeSet::new();
    for schema in components.values() {
        references("", schema, &mut |_, target| {
            referred.insert(target.to_owned());
        });
    }
    components
        .keys()
        .find(|name| name.ends_with(ending) && !referred.contains(*name))
        .cloned()
}

fn reachable(
    components: &BTreeMap<String, Value>,
    root: Option<&str>,
) -> Result<BTreeSet<String>, Fault> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<String> = root.map(str::to_owned).into_iter().collect();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let none = json!({});
        let schema = components.get(&name).unwrap_or(&none);
        let mut fault = None;
        references(
            &format!("{COMPONENTS}.{name}"),
            schema,
            &mut |place, target| {
                if components.contains_key(target) {
                    open.push(target.to_owned());
                } else {
                    fault.get_or_insert_with(|| missing(place, target));
                }
            },
        );
        if let Some(fault) = fault {
            return Err(fault);
        }
    }
    Ok(seen)
}

fn missing(place: &str, target: &str) -> Fault {
    Fault::new(
        place,
        format!("refers to the component `{target}`, which the document lacks"),
    )
}

/// Visits every reference below a schema, examples and defaults aside: those are data.
fn references(place: &str, schema: &Value, visit: &mut dyn FnMut(&str, &str)) {
    match schema {
        Value::Object(keys) => {
            if let Some(target) = referenced(schema) {
                visit(place, target);
            }
            for (key, value) in keys {
                match key.as_str() {
                    "default" | "example" | "examples" | "enum" | "const" | "discriminator" => {}
                    "properties" => {
                        for (name, property) in value.as_object().into_iter().flatten() {
                            references(&format!("{place}.properties.{name}"), property, visit);
                        }
                    }
                    _ => references(&format!("{place}.{key}"), value, visit),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                references(&format!("{place}.{index}"), item, visit);
            }
        }
        _ => {}
    }
}
