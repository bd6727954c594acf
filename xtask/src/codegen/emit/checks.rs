//! The bounds check of every type that a request can carry.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;

use super::constants::{self, Bounds};
use super::{Context, enums, ident, is_open, rust_name};
use crate::codegen::model::{Definition, Kind, Model, Node};

/// The types that have something to check, directly or further down.
pub(super) fn checked(model: &Model) -> BTreeSet<String> {
    let mut checked = BTreeSet::new();
    loop {
        let before = checked.len();
        for (name, definition) in model.ordered().filter(|(_, definition)| definition.sent) {
            let something = match definition.kind() {
                Kind::Object => definition.fields().any(|(wire, field)| {
                    has_bounds(field, &checked) || definition.must_be_given(wire, field)
                }),
                Kind::Union(shapes) => shapes.iter().any(|shape| has_bounds(shape, &checked)),
                Kind::Enum(_) => is_open(definition),
                Kind::Alias => false,
            };
            if something {
                checked.insert(name.to_owned());
            }
        }
        if checked.len() == before {
            return checked;
        }
    }
}

fn has_bounds(node: &Node, checked: &BTreeSet<String>) -> bool {
    node.kind.as_deref() == Some("number")
        || node.limits != Default::default()
        || node
            .reference
            .as_ref()
            .is_some_and(|name| checked.contains(name))
        || [&node.items, &node.entries]
            .into_iter()
            .flatten()
            .any(|inner| has_bounds(inner, checked))
}

/// The method of a struct that runs its check, and the check.
pub(super) fn of_struct(
    context: &Context<'_>,
    name: &str,
    definition: &Definition,
) -> Option<(TokenStream, TokenStream)> {
    let is_root = context.model.input.as_deref() == Some(name);
    if !definition.sent || !(is_root || context.checked.contains(name)) {
        return None;
    }
    let type_name = ident(name);
    let support = context.options.support.path();
    let checks: Vec<_> = definition
        .fields()
        .filter_map(|(wire, field)| {
            let rust = rust_name(field);
            let check = context.check(field, &quote!(value), &Bounds::of_field(field));
            if definition.is_certain(wire, field) {
                let check = check?;
                return Some(quote! {
                    checker.field(#wire, |checker| { let value = &self.#rust; #check });
                });
            }
            let given = check.map(|check| {
                quote! {
                    if let Some(value) = &self.#rust {
                        checker.field(#wire, |checker| #check);
                    }
                }
            });
            let missing = definition.must_be_given(wire, field).then(|| {
                quote! {
                    if self.#rust.is_none() {
                        checker.field(#wire, Checker::missing);
                    }
                }
            });
            (given.is_some() || missing.is_some()).then(|| quote! { #given #missing })
        })
        .collect();
    let checker = if checks.is_empty() {
        quote!(_)
    } else {
        quote!(checker)
    };
    let validate = quote! {
        /// Checks every value against what the service accepts, before anything is sent.
        pub fn validate(&self) -> Result<(), Violations> {
            #support::check::run(self)
        }
    };
    let check = quote! {
        impl Check for #type_name {
            fn check(&self, #checker: &mut Checker) {
                #(#checks)*
            }
        }
    };
    Some((validate, check))
}

/// The check of a union: that of the shape it has.
pub(super) fn of_union(context: &Context<'_>, name: &str, shapes: &[Node]) -> Option<TokenStream> {
    if !context.checked.contains(name) {
        return None;
    }
    let type_name = ident(name);
    let arms = shapes.iter().map(|shape| {
        let variant = rust_name(shape);
        match context.check(shape, &quote!(value), &Bounds::of_value(shape)) {
            Some(check) => quote! { Self::#variant(value) => { #check } },
            None => quote! { Self::#variant(_) => {} },
        }
    });
    Some(quote! {
        impl Check for #type_name {
            fn check(&self, checker: &mut Checker) {
                match self {
                    #(#arms)*
                }
            }
        }
    })
}

/// The check of an open enumeration: the service refuses what its schema does not list.
pub(super) fn of_enum(
    context: &Context<'_>,
    name: &str,
    definition: &Definition,
) -> Option<TokenStream> {
    if !context.checked.contains(name) {
        return None;
    }
    let (type_name, fallback) = (ident(name), ident(enums::fallback(&definition.names)));
    Some(quote! {
        impl Check for #type_name {
            fn check(&self, checker: &mut Checker) {
                if let Self::#fallback(value) = self {
                    checker.unlisted(value, Self::ALL);
                }
            }
        }
    })
}

impl Context<'_> {
    /// The statements that check one value, or nothing if it has no bounds.
    fn check(&self, node: &Node, value: &TokenStream, bounds: &Bounds) -> Option<TokenStream> {
        if !has_bounds(node, &self.checked) {
            return None;
        }
        if node.reference.is_some() {
            return Some(quote! { { #value.check(checker); } });
        }
        let limits = &node.limits;
        let range = bounds.range();
        let mut checks: Vec<TokenStream> = Vec::new();
        match node.kind.as_deref() {
            Some("integer") => {
                checks.extend(range.map(|range| quote! { checker.range(#value, #range); }));
            }
            Some("number") => {
                if !bounds.is_closed() {
                    checks.push(quote! { checker.finite(#value); });
                }
                checks.extend(range.map(|range| quote! { checker.range(#value, #range); }));
            }
            Some("string") => checks.extend(range.map(|range| {
                quote! { checker.count(#value.chars().count(), "characters", #range); }
            })),
            Some("array") => {
                checks.extend(range.map(|range| {
                    quote! { checker.count(#value.len(), "items", #range); }
                }));
                let item = node.items.as_deref();
                checks.extend(item.and_then(|item| self.each(item, &quote!(#value))));
            }
            Some("object") => {
                let entry = node.entries.as_deref();
                checks.extend(entry.and_then(|entry| {
                    let check = self.item_check(entry)?;
                    Some(quote! {
                        for (name, value) in #value {
                            checker.field(name, |checker| { #check });
                        }
                    })
                }));
            }
            _ => {}
        }
        if let Some(step) = limits
            .multiple_of
            .as_ref()
            .and_then(serde_json::Number::as_f64)
        {
            let step = constants::float(step);
            let number = if node.kind.as_deref() == Some("integer") {
                quote!(*#value as f64)
            } else {
                quote!(*#value)
            };
            checks.push(quote! { checker.multiple_of(#number, #step); });
        }
        match checks.as_slice() {
            [] => None,
            checks => Some(quote! { { #(#checks)* } }),
        }
    }

    fn each(&self, item: &Node, list: &TokenStream) -> Option<TokenStream> {
        let check = self.item_check(item)?;
        Some(quote! { checker.items(#list, |checker, value| { #check }); })
    }

    fn item_check(&self, item: &Node) -> Option<TokenStream> {
        let check = self.check(item, &quote!(value), &Bounds::of_value(item))?;
        Some(if item.nullable {
            quote! { if let Some(value) = value { #check } }
        } else {
            check
        })
    }
}
