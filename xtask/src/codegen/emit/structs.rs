//! Structs, and aliases for inputs and outputs of another kind.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::context::{Context, ident, is_open, rust_name};
use super::{checks, prose};
use crate::codegen::model::{Definition, Kind, Node};
use crate::codegen::skeleton::Skeleton;

/// A request must stay easy to write out, so the compiler does not enforce this.
const ADVICE: &str = "A newer schema may add fields: end a literal with `..Default::default()`.";

/// Writes a struct with its constants, its constructor and its check.
pub(super) fn object(
    context: &Context<'_>,
    name: &str,
    definition: &Definition,
    skeleton: &Skeleton,
) -> TokenStream {
    let type_name = ident(name);
    let mut type_docs = context.type_docs(name, definition);
    let schema = context.schema_derive();
    let has_default = context.has_default(definition, &mut BTreeSet::new());
    if has_default && context.model.input.as_deref() == Some(name) {
        type_docs.push(ADVICE.to_owned());
    }
    let type_docs = prose::comment(&type_docs);
    let default = has_default.then(|| quote!(Default,));
    let is_result = definition.received && !definition.sent;
    // A new field in a result must not break its readers.
    let growing = is_result.then(|| quote!(#[non_exhaustive]));
    // A mistyped name in a request would silently mean the default.
    let strict = (!definition.received && definition.node.entries.is_none())
        .then(|| quote!(#[serde(deny_unknown_fields)]));

    let mut fields = Vec::new();
    let mut readers = Vec::new();
    for ((wire, field), ty) in definition.fields().zip(&skeleton.parts) {
        let rust = rust_name(field);
        let field_docs = prose::comment(&context.field_docs(wire, field, definition.sent));
        let certain = definition.is_certain(wire, field);
        let ty = if certain {
            quote!(#ty)
        } else {
            quote!(Option<#ty>)
        };
        let mut serde = Vec::new();
        if rust != wire {
            serde.push(quote!(rename = #wire));
        }
        if !certain {
            serde.push(quote!(default));
            // A required field that may be null is sent as null.
            let required = definition.required.iter().any(|name| name == wire);
            let must_travel = definition.sent && field.nullable && required;
            if !must_travel {
                serde.push(quote!(skip_serializing_if = "Option::is_none"));
            }
        }
        if context.holds_union(field) {
            let reader = format_ident!("read_{}", rust.to_string().trim_matches('_'));
            let path = format!("{name}::{reader}");
            serde.push(quote!(deserialize_with = #path));
            let support = context.options.support.path();
            readers.push(quote! {
                fn #reader<'de, D: Deserializer<'de>>(deserializer: D) -> Result<#ty, D::Error> {
                    #support::decode::field(deserializer, #wire)
                }
            });
        }
        let serde = (!serde.is_empty()).then(|| quote!(#[serde(#(#serde),*)]));
        let bounds = context.schema_bounds(field);
        fields.push(quote! { #field_docs #serde #bounds pub #rust: #ty });
    }
    if let (Some(_), Some(ty)) = (&definition.node.entries, skeleton.parts.last()) {
        fields.push(quote! {
            /// Fields that the schema does not name.
            #[serde(flatten)]
            pub additional: #ty
        });
    }

    let constants = if definition.sent {
        context.constants(definition)
    } else {
        Vec::new()
    };
    let constructor = context.constructor(definition, skeleton);
    let (validate, check) = checks::of_struct(context, name, definition).unzip();
    let members = [Some(constants.into_iter().collect()), constructor, validate];
    let members: TokenStream = members.into_iter().flatten().chain(readers).collect();
    let inherent = (!members.is_empty()).then(|| quote! { impl #type_name { #members } });
    quote! {
        #type_docs
        #[derive(Clone, Debug, #default PartialEq, Serialize, Deserialize)]
        #schema
        #strict
        #growing
        pub struct #type_name {
            #(#fields),*
        }

        #inherent
        #check
    }
}

/// Writes an alias for an input or output that is no struct, enumeration or union.
pub(super) fn alias(
    context: &Context<'_>,
    name: &str,
    definition: &Definition,
    skeleton: &Skeleton,
) -> TokenStream {
    let type_name = ident(name);
    let type_docs = prose::comment(&context.type_docs(name, definition));
    let ty = &skeleton.parts;
    quote! {
        #type_docs
        pub type #type_name = #(#ty)*;
    }
}

impl Context<'_> {
    /// A constructor with a parameter for each required field.
    fn constructor(&self, definition: &Definition, skeleton: &Skeleton) -> Option<TokenStream> {
        let mut parameters = Vec::new();
        let mut values = Vec::new();
        for ((wire, field), ty) in definition.fields().zip(&skeleton.parts) {
            let rust = rust_name(field);
            if !definition.is_certain(wire, field) {
                values.push(quote!(#rust: None));
            } else if self.has_one_value(field) {
                values.push(quote!(#rust: Default::default()));
            } else if field.kind.as_deref() == Some("string") {
                parameters.push(quote!(#rust: impl Into<String>));
                values.push(quote!(#rust: #rust.into()));
            } else {
                parameters.push(quote!(#rust: #ty));
                values.push(quote!(#rust));
            }
        }
        if definition.node.entries.is_some() {
            values.push(quote!(additional: BTreeMap::new()));
        }
        (!parameters.is_empty()).then(|| {
            quote! {
                /// A value with its required fields only.
                pub fn new(#(#parameters),*) -> Self {
                    Self { #(#values),* }
                }
            }
        })
    }

    /// Whether a default value is possible without invented content: an empty text or list is
    /// possible, a number is not.
    fn has_default<'b>(&'b self, definition: &'b Definition, open: &mut BTreeSet<&'b str>) -> bool {
        definition
            .fields()
            .filter(|(wire, field)| definition.is_certain(wire, field))
            .all(|(_, field)| {
                if definition.received && !definition.sent {
                    return false;
                }
                match self.model.target(field) {
                    Some((name, target)) => match target.kind() {
                        Kind::Object => open.insert(name) && self.has_default(target, open),
                        Kind::Enum(_) => self.has_one_value(field),
                        _ => false,
                    },
                    None => !matches!(
                        field.kind.as_deref(),
                        Some("integer" | "number" | "boolean")
                    ),
                }
            })
    }

    /// Whether the schema lists only one value for a field.
    fn has_one_value(&self, field: &Node) -> bool {
        self.model.target(field).is_some_and(|(_, target)| {
            matches!(target.kind(), Kind::Enum([only]) if only.is_string()) && !is_open(target)
        })
    }

    /// The bounds as keys of the type's JSON schema.
    fn schema_bounds(&self, field: &Node) -> Option<TokenStream> {
        if !self.options.schema_feature {
            return None;
        }
        let limits = serde_json::to_value(&field.limits).ok()?;
        let bounds: Vec<TokenStream> = limits
            .as_object()?
            .iter()
            .filter(|(_, bound)| !bound.is_null())
            .filter_map(|(key, bound)| {
                let bound: TokenStream = bound.to_string().parse().ok()?;
                Some(quote!(extend(#key = #bound)))
            })
            .collect();
        (!bounds.is_empty())
            .then(|| quote!(#[cfg_attr(feature = "schemars", schemars(#(#bounds),*))]))
    }
}
