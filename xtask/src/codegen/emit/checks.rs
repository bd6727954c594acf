//! The bounds check of every type that a request can carry.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;

use super::constants::{self, Bounds};
use super::context::{Context, fallback, ident, is_open, rust_name};
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
            let check = context.field_check(wire, field);
            if definition.is_certain(wire, field) {
                let check = check?;
                return Some(quote! { { let value = &self.#rust; #check } });
            }
            let given = check.map(|check| quote! { if let Some(value) = &self.#rust { #check } });
            let missing = definition.must_be_given(wire, field).then(|| {
                quote! { if self.#rust.is_none() { checker.at(#wire).missing(); } }
            });
            (given.is_some() || missing.is_some()).then(|| quote! { #given #missing })
        })
        .collect();
    let checker = if checks.is_empty() {
        quote!(_)
    } else {
        quote!(mut checker)
    };
    let validate = quote! {
        /// Checks every value against the bounds of the schema.
        pub fn validate(&self) -> Result<(), Violations> {
            #support::check::run(self)
        }
    };
    let check = quote! {
        impl Check for #type_name {
            fn check(&self, #checker: Checker<'_>) {
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
    let mut several = false;
    let arms: Vec<_> = shapes
        .iter()
        .map(|shape| {
            let variant = rust_name(shape);
            let checks = context.check(shape, &Bounds::of_value(shape), &Place::Here);
            several |= shape.reference.is_none() && !checks.is_empty();
            match checks.as_slice() {
                [] => quote! { Self::#variant(_) => {} },
                checks => quote! { Self::#variant(value) => { #(#checks)* } },
            }
        })
        .collect();
    let checker = if several {
        quote!(mut checker)
    } else {
        quote!(checker)
    };
    Some(quote! {
        impl Check for #type_name {
            fn check(&self, #checker: Checker<'_>) {
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
    let (type_name, fallback) = (ident(name), ident(fallback(&definition.names)));
    Some(quote! {
        impl Check for #type_name {
            fn check(&self, mut checker: Checker<'_>) {
                if let Self::#fallback(value) = self {
                    checker.unlisted(value, Self::ALL);
                }
            }
        }
    })
}

/// Where the checker stands when a value is checked.
#[derive(Clone)]
enum Place {
    /// At the value already.
    Here,
    /// One or more steps away, inside so many loops.
    Away(TokenStream, usize),
}

impl Place {
    fn checker(&self) -> TokenStream {
        match self {
            Self::Here => quote!(checker),
            Self::Away(steps, _) => quote!(checker #steps),
        }
    }

    /// The place inside one more loop, and the name of what the loop counts by.
    fn inside(&self, method: &str, counter: &str) -> (Self, syn::Ident) {
        let (steps, depth) = match self {
            Self::Here => (TokenStream::new(), 0),
            Self::Away(steps, depth) => (steps.clone(), *depth),
        };
        let counter = match depth {
            0 => ident(counter),
            depth => ident(&format!("{counter}_{}", depth + 1)),
        };
        let method = ident(method);
        (
            Self::Away(quote!(#steps.#method(#counter)), depth + 1),
            counter,
        )
    }
}

impl Context<'_> {
    /// The statements that check the value of a field.
    fn field_check(&self, wire: &str, field: &Node) -> Option<TokenStream> {
        let bounds = Bounds::of_field(field);
        let away = Place::Away(quote!(.at(#wire)), 0);
        match self.check(field, &bounds, &away).as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            _ => {
                let checks = self.check(field, &bounds, &Place::Here);
                Some(quote! { let mut checker = checker.at(#wire); #(#checks)* })
            }
        }
    }

    /// The statements that check one value.
    fn check(&self, node: &Node, bounds: &Bounds, place: &Place) -> Vec<TokenStream> {
        let mut checks: Vec<TokenStream> = Vec::new();
        if !has_bounds(node, &self.checked) {
            return checks;
        }
        let checker = place.checker();
        if node.reference.is_some() {
            checks.push(quote! { value.check(#checker); });
            return checks;
        }
        let range = bounds.range();
        match node.kind.as_deref() {
            Some("integer") => {
                checks.extend(range.map(|range| quote! { #checker.range(value, #range); }));
            }
            Some("number") => {
                // A closed range holds finite numbers only.
                if !bounds.is_closed() {
                    checks.push(quote! { #checker.finite(value); });
                }
                checks.extend(range.map(|range| quote! { #checker.range(value, #range); }));
            }
            Some("string") => checks.extend(range.map(|range| {
                quote! { #checker.count(value.chars().count(), "characters", #range); }
            })),
            Some("array") => {
                checks.extend(range.map(|range| {
                    quote! { #checker.count(value.len(), "items", #range); }
                }));
                let (place, index) = place.inside("item", "index");
                let each = self.each(node.items.as_deref(), &place);
                checks.extend(each.map(|each| {
                    quote! { for (#index, value) in value.iter().enumerate() { #each } }
                }));
            }
            Some("object") => {
                let (place, name) = place.inside("at", "name");
                let each = self.each(node.entries.as_deref(), &place);
                checks.extend(each.map(|each| quote! { for (#name, value) in value { #each } }));
            }
            _ => {}
        }
        let step = node
            .limits
            .multiple_of
            .as_ref()
            .and_then(serde_json::Number::as_f64);
        if let Some(step) = step {
            let step = constants::float(step);
            let integer = node.kind.as_deref() == Some("integer");
            let number = if integer {
                quote!(*value as f64)
            } else {
                quote!(*value)
            };
            checks.push(quote! { #checker.multiple_of(#number, #step); });
        }
        checks
    }

    /// The statements that check each item or entry.
    fn each(&self, item: Option<&Node>, place: &Place) -> Option<TokenStream> {
        let item = item?;
        let checks = self.check(item, &Bounds::of_value(item), place);
        let checks: TokenStream = checks.into_iter().collect();
        match (checks.is_empty(), item.nullable) {
            (true, _) => None,
            (false, true) => Some(quote! { if let Some(value) = value { #checks } }),
            (false, false) => Some(checks),
        }
    }
}
