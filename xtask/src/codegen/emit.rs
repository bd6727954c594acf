//! Fifth step: the Rust items, one definition at a time.
//!
//! The types of fields come from the skeleton; everything that makes them pleasant and safe to use
//! comes from here: names, order, what may be absent, constants, checks, conversions and docs.

mod checks;
mod constants;
mod context;
mod docs;
mod enums;
mod prose;
mod structs;
mod unions;

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

use super::load::Fault;
use super::model::{Kind, Model};
use super::options::{Options, Support};
use super::skeleton::Skeleton;
use context::{Context, ident};

/// Writes the items of every definition.
pub fn emit(
    model: &Model,
    skeletons: &BTreeMap<String, Skeleton>,
    options: &Options,
) -> Result<syn::File, Fault> {
    let context = Context {
        model,
        options,
        checked: checks::checked(model),
    };
    let mut items = TokenStream::new();
    if let Some(endpoint) = &model.endpoint {
        items.extend(quote! {
            /// The endpoint's id, as in its URLs.
            pub const ENDPOINT_ID: &str = #endpoint;
        });
    }
    for (name, definition) in model.ordered() {
        let skeleton = skeletons
            .get(name)
            .ok_or_else(|| Fault::new(format!("definitions.{name}"), "typify left it out"))?;
        items.extend(match definition.kind() {
            Kind::Object => structs::object(&context, name, definition, skeleton),
            Kind::Enum(values) => enums::enumeration(&context, name, definition, values),
            Kind::Union(shapes) => unions::union(&context, name, definition, shapes, skeleton),
            Kind::Alias => structs::alias(&context, name, definition, skeleton),
        });
    }
    let imports = imports(&items, options);
    syn::parse2(quote! { #imports #items })
        .map_err(|error| Fault::new("", format!("the generated code does not parse: {error}")))
}

/// Imports of what the items mention.
fn imports(items: &TokenStream, options: &Options) -> TokenStream {
    let mut words = BTreeSet::new();
    collect_words(items.clone(), &mut words);
    let pick = |candidates: &[&str]| -> Vec<Ident> {
        candidates
            .iter()
            .filter(|name| words.contains(**name))
            .map(|name| ident(name))
            .collect()
    };
    let line = |path: TokenStream, names: Vec<Ident>| {
        (!names.is_empty()).then(|| quote! { use #path::{#(#names),*}; })
    };
    let support = options.support.path();
    let shown = match options.support {
        Support::Sibling | Support::Facade => pick(&["UnknownValue", "Violations"]),
        // A file that stands alone shows what its own types mention.
        Support::Embedded => Vec::new(),
    };
    let own = (options.support == Support::Embedded).then(|| {
        quote! { pub use support::{UnknownValue, Unreadable, Violation, Violations, from_value_lossy}; }
    });
    let serde = ["Deserialize", "Deserializer", "Serialize", "Serializer"];
    [
        line(quote! { std::collections }, pick(&["BTreeMap"])),
        line(quote! { std::fmt }, pick(&["Display", "Formatter"])),
        line(quote! { std::ops }, pick(&["Bound"])),
        line(quote! { std::str }, pick(&["FromStr"])),
        line(quote! { serde }, pick(&serde)),
        own,
        line(quote! { #support }, shown),
        line(quote! { #support::check }, pick(&["Check", "Checker"])),
        line(quote! { #support::decode }, pick(&["Alternative", "Kind"])),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn collect_words(tokens: TokenStream, words: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Ident(word) => drop(words.insert(word.to_string())),
            proc_macro2::TokenTree::Group(group) => collect_words(group.stream(), words),
            _ => {}
        }
    }
}
