//! Unions: types whose value has one of several shapes.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;

use super::context::{Context, ident, rust_name};
use super::{checks, prose};
use crate::codegen::model::{Definition, Kind, Node};
use crate::codegen::skeleton::Skeleton;

/// Writes a union, with a decoder whose errors name the expected shapes.
pub(super) fn union(
    context: &Context<'_>,
    name: &str,
    definition: &Definition,
    shapes: &[Node],
    skeleton: &Skeleton,
) -> TokenStream {
    let type_docs = prose::comment(&context.type_docs(name, definition));
    let derive = context.schema_derive();
    let type_name = ident(name);
    let variants: Vec<_> = shapes.iter().map(rust_name).collect();
    let types = &skeleton.parts;
    let variant_docs = shapes
        .iter()
        .map(|shape| prose::comment(&[context.shape_phrase(shape)]));

    // The narrower shape is tried first: a listed text before any text.
    let mut order: Vec<usize> = (0..shapes.len()).collect();
    order.sort_by_key(|index| shapes.get(*index).map(|shape| context.breadth(shape)));
    let alternatives = order.iter().filter_map(|index| {
        Some(context.alternative(&type_name, shapes.get(*index)?, variants.get(*index)?))
    });

    let mut seen = BTreeSet::new();
    let conversions = types.iter().zip(&variants).map(|(ty, variant)| {
        let text = quote!(#ty).to_string();
        if !seen.insert(text.clone()) {
            return TokenStream::new();
        }
        let borrowed = (text == "String").then(|| {
            quote! {
                impl From<&str> for #type_name {
                    fn from(value: &str) -> Self {
                        Self::#variant(value.to_owned())
                    }
                }
            }
        });
        quote! {
            impl From<#ty> for #type_name {
                fn from(value: #ty) -> Self {
                    Self::#variant(value)
                }
            }
            #borrowed
        }
    });
    let support = context.options.support.path();
    let check = definition
        .sent
        .then(|| checks::of_union(context, name, shapes))
        .flatten();

    quote! {
        #type_docs
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #derive
        #[serde(untagged)]
        pub enum #type_name {
            #(#variant_docs #variants(#types)),*
        }

        impl<'de> Deserialize<'de> for #type_name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                const ALTERNATIVES: &[Alternative<#type_name>] = &[#(#alternatives),*];
                #support::decode::one_of(deserializer, ALTERNATIVES)
            }
        }

        #(#conversions)*
        #check
    }
}

impl Context<'_> {
    fn alternative(&self, owner: &syn::Ident, shape: &Node, variant: &syn::Ident) -> TokenStream {
        let expected = self.expected(shape);
        let kind = ident(self.json_kind(shape));
        let support = self.options.support.path();
        let mut keys: Vec<&str> = Vec::new();
        let mut tag = None;
        if let Some((_, target)) = self.model.target(shape) {
            for (wire, field) in target.fields() {
                keys.push(wire);
                if let (None, Some(only)) = (&tag, self.only_value(field)) {
                    tag = Some((wire, only));
                }
            }
        }
        let tag = match tag {
            Some((key, value)) => quote! { Some((#key, #value)) },
            None => quote! { None },
        };
        quote! {
            Alternative {
                expected: #expected,
                kind: Kind::#kind,
                keys: &[#(#keys),*],
                tag: #tag,
                read: |value| #support::decode::read(value).map(#owner::#variant),
            }
        }
    }

    /// The text that a field always holds, if its schema lists only one.
    fn only_value(&self, field: &Node) -> Option<&str> {
        match self.model.target(field)?.1.kind() {
            Kind::Enum([only]) => only.as_str(),
            _ => None,
        }
    }

    fn breadth(&self, shape: &Node) -> u8 {
        match self.model.target(shape).map(|(_, target)| target.kind()) {
            Some(Kind::Enum(_)) => 0,
            Some(_) => 1,
            None => 2,
        }
    }

    fn json_kind(&self, shape: &Node) -> &'static str {
        if let Some((_, target)) = self.model.target(shape) {
            return match target.kind() {
                Kind::Object => "Object",
                Kind::Enum(values) if values.iter().all(serde_json::Value::is_string) => "String",
                Kind::Enum(_) => "Number",
                Kind::Union(_) | Kind::Alias => "Any",
            };
        }
        match shape.kind.as_deref() {
            Some("string") => "String",
            Some("integer" | "number") => "Number",
            Some("boolean") => "Bool",
            Some("array") => "Array",
            Some("object") => "Object",
            _ => "Any",
        }
    }

    /// The shape in words, for errors.
    fn expected(&self, shape: &Node) -> String {
        if let Some((name, target)) = self.model.target(shape) {
            return match target.kind() {
                Kind::Object => {
                    let all: Vec<String> = target
                        .fields()
                        .map(|(wire, _)| format!("`{wire}`"))
                        .collect();
                    let needed: Vec<String> = target
                        .required
                        .iter()
                        .map(|wire| format!("`{wire}`"))
                        .collect();
                    let named = if needed.is_empty() { &all } else { &needed };
                    match named.as_slice() {
                        [] => "an object".to_owned(),
                        few if few.len() <= 4 => format!("an object with {}", prose::list(few)),
                        _ => format!("an object ({name})"),
                    }
                }
                Kind::Enum(values) => {
                    let some: Vec<String> = values
                        .iter()
                        .take(8)
                        .map(|value| {
                            format!(
                                "`{}`",
                                value
                                    .as_str()
                                    .map_or_else(|| value.to_string(), str::to_owned)
                            )
                        })
                        .collect();
                    let more = if values.len() > 8 { ", …" } else { "" };
                    format!("one of {}{more}", some.join(", "))
                }
                Kind::Union(_) | Kind::Alias => name.to_owned(),
            };
        }
        match shape.kind.as_deref() {
            Some("string") => "a text",
            Some("integer") => "a whole number",
            Some("number") => "a number",
            Some("boolean") => "true or false",
            Some("array") => "a list",
            Some("object") => "an object",
            _ => "anything",
        }
        .to_owned()
    }

    fn shape_phrase(&self, shape: &Node) -> String {
        let described = shape
            .description
            .as_deref()
            .map(prose::prose)
            .unwrap_or_default();
        if !described.is_empty() {
            return described;
        }
        match self.model.target(shape).map(|(_, target)| target.kind()) {
            Some(Kind::Enum(_)) => "One of the listed values.",
            Some(_) => "An object.",
            None => match shape.kind.as_deref() {
                Some("string") => "Any text.",
                Some("integer") => "A whole number.",
                Some("number") => "A number.",
                Some("boolean") => "True or false.",
                Some("array") => "A list.",
                _ => "Values by name.",
            },
        }
        .to_owned()
    }
}
