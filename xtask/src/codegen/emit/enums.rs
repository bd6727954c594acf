//! Enumerations: closed in requests, open in results.

use proc_macro2::TokenStream;
use quote::quote;
use serde_json::Value;
use syn::Ident;

use super::checks;
use super::context::{Context, fallback, ident, is_open};
use super::prose;
use crate::codegen::model::Definition;

/// Writes an enumeration of texts or of whole numbers.
pub(super) fn enumeration(
    context: &Context<'_>,
    name: &str,
    definition: &Definition,
    values: &[Value],
) -> TokenStream {
    let parts = Parts {
        name: ident(name),
        variants: definition.names.iter().map(|name| ident(name)).collect(),
        values,
        docs: prose::comment(&context.type_docs(name, definition)),
        derive: context.schema_derive(),
        fallback: ident(fallback(&definition.names)),
    };
    let items = match (values.iter().all(Value::is_string), is_open(definition)) {
        (true, false) => parts.closed_texts(),
        (true, true) => parts.open_texts(),
        (false, open) => parts.integers(open),
    };
    let check = checks::of_enum(context, name, definition);
    quote! { #items #check }
}

struct Parts<'a> {
    name: Ident,
    variants: Vec<Ident>,
    values: &'a [Value],
    docs: TokenStream,
    derive: Option<TokenStream>,
    fallback: Ident,
}

impl Parts<'_> {
    fn texts(&self) -> Vec<&str> {
        self.values.iter().filter_map(Value::as_str).collect()
    }

    fn all(&self) -> TokenStream {
        let variants = &self.variants;
        quote! {
            /// Every listed value, in the order of the schema.
            pub const ALL: &'static [Self] = &[#(Self::#variants),*];
        }
    }

    fn variant_docs(&self) -> Vec<TokenStream> {
        let text = |value: &Value| match value {
            Value::String(text) if text.is_empty() => "The empty value.".to_owned(),
            Value::String(text) if text.contains('`') => format!("The value {text:?}."),
            Value::String(text) => format!("The value `{}`.", text.trim()),
            number => format!("The value {number}."),
        };
        self.values
            .iter()
            .map(|value| prose::comment(&[text(value)]))
            .collect()
    }

    fn closed_texts(&self) -> TokenStream {
        let Self {
            name,
            variants,
            docs,
            derive,
            ..
        } = self;
        let (texts, variant_docs, all) = (self.texts(), self.variant_docs(), self.all());
        // One value leaves no choice, so it is the default.
        let (default, mark) = if variants.len() == 1 {
            (Some(quote!(Default,)), Some(quote!(#[default])))
        } else {
            (None, None)
        };
        quote! {
            #docs
            #[derive(Clone, Copy, Debug, #default PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #derive
            #[non_exhaustive]
            pub enum #name {
                #(#variant_docs #[serde(rename = #texts)] #mark #variants),*
            }

            impl #name {
                #all

                const TEXTS: &'static [&'static str] = &[#(#texts),*];

                /// The value as JSON has it.
                pub const fn as_str(self) -> &'static str {
                    match self {
                        #(Self::#variants => #texts),*
                    }
                }
            }

            impl Display for #name {
                fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
                    formatter.pad(self.as_str())
                }
            }

            impl FromStr for #name {
                type Err = UnknownValue;

                fn from_str(text: &str) -> Result<Self, UnknownValue> {
                    match text {
                        #(#texts => Ok(Self::#variants),)*
                        _ => Err(UnknownValue::new(text, Self::TEXTS)),
                    }
                }
            }
        }
    }

    fn open_texts(&self) -> TokenStream {
        let Self {
            name,
            variants,
            docs,
            derive,
            fallback,
            ..
        } = self;
        let (texts, variant_docs, all) = (self.texts(), self.variant_docs(), self.all());
        quote! {
            #docs
            #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #derive
            #[serde(from = "String", into = "String")]
            #[non_exhaustive]
            pub enum #name {
                #(#variant_docs #variants,)*
                /// A value that the schema does not list.
                #fallback(String),
            }

            impl #name {
                #all

                /// The value as JSON has it.
                pub fn as_str(&self) -> &str {
                    match self {
                        #(Self::#variants => #texts,)*
                        Self::#fallback(text) => text,
                    }
                }
            }

            impl Display for #name {
                fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
                    formatter.pad(self.as_str())
                }
            }

            impl From<&str> for #name {
                fn from(text: &str) -> Self {
                    match text {
                        #(#texts => Self::#variants,)*
                        _ => Self::#fallback(text.to_owned()),
                    }
                }
            }

            impl From<String> for #name {
                fn from(text: String) -> Self {
                    Self::from(text.as_str())
                }
            }

            impl From<#name> for String {
                fn from(value: #name) -> Self {
                    value.as_str().to_owned()
                }
            }
        }
    }

    fn integers(&self, open: bool) -> TokenStream {
        let Self {
            name,
            variants,
            docs,
            derive,
            fallback,
            ..
        } = self;
        let (variant_docs, all) = (self.variant_docs(), self.all());
        let numbers: Vec<_> = self
            .values
            .iter()
            .filter_map(Value::as_i64)
            .map(proc_macro2::Literal::i64_unsuffixed)
            .collect();
        let schema = derive.as_ref().map(|derive| {
            quote! { #derive #[cfg_attr(feature = "schemars", schemars(with = "i64"))] }
        });
        let kept = open.then(|| {
            quote! {
                /// A value that the schema does not list.
                #fallback(i64),
            }
        });
        let kept_number = open.then(|| quote! { Self::#fallback(number) => number, });
        let read = if open {
            quote! {
                impl From<i64> for #name {
                    fn from(number: i64) -> Self {
                        match number {
                            #(#numbers => Self::#variants,)*
                            _ => Self::#fallback(number),
                        }
                    }
                }

                impl<'de> Deserialize<'de> for #name {
                    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                        i64::deserialize(deserializer).map(Self::from)
                    }
                }
            }
        } else {
            quote! {
                impl TryFrom<i64> for #name {
                    type Error = UnknownValue;

                    fn try_from(number: i64) -> Result<Self, UnknownValue> {
                        match number {
                            #(#numbers => Ok(Self::#variants),)*
                            _ => Err(UnknownValue::new(&number.to_string(), Self::TEXTS)),
                        }
                    }
                }

                impl<'de> Deserialize<'de> for #name {
                    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                        Self::try_from(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
                    }
                }
            }
        };
        let texts: Vec<String> = self.values.iter().map(Value::to_string).collect();
        let texts =
            (!open).then(|| quote! { const TEXTS: &'static [&'static str] = &[#(#texts),*]; });
        quote! {
            #docs
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            #schema
            #[non_exhaustive]
            pub enum #name {
                #(#variant_docs #variants,)*
                #kept
            }

            impl #name {
                #all

                #texts

                /// The value as JSON has it.
                pub const fn as_i64(self) -> i64 {
                    match self {
                        #(Self::#variants => #numbers,)*
                        #kept_number
                    }
                }
            }

            impl Display for #name {
                fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
                    Display::fmt(&self.as_i64(), formatter)
                }
            }

            #read

            impl Serialize for #name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_i64(self.as_i64())
                }
            }
        }
    }
}
