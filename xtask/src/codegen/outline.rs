//! Outline of a file's public API, for the review of a change.

use quote::ToTokens;
use syn::{ImplItem, Item, TraitItem, Visibility};

/// Lists the public items, one line each.
pub fn outline(file: &syn::File) -> String {
    let mut lines: Vec<String> = Vec::new();
    for item in &file.items {
        match item {
            Item::Const(item) if is_public(&item.vis) => {
                lines.push(format!(
                    "const {}: {} = {}",
                    item.ident,
                    text(&item.ty),
                    text(&item.expr)
                ));
            }
            Item::Fn(item) if is_public(&item.vis) => lines.push(text(&item.sig)),
            Item::Trait(item) => {
                lines.push(String::new());
                let bounds = text(&item.supertraits);
                lines.push(
                    format!("trait {}: {bounds}", item.ident)
                        .trim_end_matches(": ")
                        .to_owned(),
                );
                for member in &item.items {
                    if let TraitItem::Fn(member) = member {
                        lines.push(format!("    {}", text(&member.sig)));
                    }
                }
            }
            Item::Type(item) => lines.push(format!("type {} = {}", item.ident, text(&item.ty))),
            Item::Struct(item) => {
                lines.push(String::new());
                lines.push(format!("struct {}{}", item.ident, growing(&item.attrs)));
                let fields = item.fields.iter().enumerate();
                for (index, field) in fields.filter(|(_, field)| is_public(&field.vis)) {
                    let name = field
                        .ident
                        .as_ref()
                        .map_or_else(|| index.to_string(), ToString::to_string);
                    lines.push(format!(
                        "    {name}: {}{}",
                        text(&field.ty),
                        wire_name(&field.attrs)
                    ));
                }
            }
            Item::Enum(item) => {
                lines.push(String::new());
                lines.push(format!("enum {}{}", item.ident, growing(&item.attrs)));
                for variant in &item.variants {
                    let mut fields = variant.fields.clone();
                    fields.iter_mut().for_each(|field| field.attrs.clear());
                    let fields = text(&fields);
                    lines.push(format!(
                        "    {}{fields}{}",
                        variant.ident,
                        wire_name(&variant.attrs)
                    ));
                }
            }
            Item::Impl(item) if item.trait_.is_none() => {
                lines.push(format!("impl {}", text(&item.self_ty)));
                for member in &item.items {
                    match member {
                        ImplItem::Const(member) if is_public(&member.vis) => {
                            lines.push(format!(
                                "    const {}: {} = {}",
                                member.ident,
                                text(&member.ty),
                                text(&member.expr)
                            ));
                        }
                        ImplItem::Fn(member) if is_public(&member.vis) => {
                            lines.push(format!("    {}", text(&member.sig)));
                        }
                        _ => {}
                    }
                }
            }
            Item::Impl(item) => {
                // The check is the crate's own business.
                let public = |path: &&(syn::Path, _)| !path.0.is_ident("Check");
                if let Some((path, _)) = item.trait_.as_ref().filter(public) {
                    lines.push(format!("impl {} for {}", text(path), text(&item.self_ty)));
                }
            }
            _ => {}
        }
    }
    format!("{}\n", lines.join("\n").trim_start())
}

/// Whether additions break no caller.
fn growing(attributes: &[syn::Attribute]) -> &'static str {
    let growing = attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("non_exhaustive"));
    if growing { ", non-exhaustive" } else { "" }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The name in JSON, where it differs.
fn wire_name(attributes: &[syn::Attribute]) -> String {
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
    {
        let mut name = None;
        // Other keys of the attribute do not matter here.
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") {
                name = Some(meta.value()?.parse::<syn::LitStr>()?.value());
            } else if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<syn::Expr>()?;
            }
            Ok(())
        });
        if let Some(name) = name {
            return format!(" = {name:?}");
        }
    }
    String::new()
}

/// Tokens as people write them.
fn text(tokens: &impl ToTokens) -> String {
    let text = tokens.to_token_stream().to_string();
    [
        (" :: ", "::"),
        (" < ", "<"),
        (" >", ">"),
        ("< ", "<"),
        ("& ", "&"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" ,", ","),
        (" : ", ": "),
        ("[ ", "["),
        (" ]", "]"),
        (" .", "."),
        (" :", ":"),
        ("- ", "-"),
        (" <", "<"),
    ]
    .iter()
    .fold(text, |text, (from, to)| text.replace(from, to))
}
