//! Input validation by reading the endpoint's published document itself.
//!
//! Answers as the app framework would (FastAPI on Pydantic 2): values are coerced leniently, every
//! problem is reported with its place, type, message and limit. Works on any document that uses
//! this subset: `$ref`, `anyOf`, `type`, `enum`, numeric and length bounds, defaults.

mod check;

use serde_json::{Map, Value, json};

pub(crate) use check::Problem;

/// The document that the workspace pins, byte for byte.
pub(crate) const DOCUMENT: &str = include_str!("../fal-ai-uso.openapi.json");

#[derive(Clone, Debug)]
pub(crate) struct Schema {
    document: Value,
    endpoint_id: String,
    input: Value,
    output: Value,
}

impl Schema {
    /// Reads a per-endpoint document. The error says what is missing.
    pub(crate) fn read(document: &str) -> Result<Self, String> {
        let document: Value = serde_json::from_str(document)
            .map_err(|error| format!("the endpoint's document is not JSON: {error}"))?;
        let endpoint_id = document
            .pointer("/info/x-fal-metadata/endpointId")
            .and_then(Value::as_str)
            .ok_or("the endpoint's document does not name its endpoint")?
            .to_owned();
        let within = |path: String, pointer: &str| {
            let path = document.get("paths")?.get(path)?;
            path.pointer(pointer).cloned()
        };
        let input = within(
            format!("/{endpoint_id}"),
            "/post/requestBody/content/application~1json/schema",
        )
        .ok_or("the endpoint's document does not describe its input")?;
        let output = within(
            format!("/{endpoint_id}/requests/{{request_id}}"),
            "/get/responses/200/content/application~1json/schema",
        )
        .ok_or("the endpoint's document does not describe its output")?;
        Ok(Self {
            document,
            endpoint_id,
            input,
            output,
        })
    }

    pub(crate) fn endpoint_id(&self) -> &str {
        &self.endpoint_id
    }

    /// The schema of the output.
    pub(crate) fn output(&self) -> &Value {
        &self.output
    }

    /// Follows references within the document; a chain that leads nowhere allows everything.
    pub(crate) fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        check::resolve(&self.document, schema)
    }

    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// The input with values coerced and defaults filled in, or everything wrong with it.
    pub(crate) fn validate(&self, input: &Value) -> Result<Map<String, Value>, Vec<Problem>> {
        match check::check(&self.document, &self.input, input, &[json!("body")])? {
            Value::Object(fields) => Ok(fields),
            _ => Ok(Map::new()),
        }
    }
}

#[cfg(test)]
mod tests;
