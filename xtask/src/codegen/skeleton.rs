//! Fourth step: Rust types of the fields, by typify.
//!
//! typify gets neutral names and no defaults, bounds or optional fields, which it handles badly. It
//! decides on lists, maps, integer widths and the boxes of recursive types. The names are restored
//! right after.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use schemars08::schema::Schema;
use serde_json::{Value, json};
use syn::visit_mut::{self, VisitMut};
use syn::{Item, Type};
use typify::{TypeSpace, TypeSpaceSettings};

use super::load::Fault;
use super::model::{Definition, Kind, Model, Node};

/// The Rust types of a definition's parts.
#[derive(Clone, Debug, Default)]
pub struct Skeleton {
    /// One type for each field or alternative, in order; the last one is that of additional
    /// entries, where a struct has them.
    pub parts: Vec<Type>,
}

/// Selects the types of every definition with typify.
pub fn skeletons(model: &Model) -> Result<BTreeMap<String, Skeleton>, Fault> {
    let names: Vec<&str> = model.ordered().map(|(name, _)| name).collect();
    let schemas = names
        .iter()
        .filter_map(|name| Some(lower(model.definitions.get(*name)?, &names)))
        .collect::<Vec<_>>();
    let file = run(&schemas).map_err(|reason| {
        // The panic names no definition: run typify on each definition alone.
        let culprit = schemas.iter().zip(&names).find(|(schema, _)| {
            let alone: Vec<Value> = schemas
                .iter()
                .map(|other| {
                    if other == *schema {
                        other.clone()
                    } else {
                        stub()
                    }
                })
                .collect();
            run(&alone).is_err()
        });
        let place = culprit.map_or(String::new(), |(_, name)| format!("definitions.{name}"));
        Fault::new(place, format!("typify failed: {reason}"))
    })?;

    let mut skeletons = BTreeMap::new();
    for item in file.items {
        let Item::Struct(mut item) = item else {
            continue;
        };
        let Some(name) = named(&item.ident.to_string(), &names) else {
            continue;
        };
        Restore { names: &names }.visit_item_struct_mut(&mut item);
        let mut parts: Vec<(usize, Type)> = Vec::new();
        for field in item.fields {
            let index = field.ident.as_ref().map(ToString::to_string);
            let index = index
                .as_deref()
                .and_then(|ident| ident.strip_prefix("part_"));
            if let Some(index) = index.and_then(|index| index.parse().ok()) {
                parts.push((index, field.ty));
            }
        }
        parts.sort_by_key(|(index, _)| *index);
        let parts = parts.into_iter().map(|(_, ty)| ty).collect();
        skeletons.insert(name.to_owned(), Skeleton { parts });
    }
    Ok(skeletons)
}

/// Every definition becomes a struct with one field a part, so that typify writes no unions,
/// enumerations or options.
fn lower(definition: &Definition, names: &[&str]) -> Value {
    let mut parts: Vec<Value> = match definition.kind() {
        Kind::Object => definition
            .fields()
            .map(|(_, field)| shape(field, names))
            .collect(),
        Kind::Union(alternatives) => alternatives
            .iter()
            .map(|alternative| shape(alternative, names))
            .collect(),
        Kind::Enum(_) => Vec::new(),
        Kind::Alias => vec![shape(&definition.node, names)],
    };
    if let (Kind::Object, Some(entries)) = (definition.kind(), &definition.node.entries) {
        parts.push(json!({ "type": "object", "additionalProperties": item(entries, names) }));
    }
    let names: Vec<String> = (0..parts.len())
        .map(|index| format!("part_{index}"))
        .collect();
    let parts: serde_json::Map<_, _> = names.iter().cloned().zip(parts).collect();
    json!({ "type": "object", "properties": parts, "required": names })
}

fn shape(node: &Node, names: &[&str]) -> Value {
    if let Some(reference) = &node.reference {
        let index = names
            .iter()
            .position(|name| name == reference)
            .unwrap_or(names.len());
        return json!({ "$ref": format!("#/definitions/Type{index}") });
    }
    match node.kind.as_deref() {
        Some("array") => {
            json!({ "type": "array", "items": node.items.as_deref().map_or(json!({}), |inner| item(inner, names)) })
        }
        Some("object") => json!({
            "type": "object",
            "additionalProperties": node.entries.as_deref().map_or(json!({}), |inner| item(inner, names)),
        }),
        Some("integer") => json!({ "type": "integer", "format": node.format }),
        Some("number") => json!({ "type": "number", "format": "double" }),
        Some(kind) => json!({ "type": kind }),
        None => json!({}),
    }
}

/// An item that may be null stays optional: unlike a field, an item cannot be absent.
fn item(node: &Node, names: &[&str]) -> Value {
    let shape = shape(node, names);
    if node.nullable {
        json!({ "oneOf": [shape, { "type": "null" }] })
    } else {
        shape
    }
}

fn stub() -> Value {
    json!({ "type": "object", "properties": {} })
}

fn run(schemas: &[Value]) -> Result<syn::File, String> {
    let definitions: Result<Vec<(String, Schema)>, _> = schemas
        .iter()
        .enumerate()
        .map(|(index, schema)| {
            Ok((
                format!("Type{index}"),
                serde_json::from_value(schema.clone())?,
            ))
        })
        .collect();
    let definitions = definitions.map_err(|error: serde_json::Error| error.to_string())?;
    let tokens = catch_unwind(AssertUnwindSafe(|| {
        let mut settings = TypeSpaceSettings::default();
        settings.with_map_type("::std::collections::BTreeMap");
        let mut space = TypeSpace::new(&settings);
        space.add_ref_types(definitions)?;
        Ok(space.to_stream())
    }));
    match tokens {
        Ok(Ok(tokens)) => syn::parse2(tokens).map_err(|error| error.to_string()),
        Ok(Err(error)) => {
            let error: typify::Error = error;
            Err(error.to_string())
        }
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "typify panicked".to_owned())),
    }
}

fn named<'a>(neutral: &str, names: &[&'a str]) -> Option<&'a str> {
    let index: usize = neutral.strip_prefix("Type")?.parse().ok()?;
    names.get(index).copied()
}

/// Restores the names and shortens the paths of well-known types.
struct Restore<'a> {
    names: &'a [&'a str],
}

impl VisitMut for Restore<'_> {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        visit_mut::visit_path_mut(self, path);
        let Some(mut last) = path.segments.last().cloned() else {
            return;
        };
        let ident = last.ident.to_string();
        if let Some(name) = named(&ident, self.names) {
            last.ident = syn::Ident::new(name, last.ident.span());
        } else if ident == "Value" {
            *path = syn::parse_quote!(serde_json::Value);
            return;
        } else if ident == "Map" {
            *path = syn::parse_quote!(BTreeMap<String, serde_json::Value>);
            return;
        }
        *path = last.into();
    }
}
