//! Bounds and defaults as constants.

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use serde_json::{Number, Value};

use super::context::{Context, ident, rust_name};
use crate::codegen::model::{Definition, Kind, Node};
use crate::codegen::names;

/// The bounds of one value, each as an expression.
#[derive(Default)]
pub(super) struct Bounds {
    least: Option<TokenStream>,
    most: Option<TokenStream>,
    above: Option<TokenStream>,
    below: Option<TokenStream>,
}

impl Bounds {
    /// The bounds as literals.
    pub(super) fn of_value(node: &Node) -> Self {
        let mut bounds = Self::default();
        for bound in list(node) {
            *bounds.slot(bound.end) = Some(bound.value);
        }
        bounds
    }

    /// The bounds as constants of the struct that holds the field.
    pub(super) fn of_field(field: &Node) -> Self {
        let mut bounds = Self::default();
        let rust = rust_name(field).to_string();
        for bound in list(field) {
            let constant = ident(&names::constant_name(&rust, bound.suffix));
            *bounds.slot(bound.end) = Some(quote!(Self::#constant));
        }
        bounds
    }

    fn slot(&mut self, end: End) -> &mut Option<TokenStream> {
        match end {
            End::Least => &mut self.least,
            End::Most => &mut self.most,
            End::Above => &mut self.above,
            End::Below => &mut self.below,
        }
    }

    /// Whether both ends are bounded, so that infinity lies outside.
    pub(super) fn is_closed(&self) -> bool {
        (self.least.is_some() || self.above.is_some())
            && (self.most.is_some() || self.below.is_some())
    }

    /// The range that the bounds make.
    pub(super) fn range(&self) -> Option<TokenStream> {
        let Self {
            least,
            most,
            above,
            below,
        } = self;
        Some(match (least, most, above, below) {
            (None, None, None, None) => return None,
            (Some(least), Some(most), None, None) => quote!(#least..=#most),
            (Some(least), None, None, None) => quote!(#least..),
            (None, Some(most), None, None) => quote!(..=#most),
            (None, None, None, Some(below)) => quote!(..#below),
            (Some(least), None, None, Some(below)) => quote!(#least..#below),
            _ => {
                let start = end(least, above);
                let end = end(most, below);
                quote!((#start, #end))
            }
        })
    }
}

fn end(included: &Option<TokenStream>, excluded: &Option<TokenStream>) -> TokenStream {
    match (included, excluded) {
        (_, Some(bound)) => quote!(Bound::Excluded(#bound)),
        (Some(bound), None) => quote!(Bound::Included(#bound)),
        (None, None) => quote!(Bound::Unbounded),
    }
}

#[derive(Clone, Copy)]
enum End {
    Least,
    Most,
    Above,
    Below,
}

struct Listed {
    end: End,
    suffix: &'static str,
    docs: &'static str,
    ty: TokenStream,
    value: TokenStream,
}

fn list(node: &Node) -> Vec<Listed> {
    let limits = &node.limits;
    let ty = match (node.kind.as_deref(), node.format.as_deref()) {
        (Some("integer"), Some("uint32")) => quote!(u32),
        (Some("integer"), Some("uint64")) => quote!(u64),
        (Some("integer"), _) => quote!(i64),
        (Some("number"), _) => quote!(f64),
        _ => quote!(usize),
    };
    let mut listed = Vec::new();
    let is_number = matches!(node.kind.as_deref(), Some("integer" | "number"));
    for (end, suffix, docs, number) in [
        (End::Least, "MIN", "The smallest value", &limits.minimum),
        (End::Most, "MAX", "The largest value", &limits.maximum),
        (
            End::Above,
            "ABOVE",
            "The value that must be exceeded",
            &limits.exclusive_minimum,
        ),
        (
            End::Below,
            "BELOW",
            "The value that must not be reached",
            &limits.exclusive_maximum,
        ),
    ] {
        if let (true, Some(number)) = (is_number, number) {
            let value = number_literal(node, number);
            listed.push(Listed {
                end,
                suffix,
                docs,
                ty: ty.clone(),
                value,
            });
        }
    }
    let (least, most, names) = match node.kind.as_deref() {
        Some("string") => (limits.min_length, limits.max_length, LENGTHS),
        Some("array") => (limits.min_items, limits.max_items, ITEMS),
        _ => (None, None, ITEMS),
    };
    for (end, count, (suffix, docs)) in [(End::Least, least, names.0), (End::Most, most, names.1)] {
        if let Some(count) = count {
            let value = Literal::u64_unsuffixed(count);
            listed.push(Listed {
                end,
                suffix,
                docs,
                ty: quote!(usize),
                value: quote!(#value),
            });
        }
    }
    listed
}

type Named = ((&'static str, &'static str), (&'static str, &'static str));
const LENGTHS: Named = (
    ("MIN_LENGTH", "The fewest characters"),
    ("MAX_LENGTH", "The most characters"),
);
const ITEMS: Named = (
    ("MIN_ITEMS", "The fewest items"),
    ("MAX_ITEMS", "The most items"),
);

/// A number as a literal of the node's type.
fn number_literal(node: &Node, number: &Number) -> TokenStream {
    if node.kind.as_deref() == Some("number") {
        return float(number.as_f64().unwrap_or_default());
    }
    let literal = match (number.as_u64(), number.as_i64()) {
        (Some(number), _) => Literal::u64_unsuffixed(number),
        (None, Some(number)) => Literal::i64_unsuffixed(number),
        (None, None) => Literal::i64_unsuffixed(0),
    };
    quote!(#literal)
}

/// A float as a literal.
pub(super) fn float(number: f64) -> TokenStream {
    let literal = Literal::f64_unsuffixed(number);
    quote!(#literal)
}

impl Context<'_> {
    /// The constants of a struct that a request can carry.
    pub(super) fn constants(&self, definition: &Definition) -> Vec<TokenStream> {
        let mut constants = Vec::new();
        for (_, field) in definition.fields() {
            let rust = rust_name(field).to_string();
            for Listed {
                suffix,
                docs,
                ty,
                value,
                ..
            } in list(field)
            {
                let name = ident(&names::constant_name(&rust, suffix));
                let docs = format!(" {docs} of [`{rust}`](Self::{rust}).");
                constants.push(quote! { #[doc = #docs] pub const #name: #ty = #value; });
            }
            let Some(default) = &field.default else {
                continue;
            };
            if let Some((ty, value)) = self.constant(field, default) {
                let name = ident(&names::constant_name(&rust, "DEFAULT"));
                let docs = format!(" The service's default of [`{rust}`](Self::{rust}).");
                constants.push(quote! { #[doc = #docs] pub const #name: #ty = #value; });
            }
        }
        constants
    }

    /// A value as a constant expression and its type; a struct has none.
    fn constant(&self, node: &Node, value: &Value) -> Option<(TokenStream, TokenStream)> {
        if let Some((name, target)) = self.model.target(node) {
            let type_name = ident(name);
            let value = match target.kind() {
                Kind::Enum(values) => {
                    let index = values.iter().position(|listed| listed == value)?;
                    let variant = ident(target.names.get(index)?);
                    quote!(#type_name::#variant)
                }
                Kind::Union(shapes) => {
                    let shape = shapes.iter().find(|shape| self.model.fits(shape, value))?;
                    // An owned text or list is no constant.
                    if matches!(shape.kind.as_deref(), Some("string" | "array" | "object")) {
                        return None;
                    }
                    let variant = rust_name(shape);
                    let (_, inner) = self.constant(shape, value)?;
                    quote!(#type_name::#variant(#inner))
                }
                Kind::Object | Kind::Alias => return None,
            };
            return Some((quote!(#type_name), value));
        }
        Some(match (node.kind.as_deref()?, value) {
            ("boolean", Value::Bool(truth)) => (quote!(bool), quote!(#truth)),
            ("string", Value::String(text)) => (quote!(&'static str), quote!(#text)),
            ("number", Value::Number(number)) => (quote!(f64), number_literal(node, number)),
            ("integer", Value::Number(number)) => {
                let ty = match node.format.as_deref() {
                    Some("uint32") => quote!(u32),
                    Some("uint64") => quote!(u64),
                    _ => quote!(i64),
                };
                (ty, number_literal(node, number))
            }
            ("array", Value::Array(items)) => {
                let item = node.items.as_deref().filter(|item| !item.nullable)?;
                let mut ty = None;
                let mut values = Vec::new();
                for value in items {
                    let (item_type, value) = self.constant(item, value)?;
                    ty = Some(item_type);
                    values.push(value);
                }
                let ty = ty?;
                (quote!(&'static [#ty]), quote!(&[#(#values),*]))
            }
            _ => return None,
        })
    }
}
