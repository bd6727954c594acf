//! The comparison: type by type, field by field.

use std::collections::BTreeMap;

use quote::ToTokens;
use serde_json::{Number, Value};

use super::change::{Change, Severity};
use crate::codegen::model::{Definition, Kind, Limits, Node};
use crate::codegen::skeleton::{Skeleton, skeletons};
use crate::codegen::{Document, Fault, Model, read};

/// What is compared of a document.
struct Side<'a> {
    document: &'a Document,
    model: Model,
    skeletons: BTreeMap<String, Skeleton>,
}

impl<'a> Side<'a> {
    fn new(document: &'a Document) -> Result<Self, (String, Fault)> {
        let blame = |fault| (document.name.clone(), fault);
        let model = read(document).map_err(blame)?;
        let skeletons = skeletons(&model).map_err(blame)?;
        Ok(Self {
            document,
            model,
            skeletons,
        })
    }

    /// The Rust type of a field, as callers see it.
    fn field_type(&self, owner: &str, wire: &str) -> Option<String> {
        let definition = self.model.definitions.get(owner)?;
        let index = definition.fields().position(|(name, _)| name == wire)?;
        let part = self.skeletons.get(owner)?.parts.get(index)?;
        let text = part.to_token_stream().to_string().replace(' ', "");
        let certain = definition.is_certain(wire, definition.field(wire)?);
        Some(if certain {
            text
        } else {
            format!("Option<{text}>")
        })
    }

    fn part_type(&self, owner: &str, index: usize) -> Option<String> {
        let part = self.skeletons.get(owner)?.parts.get(index)?;
        Some(part.to_token_stream().to_string().replace(' ', ""))
    }
}

/// Lists the changes from one document to another.
pub(super) fn compare(old: &Document, new: &Document) -> Result<Vec<Change>, (String, Fault)> {
    let mut comparison = Comparison {
        old: Side::new(old)?,
        new: Side::new(new)?,
        changes: Vec::new(),
    };
    comparison.frame();
    comparison.types();
    Ok(comparison.changes)
}

struct Comparison<'a> {
    old: Side<'a>,
    new: Side<'a>,
    changes: Vec<Change>,
}

