//! Model of the endpoint's types: the normalised schema as typed data.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use std::collections::BTreeMap;

use super::load::Fault;

/// The endpoint's types.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Model {
    /// The endpoint's id.
    pub endpoint: Option<String>,
    /// The type that a request carries.
    pub input: Option<String>,
    /// The type that a result carries.
    pub output: Option<String>,
    /// The order in which a reader meets the types.
    pub order: Vec<String>,
    /// The types by name.
    pub definitions: BTreeMap<String, Definition>,
}

/// One type.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Definition {
    /// Whether a request can carry it.
    #[serde(rename = "x-sent")]
    pub sent: bool,
    /// Whether a result can carry it.
    #[serde(rename = "x-received")]
    pub received: bool,
    /// The names of an object's fields in order, as in JSON.
    #[serde(default, rename = "x-fal-order-properties")]
    pub order: Vec<String>,
    /// An object's fields.
    pub properties: Option<BTreeMap<String, Node>>,
    /// The fields that must be there.
    #[serde(default)]
    pub required: Vec<String>,
    /// The values of an enumeration.
    #[serde(rename = "enum")]
    pub values: Option<Vec<Value>>,
    /// The names of these values.
    #[serde(default, rename = "x-names")]
    pub names: Vec<String>,
    /// The alternatives of a union.
    #[serde(rename = "anyOf")]
    pub alternatives: Option<Vec<Node>>,
    /// Everything that can also stand inside a field.
    #[serde(flatten)]
    pub node: Node,
}

/// The content of a field, an item or an alternative.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Node {
    /// The name of the type.
    #[serde(rename = "$ref")]
    pub reference: Option<String>,
    /// The JSON type, if the node is no reference; `None` allows every type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The Rust name of a field or an alternative.
    #[serde(rename = "x-name")]
    pub name: Option<String>,
    /// Whether the value may be null.
    #[serde(default)]
    pub nullable: bool,
    /// The schema's description.
    pub description: Option<String>,
    /// The service's default.
    pub default: Option<Value>,
    /// The schema's own examples.
    #[serde(default)]
    pub examples: Vec<Value>,
    /// `uint32`, `uint64` or `int64`.
    pub format: Option<String>,
    /// A list's items.
    pub items: Option<Box<Node>>,
    /// A map's values.
    #[serde(rename = "additionalProperties")]
    pub entries: Option<Box<Node>>,
    /// The bounds of its value.
    #[serde(flatten)]
    pub limits: Limits,
}

/// The bounds of a value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of JSON schema")]
pub struct Limits {
    pub minimum: Option<Number>,
    pub maximum: Option<Number>,
    pub exclusive_minimum: Option<Number>,
    pub exclusive_maximum: Option<Number>,
    pub multiple_of: Option<Number>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
}

