//! The input that every pass of the emit step shares, and the names that they use alike.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Ident;

use crate::codegen::model::{Definition, Kind, Model, Node};
use crate::codegen::options::Options;

/// The input of every pass.
pub(super) struct Context<'a> {
    pub(super) model: &'a Model,
    pub(super) options: &'a Options,
    /// The types that have a bound somewhere in them.
    pub(super) checked: BTreeSet<String>,
}

pub(super) fn ident(name: &str) -> Ident {
    format_ident!("{name}")
}

/// The Rust name of a field or an alternative.
pub(super) fn rust_name(node: &Node) -> Ident {
    ident(node.name.as_deref().unwrap_or("unnamed"))
}

/// Whether an enumeration may come with values that the schema does not list.
pub(super) fn is_open(definition: &Definition) -> bool {
    definition.received
}

impl Context<'_> {
    /// Whether a union stands somewhere in what a node describes.
    pub(super) fn holds_union(&self, node: &Node) -> bool {
        let inner = node.items.as_deref().or(node.entries.as_deref());
        inner.is_some_and(|inner| self.holds_union(inner))
            || self
                .model
                .target(node)
                .is_some_and(|(_, target)| matches!(target.kind(), Kind::Union(_)))
    }

    /// The attributes that make a type describe itself, where that is wanted.
    pub(super) fn schema_derive(&self) -> Option<TokenStream> {
        self.options.schema_feature.then(|| {
            quote! { #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))] }
        })
    }
}

/// The name of the variant that keeps an unlisted value.
pub(super) fn fallback(names: &[String]) -> &'static str {
    ["Unknown", "Other", "Unlisted"]
        .into_iter()
        .find(|candidate| !names.iter().any(|name| name == candidate))
        .unwrap_or("UnlistedValue")
}