impl Comparison<'_> {
    fn note(&mut self, severity: Severity, place: impl Into<String>, words: impl Into<String>) {
        self.changes.push(Change {
            severity,
            place: place.into(),
            words: words.into(),
        });
    }

    /// What stands around the types: the id, the addresses, the listing's own words.
    fn frame(&mut self) {
        if self.old.model.endpoint != self.new.model.endpoint {
            let id = |side: &Side<'_>| side.model.endpoint.clone().unwrap_or_default();
            let words = format!("was `{}`, is `{}`", id(&self.old), id(&self.new));
            self.note(Severity::Breaks, "The endpoint's id", words);
        }
        let (old, new) = (&self.old.document.value, &self.new.document.value);
        let keys = |document: &Value| -> Vec<String> {
            let paths = document.get("paths").and_then(Value::as_object);
            paths
                .into_iter()
                .flatten()
                .map(|(path, _)| path.clone())
                .collect()
        };
        let paths = (keys(old), keys(new));
        let servers = (old.get("servers").cloned(), new.get("servers").cloned());
        let metadata = |document: &Value| {
            document
                .pointer("/info/x-fal-metadata")
                .cloned()
                .unwrap_or_default()
        };
        let changed = changed_keys(&metadata(old), &metadata(new));
        if paths.0 != paths.1 {
            self.note(Severity::Breaks, "The paths", "are others");
        }
        if servers.0 != servers.1 {
            self.note(Severity::Breaks, "The servers", "are others");
        }
        for (key, words) in changed.into_iter().filter(|(key, _)| key != "endpointId") {
            self.note(
                Severity::Documentation,
                format!("The listing's `{key}`"),
                words,
            );
        }
    }

    fn types(&mut self) {
        let (old, new) = (self.old.model.clone(), self.new.model.clone());
        for name in old
            .order
            .iter()
            .filter(|name| !new.definitions.contains_key(*name))
        {
            self.note(Severity::Breaks, name, "is gone");
        }
        for name in new
            .order
            .iter()
            .filter(|name| !old.definitions.contains_key(*name))
        {
            self.note(Severity::Adds, name, "is a new type");
        }
        for (name, after) in new.ordered() {
            let Some(before) = old.definitions.get(name) else {
                continue;
            };
            self.notes(name, &before.node, &after.node);
            match (before.kind(), after.kind()) {
                (Kind::Object, Kind::Object) => self.object(name, before, after),
                (Kind::Enum(_), Kind::Enum(_)) => self.enumeration(name, before, after),
                (Kind::Union(_), Kind::Union(_)) => self.union(name, before, after),
                (Kind::Alias, Kind::Alias)
                    if self.old.part_type(name, 0) == self.new.part_type(name, 0) => {}
                _ => self.note(Severity::Breaks, name, "is a type of another kind"),
            }
            if before.received != after.received {
                let words = if after.received {
                    "now comes in answers too, so it may hold unlisted values"
                } else {
                    "no longer comes in answers"
                };
                self.note(Severity::Breaks, name, words);
            }
        }
    }

    fn object(&mut self, name: &str, before: &Definition, after: &Definition) {
        for (wire, _) in before
            .fields()
            .filter(|(wire, _)| after.field(wire).is_none())
        {
            self.note(Severity::Breaks, format!("{name}.{wire}"), "is gone");
        }
        for (wire, field) in after.fields() {
            let place = format!("{name}.{wire}");
            let Some(earlier) = before.field(wire) else {
                let needed = after.sent && after.is_certain(wire, field);
                let (severity, words) = if needed {
                    (Severity::Breaks, "is new, and a request must carry it")
                } else {
                    (Severity::Adds, "is a new field")
                };
                self.note(severity, place, words);
                continue;
            };
            let types = (
                self.old.field_type(name, wire),
                self.new.field_type(name, wire),
            );
            if let (Some(old), Some(new)) = &types
                && old != new
            {
                let words = format!("was of type `{old}`, is of type `{new}`");
                self.note(Severity::Breaks, &place, words);
            } else {
                self.harmless(&place, wire, (before, earlier), (after, field));
            }
            if earlier.name != field.name {
                self.note(Severity::Breaks, &place, "has another name in Rust");
            }
            if after.sent {
                self.limits(&place, earlier, field);
                self.default(&place, earlier, field);
            }
            self.notes(&place, earlier, field);
        }
        if before.node.entries.is_some() != after.node.entries.is_some() {
            let severity = if after.node.entries.is_some() {
                Severity::Adds
            } else {
                Severity::Breaks
            };
            let may = if after.node.entries.is_some() {
                "may now"
            } else {
                "may no longer"
            };
            self.note(
                severity,
                name,
                format!("{may} hold fields that the schema does not name"),
            );
        }
    }

    /// Changes of the schema that the types took into account from the start.
    fn harmless(
        &mut self,
        place: &str,
        wire: &str,
        (before, earlier): (&Definition, &Node),
        (after, field): (&Definition, &Node),
    ) {
        if earlier.nullable != field.nullable {
            let may = if field.nullable {
                "may now"
            } else {
                "may no longer"
            };
            let words = format!("{may} be null, which its type allows all along");
            self.note(Severity::Documentation, place, words);
        }
        let required =
            |definition: &Definition| definition.required.iter().any(|name| name == wire);
        if required(before) != required(after) {
            let is = if required(after) {
                "is now"
            } else {
                "is no longer"
            };
            let words = format!("{is} required, which its type leaves open all along");
            self.note(Severity::Documentation, place, words);
        }
    }

    fn enumeration(&mut self, name: &str, before: &Definition, after: &Definition) {
        let pairs = |definition: &Definition| -> BTreeMap<String, String> {
            let values = definition.values.iter().flatten();
            values
                .map(plain)
                .zip(definition.names.iter().cloned())
                .collect()
        };
        let (before, after) = (pairs(before), pairs(after));
        for (value, variant) in &before {
            match after.get(value) {
                None => self.note(Severity::Breaks, name, format!("no longer takes `{value}`")),
                Some(other) if other != variant => {
                    let words = format!("calls `{value}` no longer `{variant}` but `{other}`");
                    self.note(Severity::Breaks, name, words);
                }
                Some(_) => {}
            }
        }
        for value in after.keys().filter(|value| !before.contains_key(*value)) {
            self.note(
                Severity::Adds,
                name,
                format!("takes the new value `{value}`"),
            );
        }
    }

    fn union(&mut self, name: &str, before: &Definition, after: &Definition) {
        let shapes = |side: &Side<'_>, definition: &Definition| -> BTreeMap<String, String> {
            let shapes = definition.alternatives.iter().flatten().enumerate();
            shapes
                .map(|(index, shape)| {
                    let ty = side.part_type(name, index).unwrap_or_default();
                    (shape.name.clone().unwrap_or_default(), ty)
                })
                .collect()
        };
        let (before, after) = (shapes(&self.old, before), shapes(&self.new, after));
        for (variant, ty) in &before {
            if after.get(variant) != Some(ty) {
                self.note(
                    Severity::Breaks,
                    name,
                    format!("no longer takes `{variant}({ty})`"),
                );
            }
        }
        for (variant, ty) in &after {
            if before.get(variant) != Some(ty) {
                let words = format!("also takes `{variant}({ty})`, which a match must handle");
                self.note(Severity::Breaks, name, words);
            }
        }
    }

    fn limits(&mut self, place: &str, earlier: &Node, field: &Node) {
        let old = bounds(&earlier.limits);
        let new = bounds(&field.limits);
        for ((what, old, upper), (_, new, _)) in old.into_iter().zip(new) {
            let tighter = match (old, new) {
                (old, new) if old == new => continue,
                (Some(old), Some(new)) => (new < old) == upper,
                (None, _) => true,
                (_, None) => false,
            };
            let say =
                |bound: Option<f64>| bound.map_or("none".to_owned(), |bound| bound.to_string());
            let words = format!("has {what} {} in place of {}", say(new), say(old));
            let severity = if tighter {
                Severity::Breaks
            } else {
                Severity::Adds
            };
            self.note(severity, place, words);
        }
        let (old, new) = (step(&earlier.limits), step(&field.limits));
        if old != new {
            self.note(
                Severity::Breaks,
                place,
                "must be a multiple of another number",
            );
        }
        for (old, new) in [
            (&earlier.items, &field.items),
            (&earlier.entries, &field.entries),
        ] {
            if let (Some(old), Some(new)) = (old.as_deref(), new.as_deref()) {
                self.limits(&format!("{place}[]"), old, new);
            }
        }
    }

    fn default(&mut self, place: &str, earlier: &Node, field: &Node) {
        let say = |default: &Option<Value>| {
            default
                .as_ref()
                .map_or("nothing".to_owned(), |value| format!("`{value}`"))
        };
        if earlier.default != field.default {
            let words = format!(
                "is {} in place of {} when a request leaves it out",
                say(&field.default),
                say(&earlier.default)
            );
            self.note(Severity::Breaks, place, words);
        }
    }

    /// What is only said.
    fn notes(&mut self, place: &str, before: &Node, after: &Node) {
        if before.description.as_deref().map(str::trim)
            != after.description.as_deref().map(str::trim)
        {
            let quote = |text: &Option<String>| {
                text.as_deref()
                    .map_or("nothing".to_owned(), |text| format!("{:?}", text.trim()))
            };
            let words = format!(
                "is described as {}, was {}",
                quote(&after.description),
                quote(&before.description)
            );
            self.note(Severity::Documentation, place, words);
        }
        if before.examples != after.examples {
            self.note(Severity::Documentation, place, "has other examples");
        }
    }
}

