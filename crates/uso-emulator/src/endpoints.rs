//! Endpoints that the emulator serves: `fal-ai/uso`, and others by their documents.

use crate::schema::{DOCUMENT, Schema};

/// Namespaces that stand before the owner in the id of an endpoint.
const NAMESPACES: [&str; 2] = ["workflows", "comfy"];

/// Endpoints that are served.
pub(crate) struct Endpoints {
    uso: Schema,
    others: Vec<Schema>,
}

/// An endpoint that was called.
pub(crate) enum Endpoint<'a> {
    /// The endpoint whose pictures are drawn, and the path that was called below it.
    Uso(&'a Schema, &'a str),
    /// An endpoint whose output is made up.
    Other(&'a Schema),
}

impl Endpoints {
    /// `fal-ai/uso` by the document that the workspace pins, and others.
    pub(crate) fn read(others: Vec<Schema>) -> Result<Self, String> {
        Ok(Self {
            uso: Schema::read(DOCUMENT)?,
            others,
        })
    }

    pub(crate) fn uso(&self) -> &Schema {
        &self.uso
    }

    /// The document of exactly this endpoint.
    pub(crate) fn named(&self, endpoint_id: &str) -> Option<&Schema> {
        let mut all = std::iter::once(&self.uso).chain(&self.others);
        all.find(|schema| schema.endpoint_id() == endpoint_id)
    }

    /// Whether one of the endpoints belongs to this app.
    pub(crate) fn has_app(&self, wanted: &str) -> bool {
        let mut all = std::iter::once(&self.uso).chain(&self.others);
        all.any(|schema| app(schema.endpoint_id()) == wanted)
    }

    /// The endpoint of a submit or a run.
    pub(crate) fn called<'a>(&'a self, endpoint_id: &'a str) -> Option<Endpoint<'a>> {
        let mut others = self.others.iter();
        if let Some(schema) = others.find(|schema| schema.endpoint_id() == endpoint_id) {
            return Some(Endpoint::Other(schema));
        }
        let path = endpoint_id.strip_prefix(self.uso.endpoint_id())?;
        (path.is_empty() || path.starts_with('/')).then_some(Endpoint::Uso(&self.uso, path))
    }
}

/// `[namespace/]owner/alias` of an endpoint id: the path of status, result and cancel.
pub(crate) fn app(endpoint_id: &str) -> &str {
    let first = endpoint_id.split('/').next().unwrap_or_default();
    let kept = if NAMESPACES.contains(&first) { 3 } else { 2 };
    match endpoint_id.match_indices('/').nth(kept - 1) {
        Some((end, _)) => endpoint_id.get(..end).unwrap_or(endpoint_id),
        None => endpoint_id,
    }
}

#[cfg(test)]
mod tests {
    use super::app;

    #[test]
    fn the_app_is_owner_and_alias_behind_a_namespace() {
        for (id, expected) in [
            ("fal-ai/uso", "fal-ai/uso"),
            ("fal-ai/flux/dev/image-to-image", "fal-ai/flux"),
            ("workflows/me/mine/step", "workflows/me/mine"),
            ("alone", "alone"),
        ] {
            assert_eq!(app(id), expected);
        }
    }
}