/// The kind of Rust type that a definition becomes.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// A struct.
    Object,
    /// An enum of plain values.
    Enum(&'a [Value]),
    /// An enum of shapes.
    Union(&'a [Node]),
    /// A name for something else.
    Alias,
}

impl Model {
    /// Reads a normalised schema.
    pub fn read(normalized: &Value) -> Result<Self, Fault> {
        let mut model = Self::deserialize(normalized).map_err(|error| {
            Fault::new("", format!("a key of the schema is malformed: {error}"))
        })?;
        model.drop_unfit_defaults();
        Ok(model)
    }

    /// The definitions in the order in which a reader meets them.
    pub fn ordered(&self) -> impl Iterator<Item = (&str, &Definition)> {
        self.order.iter().filter_map(|name| {
            self.definitions
                .get_key_value(name)
                .map(|(name, found)| (name.as_str(), found))
        })
    }

    /// The definition that a node refers to.
    pub fn target(&self, node: &Node) -> Option<(&str, &Definition)> {
        let (name, definition) = self.definitions.get_key_value(node.reference.as_deref()?)?;
        Some((name, definition))
    }

    /// Whether a value has the shape that a node describes and lies within its bounds.
    pub fn fits(&self, node: &Node, value: &Value) -> bool {
        if value.is_null() {
            return node.nullable;
        }
        if let Some((_, definition)) = self.target(node) {
            return match definition.kind() {
                Kind::Enum(values) => values.contains(value),
                Kind::Union(alternatives) => {
                    alternatives.iter().any(|shape| self.fits(shape, value))
                }
                Kind::Alias => self.fits(&definition.node, value),
                Kind::Object => value.as_object().is_some_and(|object| {
                    let known = object
                        .iter()
                        .all(|(key, value)| match definition.field(key) {
                            Some(field) => self.fits(field, value),
                            None => definition.node.entries.is_some(),
                        });
                    known
                        && definition
                            .required
                            .iter()
                            .all(|name| object.contains_key(name))
                }),
            };
        }
        let limits = &node.limits;
        match (node.kind.as_deref(), value) {
            (None, _) | (Some("boolean"), Value::Bool(_)) => true,
            (Some("integer"), Value::Number(number)) => {
                let representable = match node.format.as_deref() {
                    Some("uint32") => number.as_u64().is_some_and(|n| u32::try_from(n).is_ok()),
                    Some("uint64") => number.is_u64(),
                    _ => number.is_i64(),
                };
                representable && limits.contain(number)
            }
            (Some("number"), Value::Number(number)) => limits.contain(number),
            (Some("string"), Value::String(text)) => {
                within(text.chars().count(), limits.min_length, limits.max_length)
            }
            (Some("array"), Value::Array(items)) => {
                within(items.len(), limits.min_items, limits.max_items)
                    && node
                        .items
                        .as_deref()
                        .is_none_or(|item| items.iter().all(|value| self.fits(item, value)))
            }
            (Some("object"), Value::Object(entries)) => node
                .entries
                .as_deref()
                .is_none_or(|entry| entries.values().all(|value| self.fits(entry, value))),
            _ => false,
        }
    }

    /// Some documents have a default that their own schema refuses, such as a number for a listed
    /// text. Such a default is dropped.
    fn drop_unfit_defaults(&mut self) {
        let reference = self.clone();
        for definition in self.definitions.values_mut() {
            for field in definition
                .properties
                .iter_mut()
                .flat_map(BTreeMap::values_mut)
            {
                let unfit = field
                    .default
                    .as_ref()
                    .is_some_and(|default| default.is_null() || !reference.fits(field, default));
                if unfit {
                    field.default = None;
                }
            }
        }
    }
}

impl Definition {
    /// The kind of Rust type.
    pub fn kind(&self) -> Kind<'_> {
        if let Some(values) = &self.values {
            Kind::Enum(values)
        } else if let Some(alternatives) = &self.alternatives {
            Kind::Union(alternatives)
        } else if self.properties.is_some()
            || (self.node.kind.as_deref() == Some("object") && self.node.entries.is_none())
        {
            Kind::Object
        } else {
            Kind::Alias
        }
    }

    /// An object's fields in order, by their names in JSON.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.order
            .iter()
            .filter_map(|name| Some((name.as_str(), self.field(name)?)))
    }

    /// An object's field.
    pub fn field(&self, name: &str) -> Option<&Node> {
        self.properties.as_ref()?.get(name)
    }

    /// Whether a field is always there.
    ///
    /// A request has what the schema requires. A result is only certain to have the URL of a file:
    /// the service omits, or sends as null, other fields that its schema calls required.
    pub fn is_certain(&self, name: &str, field: &Node) -> bool {
        let required = self.required.iter().any(|required| required == name);
        if field.nullable || !required {
            return false;
        }
        !self.received || (name == "url" && field.kind.as_deref() == Some("string"))
    }
}

impl Definition {
    /// Whether a field may be missing where the type is received, and must be given where it is
    /// sent.
    pub fn must_be_given(&self, name: &str, field: &Node) -> bool {
        let required = self.required.iter().any(|required| required == name);
        let both_ways = self.sent && self.received;
        both_ways && required && !field.nullable && !self.is_certain(name, field)
    }
}

impl Limits {
    fn contain(&self, number: &Number) -> bool {
        let value = number.as_f64().unwrap_or(f64::NAN);
        let limit = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_f64);
        limit(&self.minimum).is_none_or(|bound| value >= bound)
            && limit(&self.maximum).is_none_or(|bound| value <= bound)
            && limit(&self.exclusive_minimum).is_none_or(|bound| value > bound)
            && limit(&self.exclusive_maximum).is_none_or(|bound| value < bound)
    }
}

fn within(count: usize, least: Option<u64>, most: Option<u64>) -> bool {
    let count = count as u64;
    least.is_none_or(|least| count >= least) && most.is_none_or(|most| count <= most)
}
