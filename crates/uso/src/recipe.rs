//! Recipe of a request, in a form that stays the same from one run to the next.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uso_transport::{EndpointId, Error, ErrorKind, Fingerprint, Operation, Order, Result};

use crate::ready;
use crate::request::Request;
use crate::runtime;

/// A request as JSON: its options as given, and each picture by its role, its source and the
/// digest of its bytes.
///
/// Two requests with one [`fingerprint`](Recipe::fingerprint) ask for the same thing. The digest
/// covers the bytes of local pictures as the caller holds them, the URLs of remote ones, and the
/// options. It covers neither the names of files, nor what fitting makes of a picture, nor the URL
/// of an upload, nor a seed that was chosen at random, nor the webhook, the start deadline and the
/// lifecycle of the result: so neither another folder nor another version of this crate changes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    json: Value,
    fingerprint: Fingerprint,
}

impl Recipe {
    /// Recipe of an order: its endpoint, and its input as it is sent. Files inside the input are
    /// named by their digests, so that the recipe stays small.
    ///
    /// # Errors
    ///
    /// None for an order that could be made.
    pub fn of_order(order: &Order) -> Result<Self> {
        let endpoint = order.intent().endpoint();
        let mut input: Value = serde_json::from_slice(order.input()).map_err(not_json)?;
        name_files(&mut input);
        let json = json!({ "endpoint": endpoint, "input": input });
        Ok(Self {
            fingerprint: digest(&json)?,
            json,
        })
    }

    /// The request as JSON, with the paths of local pictures. It holds prompts and URLs.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// The digest of what is asked for.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

/// Puts the digest of a data URI in its place.
fn name_files(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("data:") => {
            let digest = Sha256::new().chain_update(text.as_bytes());
            *text = format!("sha256:{}", ready::hexadecimal(digest));
        }
        Value::Array(items) => items.iter_mut().for_each(name_files),
        Value::Object(fields) => fields.values_mut().for_each(name_files),
        _ => {}
    }
}

fn digest(recipe: &Value) -> Result<Fingerprint> {
    let body = serde_json::to_vec(recipe).map_err(not_json)?;
    let order = Order::new(EndpointId::uso(), body, std::time::Duration::from_secs(600))?;
    Ok(order.intent().fingerprint().clone())
}

pub(crate) fn not_json(error: serde_json::Error) -> Error {
    Error::new(
        Operation::Prepare,
        ErrorKind::Input,
        "the input is not JSON",
    )
    .with_source(error)
}

impl Request {
    /// Recipe of the request. Local pictures are read for their digest; nothing is sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a reader or a pipe keeps what was read of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when a picture cannot be read.
    pub async fn recipe(&self) -> Result<Recipe> {
        runtime::check(Operation::Prepare)?;
        let mut pictures = Vec::new();
        let mut named = Vec::new();
        for (role, reference) in self.references() {
            let (picture, name) = match reference.url(role) {
                Some(Ok(url)) => (json!({ "role": role, "url": url }), None),
                Some(Err(problem)) => return Err(Error::invalid(vec![problem])),
                None => {
                    // The estimate needs the size of the content, and then reads nothing.
                    let is_priced = role == "content" && self.input().keep_size == Some(true);
                    let fit = is_priced.then(|| self.wants_fit());
                    let facts = ready::facts(reference, role, fit).await;
                    let facts = facts.map_err(|problem| Error::invalid(vec![problem]))?;
                    (
                        json!({ "role": role, "sha256": facts.digest }),
                        reference.file().map(absolute),
                    )
                }
            };
            let mut with_name = picture.clone();
            if let (Some(name), Some(fields)) = (name, with_name.as_object_mut()) {
                fields.insert("file".to_owned(), Value::String(name));
            }
            pictures.push(picture);
            named.push(with_name);
        }
        let mut input = serde_json::to_value(self.input()).map_err(not_json)?;
        if let Some(fields) = input.as_object_mut()
            && fields
                .get("input_image_urls")
                .and_then(Value::as_array)
                .is_some_and(Vec::is_empty)
        {
            fields.remove("input_image_urls");
        }
        let mut recipe = Map::new();
        recipe.insert("endpoint".to_owned(), json!(EndpointId::uso()));
        recipe.insert("input".to_owned(), input);
        recipe.insert("pictures".to_owned(), Value::Array(pictures));
        if !self.wants_fit() {
            recipe.insert("as_it_is".to_owned(), Value::Bool(true));
        }
        let mut recipe = Value::Object(recipe);
        let fingerprint = digest(&recipe)?;
        if let Some(pictures) = recipe.get_mut("pictures") {
            *pictures = Value::Array(named);
        }
        Ok(Recipe {
            json: recipe,
            fingerprint,
        })
    }
}

fn absolute(path: &std::path::Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.display().to_string()
}
