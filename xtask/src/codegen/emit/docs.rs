//! Docs of types and fields: description, unit, range and default.

use serde_json::{Number, Value};

use super::context::{Context, rust_name};
use super::prose::{list, prose, sentence, wrap};
use crate::codegen::model::{Definition, Kind, Node};

impl Context<'_> {
    /// The docs of a type.
    pub(super) fn type_docs(&self, name: &str, definition: &Definition) -> Vec<String> {
        let endpoint = self.model.endpoint.as_deref();
        let is = |root: &Option<String>| root.as_deref() == Some(name);
        let described = definition
            .node
            .description
            .as_deref()
            .map(prose)
            .unwrap_or_default();
        let opening = match endpoint {
            Some(endpoint) if is(&self.model.input) => {
                format!("Input of `{endpoint}`: the body of a request.")
            }
            Some(endpoint) if is(&self.model.output) => {
                format!("Output of `{endpoint}`: the body of a result.")
            }
            None if is(&self.model.input) => {
                "Input of the endpoint: the body of a request.".to_owned()
            }
            None if is(&self.model.output) => {
                "Output of the endpoint: the body of a result.".to_owned()
            }
            _ if !described.is_empty() => return vec![described],
            _ => match self.user(name) {
                Some(user) => format!("The values of [`{user}`]."),
                None => article(name),
            },
        };
        vec![opening, described]
    }

    /// The union or the field that a type was made for.
    fn user(&self, name: &str) -> Option<String> {
        let refers = |node: &Node| {
            let inner = node
                .items
                .as_deref()
                .or(node.entries.as_deref())
                .unwrap_or(node);
            inner.reference.as_deref() == Some(name)
        };
        let definition = self.model.definitions.get(name)?;
        if matches!(definition.kind(), Kind::Object) {
            return None;
        }
        self.model.ordered().find_map(|(owner, candidate)| {
            if let Kind::Union(shapes) = candidate.kind() {
                let shape = shapes.iter().find(|shape| refers(shape))?;
                return Some(format!("{owner}::{}", rust_name(shape)));
            }
            let (_, field) = candidate.fields().find(|(_, field)| refers(field))?;
            Some(format!("{owner}::{}", rust_name(field)))
        })
    }

    /// The docs of a field: what it is, then its unit, range and default.
    pub(super) fn field_docs(&self, wire: &str, field: &Node, sent: bool) -> Vec<String> {
        let described = field.description.as_deref().map(prose).unwrap_or_default();
        let opening = if described.is_empty() {
            format!("The field `{wire}`.")
        } else {
            described
        };
        let mut facts: Vec<String> = Vec::new();
        facts.extend(unit(wire, field));
        facts.extend(range(field));
        let default = field.default.as_ref().filter(|_| sent);
        let default = default.map(|default| self.default_phrase(field, default));
        if let Some(default) = default {
            facts.push(format!("the default of the service is {default}"));
        }
        let facts = match facts.as_slice() {
            [] => String::new(),
            [head @ .., last] if last.starts_with("the default") && !head.is_empty() => {
                format!("{}; {last}", head.join(", "))
            }
            facts => facts.join(", "),
        };
        vec![opening, wrap(&sentence(&facts), "")]
    }

    fn default_phrase(&self, field: &Node, default: &Value) -> String {
        if let Some((name, target)) = self.model.target(field) {
            match target.kind() {
                Kind::Enum(values) => {
                    let position = values.iter().position(|value| value == default);
                    if let Some(variant) = position.and_then(|index| target.names.get(index)) {
                        return format!("[`{name}::{variant}`]");
                    }
                }
                Kind::Union(shapes) => {
                    if let Some(shape) = shapes.iter().find(|shape| self.model.fits(shape, default))
                    {
                        return self.default_phrase(shape, default);
                    }
                }
                Kind::Object | Kind::Alias => {}
            }
        }
        match default {
            Value::String(text) if text.is_empty() => "an empty text".to_owned(),
            Value::String(text) if text.contains(['`', '\n']) => "a longer text".to_owned(),
            Value::String(text) => format!("`{text}`"),
            Value::Array(items) if items.is_empty() => "an empty list".to_owned(),
            Value::Array(items)
                if items
                    .iter()
                    .all(|item| !item.is_object() && !item.is_array()) =>
            {
                let items: Vec<_> = items
                    .iter()
                    .map(|item| self.default_phrase(&Node::default(), item))
                    .collect();
                list(&items)
            }
            Value::Array(_) => "a list".to_owned(),
            Value::Object(entries)
                if entries
                    .values()
                    .all(|value| !value.is_object() && !value.is_array()) =>
            {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| {
                        format!("`{key}` {}", self.default_phrase(&Node::default(), value))
                    })
                    .collect();
                list(&entries)
            }
            Value::Object(_) => "an object".to_owned(),
            Value::Bool(truth) => format!("`{truth}`"),
            Value::Number(number) => number.to_string(),
            Value::Null => "nothing".to_owned(),
        }
    }
}

/// The unit, where the name settles it and the description does not say it.
fn unit(wire: &str, field: &Node) -> Option<String> {
    if field.kind.as_deref() != Some("integer") {
        return None;
    }
    let said = field
        .description
        .as_deref()
        .unwrap_or_default()
        .to_lowercase();
    let (unit, stem) = match wire {
        "width" | "height" => ("in pixels", "pixel"),
        "file_size" => ("in bytes", "byte"),
        _ => return None,
    };
    (!said.contains(stem)).then(|| unit.to_owned())
}

fn range(field: &Node) -> Option<String> {
    let limits = &field.limits;
    let plain = |number: &Number| number.to_string();
    let from_to = |least: Option<String>, most: Option<String>, what: &str| match (least, most) {
        (Some(least), Some(most)) if least == most => Some(format!("exactly {least}{what}")),
        (Some(least), Some(most)) => Some(format!("between {least} and {most}{what}")),
        (Some(least), None) => Some(format!("at least {least}{what}")),
        (None, Some(most)) => Some(format!("at most {most}{what}")),
        (None, None) => None,
    };
    let inclusive = from_to(
        limits.minimum.as_ref().map(plain),
        limits.maximum.as_ref().map(plain),
        "",
    );
    let above = limits
        .exclusive_minimum
        .as_ref()
        .map(|bound| format!("more than {bound}"));
    let below = limits
        .exclusive_maximum
        .as_ref()
        .map(|bound| format!("less than {bound}"));
    let step = limits
        .multiple_of
        .as_ref()
        .map(|step| format!("a multiple of {step}"));
    let count = |count: u64| count.to_string();
    let items = from_to(
        limits.min_items.map(count),
        limits.max_items.map(count),
        " items",
    );
    let length = from_to(
        limits.min_length.map(count),
        limits.max_length.map(count),
        " characters",
    );
    let facts: Vec<String> = [above, below, inclusive, step, items, length]
        .into_iter()
        .flatten()
        .collect();
    (!facts.is_empty()).then(|| facts.join(", "))
}

fn article(name: &str) -> String {
    let words = heck::ToSnakeCase::to_snake_case(name).replace('_', " ");
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "An"
    } else {
        "A"
    };
    format!("{article} {words}.")
}