/// Each bound with its name, and whether it is an upper one.
fn bounds(limits: &Limits) -> [(&'static str, Option<f64>, bool); 8] {
    let number = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_f64);
    let count = |bound: Option<u64>| bound.map(|bound| bound as f64);
    [
        ("the minimum", number(&limits.minimum), false),
        ("the maximum", number(&limits.maximum), true),
        (
            "the exclusive minimum",
            number(&limits.exclusive_minimum),
            false,
        ),
        (
            "the exclusive maximum",
            number(&limits.exclusive_maximum),
            true,
        ),
        ("the smallest length", count(limits.min_length), false),
        ("the largest length", count(limits.max_length), true),
        ("the fewest items", count(limits.min_items), false),
        ("the most items", count(limits.max_items), true),
    ]
}

fn step(limits: &Limits) -> Option<f64> {
    limits.multiple_of.as_ref().and_then(Number::as_f64)
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn changed_keys(old: &Value, new: &Value) -> Vec<(String, String)> {
    let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (old, new) = (entries(old), entries(new));
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter_map(|key| match (old.get(key), new.get(key)) {
            (Some(old), Some(new)) if old == new => None,
            (Some(_), None) => Some((key.clone(), "is gone".to_owned())),
            (None, Some(new)) => Some((key.clone(), format!("is new: {new}"))),
            (_, _) => Some((key.clone(), "is another".to_owned())),
        })
        .collect()
}
