//! Docs of the public API: examples that readers of the facade can copy, and what every call says.

use std::collections::BTreeSet;

use syn::visit_mut::VisitMut;
use syn::{Attribute, ImplItem, Item, Visibility};

use super::modules::Crate;
use super::outline::{Named, libraries, public_modules, with_impls};

/// The crates whose items the facade exports.
const BEHIND_THE_FACADE: [&str; 3] = ["uso_transport", "uso_types", "uso_webhook"];

/// The doc comments of items and of everything in them, line by line.
#[derive(Default)]
struct Docs {
    lines: Vec<String>,
}

impl VisitMut for Docs {
    fn visit_attribute_mut(&mut self, attribute: &mut Attribute) {
        self.lines.extend(doc(attribute));
    }
}

/// The line of a doc comment.
fn doc(attribute: &Attribute) -> Option<String> {
    let value = &attribute.meta.require_name_value().ok()?.value;
    match value {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(line),
            ..
        }) if attribute.path().is_ident("doc") => Some(line.value()),
        _ => None,
    }
}

/// The lines of examples that a page shows.
fn shown(lines: &[String]) -> Vec<&str> {
    let mut shown = Vec::new();
    let mut is_example = false;
    for line in lines.iter().map(|line| line.trim()) {
        if line.starts_with("```") {
            is_example = !is_example;
        } else if is_example && line != "#" && !line.starts_with("# ") {
            shown.push(line);
        }
    }
    shown
}

#[test]
fn the_examples_of_the_facade_s_items_name_no_crate_behind_it() {
    let crates = libraries();
    let (mut found, mut count) = (String::new(), 0);
    for (path, names) in public_modules(&crates, "uso", &[]) {
        for (name, target) in names {
            let Some(Named::Item(krate, module, item)) = target else {
                continue;
            };
            let mut docs = Docs::default();
            for mut item in with_impls(&crates, krate, module, item) {
                docs.visit_item_mut(&mut item);
            }
            for line in shown(&docs.lines) {
                count += 1;
                if BEHIND_THE_FACADE.iter().any(|krate| line.contains(krate)) {
                    found.push_str(&format!("{path}::{name}: {line}\n"));
                }
            }
        }
    }
    assert!(count > 100, "the examples are found: {count} lines");
    assert!(found.is_empty(), "\n{found}");
}

/// Whether a public function waits and says nothing of what dropping its future does.
fn is_silent(visibility: &Visibility, signature: &syn::Signature, docs: &[Attribute]) -> bool {
    matches!(visibility, Visibility::Public(_)) && signature.asyncness.is_some() && !says(docs)
}

/// Whether docs say what dropping a future does.
fn says(docs: &[Attribute]) -> bool {
    let is_heading = |line: String| line.trim() == "# Cancel safety";
    docs.iter().filter_map(doc).any(is_heading)
}

/// The names of a crate's types whose docs say it for all their calls.
fn types_that_say(krate: &Crate) -> BTreeSet<&syn::Ident> {
    let items = krate.modules.values().flat_map(|module| &module.items);
    let types = items.filter_map(|item| match item {
        Item::Struct(of) if says(&of.attrs) => Some(&of.ident),
        _ => None,
    });
    types.collect()
}

#[test]
fn every_call_that_waits_says_what_dropping_it_does() {
    let crates = libraries();
    let mut found = String::new();
    for krate in ["uso", "uso_transport", "uso_webhook", "uso_journal"] {
        let say_it = types_that_say(&crates[krate]);
        for module in crates[krate].modules.values() {
            let mut silent = |name: &syn::Ident| {
                found.push_str(&format!("{}: {name}\n", module.file));
            };
            for item in &module.items {
                match item {
                    Item::Fn(call) if is_silent(&call.vis, &call.sig, &call.attrs) => {
                        silent(&call.sig.ident);
                    }
                    Item::Impl(block) if !say_it.iter().any(|name| is_of(block, name)) => {
                        for member in &block.items {
                            if let ImplItem::Fn(call) = member
                                && is_silent(&call.vis, &call.sig, &call.attrs)
                            {
                                silent(&call.sig.ident);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

/// Whether a block is of the type with this name.
fn is_of(block: &syn::ItemImpl, name: &syn::Ident) -> bool {
    match &*block.self_ty {
        syn::Type::Path(of) => of.path.segments.last().is_some_and(|of| of.ident == *name),
        _ => false,
    }
}
