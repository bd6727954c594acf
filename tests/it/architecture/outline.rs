//! The outline of the facade's public API, which a person reviews.

use std::collections::BTreeMap;

use syn::{Item, UseTree, Visibility};
use xtask::codegen::outline::outline;

use super::modules::{Crate, attributes, crates};

#[test]
fn the_public_api_of_the_facade_is_as_accepted() {
    let crates = libraries();
    let mut text = String::new();
    for (path, names) in public_modules(&crates, "uso", &[]) {
        text.push_str(&format!("# {path}\n\n"));
        for (name, target) in names {
            match target {
                Some(Named::Item(krate, module, item)) => {
                    text.push_str(&describe_item(&crates, krate, module, &name, item));
                }
                Some(Named::Module(..)) => {}
                None => text.push_str(&format!("use {name}\n\n")),
            }
        }
    }
    assert!(text.contains("struct Client"), "the outline is not empty");
    crate::codegen::snapshot("facade-outline", "The public API of the facade.", &text);
}

pub(super) type Crates = BTreeMap<String, Crate>;

pub(super) fn libraries() -> Crates {
    crates()
        .into_iter()
        .filter(|krate| krate.is_library)
        .map(|krate| (krate.name.replace('-', "_"), krate))
        .collect()
}

/// What a name stands for, after all re-exports.
pub(super) enum Named<'a> {
    Item(&'a str, &'a [String], &'a Item),
    Module(&'a str, &'a [String]),
}

/// The public names of a module and of the public modules below, by the module's path.
pub(super) fn public_modules<'a>(
    crates: &'a Crates,
    krate: &'a str,
    module: &[String],
) -> Vec<(String, BTreeMap<String, Option<Named<'a>>>)> {
    let path = [&[krate.to_owned()], module].concat().join("::");
    let names = public_names(crates, krate, module);
    let mut below: Vec<(&str, &[String])> = Vec::new();
    for target in names.values() {
        if let Some(Named::Module(krate, module)) = target {
            below.push((krate, module));
        }
    }
    for (child, found) in &crates[krate].modules {
        if found.is_public && child.len() == module.len() + 1 && child.starts_with(module) {
            below.push((krate, child));
        }
    }
    let mut all = vec![(path, names)];
    for (krate, module) in below {
        all.extend(public_modules(crates, krate, module));
    }
    all
}

fn public_names<'a>(
    crates: &'a Crates,
    krate: &'a str,
    module: &[String],
) -> BTreeMap<String, Option<Named<'a>>> {
    let mut names = BTreeMap::new();
    let (path, found) = crates[krate].modules.get_key_value(module).unwrap();
    for item in &found.items {
        if let Item::Use(import) = item {
            if matches!(import.vis, Visibility::Public(_)) {
                for (name, steps) in leaves(&import.tree) {
                    assert_ne!(name, "*", "{krate} re-exports by name");
                    let target = resolve(crates, krate, path, &steps);
                    let target_text = steps.join("::");
                    let name = if target.is_some() { name } else { target_text };
                    names.insert(name, target);
                }
            }
        } else if let Some((name, true)) = name_of(item) {
            names.insert(name, Some(Named::Item(&crates[krate].name, path, item)));
        }
    }
    names
}

fn describe_item(
    crates: &Crates,
    krate: &str,
    module: &[String],
    name: &str,
    item: &Item,
) -> String {
    let defined = name_of(item).map(|(name, _)| name).unwrap_or_default();
    let file = syn::File {
        shebang: None,
        frontmatter: None,
        attrs: Vec::new(),
        items: with_impls(crates, krate, module, item),
    };
    let mut text = outline(&file);
    if defined != name {
        text.push_str(&format!("{defined} is exported as {name}\n"));
    }
    let derives = attributes(item)
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"));
    for derive in derives {
        if let syn::Meta::List(list) = &derive.meta {
            text.push_str(&format!(
                "derives {}\n",
                list.tokens.to_string().replace(" ,", ",")
            ));
        }
    }
    text.push('\n');
    text
}

/// An item, and the blocks of its crate that implement something for it.
pub(super) fn with_impls(
    crates: &Crates,
    krate: &str,
    module: &[String],
    item: &Item,
) -> Vec<Item> {
    let defined = name_of(item).map(|(name, _)| name).unwrap_or_default();
    let krate = krate.replace('-', "_");
    let mut items = vec![item.clone()];
    for (other, found) in &crates[&krate].modules {
        for candidate in &found.items {
            let Item::Impl(block) = candidate else {
                continue;
            };
            let syn::Type::Path(owner) = &*block.self_ty else {
                continue;
            };
            let is_named = owner
                .path
                .segments
                .last()
                .is_some_and(|last| last.ident == defined);
            let steps: Vec<String> = owner
                .path
                .segments
                .iter()
                .map(|step| step.ident.to_string())
                .collect();
            let is_same = || match resolve(crates, &krate, other, &steps) {
                Some(Named::Item(_, home, _)) => home == module,
                _ => false,
            };
            if is_named && is_same() {
                items.push(candidate.clone());
            }
        }
    }
    items
}

/// The names that an import brings, each with the path that it stands for.
fn leaves(tree: &UseTree) -> Vec<(String, Vec<String>)> {
    match tree {
        UseTree::Path(path) => {
            let step = path.ident.to_string();
            let below = leaves(&path.tree).into_iter();
            below
                .map(|(name, steps)| match steps.as_slice() {
                    [only] if only == "self" => (step.clone(), vec![step.clone()]),
                    _ => (name, [vec![step.clone()], steps].concat()),
                })
                .collect()
        }
        UseTree::Name(name) => vec![(name.ident.to_string(), vec![name.ident.to_string()])],
        UseTree::Rename(rename) => {
            vec![(rename.rename.to_string(), vec![rename.ident.to_string()])]
        }
        UseTree::Glob(_) => vec![("*".to_owned(), vec!["*".to_owned()])],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

/// Follows a path from a module to what it names, through re-exports and into our other crates.
fn resolve<'a>(
    crates: &'a Crates,
    krate: &str,
    module: &[String],
    steps: &[String],
) -> Option<Named<'a>> {
    let (krate, home) = crates.get_key_value(krate)?;
    let mut at = home.modules.get_key_value(module)?.0.clone();
    let mut rest = steps;
    match rest.first()?.as_str() {
        "crate" => {
            at.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|step| step == "super") {
                at.pop();
                rest = &rest[1..];
            }
        }
        first if crates.contains_key(first) && first != krate.as_str() => {
            return resolve(
                crates,
                first,
                &[],
                &[&["crate".to_owned()], &rest[1..]].concat(),
            );
        }
        _ => {}
    }
    let Some((name, after)) = rest.split_first() else {
        return Some(Named::Module(krate, home.modules.get_key_value(&at)?.0));
    };
    let child = [at.as_slice(), std::slice::from_ref(name)].concat();
    if home.modules.contains_key(&child) {
        let rest = [&["self".to_owned()], after].concat();
        return resolve(crates, krate, &child, &rest);
    }
    let (at, found) = home.modules.get_key_value(&at)?;
    for item in &found.items {
        if name_of(item).is_some_and(|(found, _)| found == *name) {
            return Some(Named::Item(krate, at, item));
        }
        let Item::Use(import) = item else { continue };
        for (imported, steps) in leaves(&import.tree) {
            let steps = if imported == *name {
                [steps.as_slice(), after].concat()
            } else if imported == "*" {
                [&steps[..steps.len() - 1], rest].concat()
            } else {
                continue;
            };
            if let Some(named) = resolve(crates, krate, at, &steps) {
                return Some(named);
            }
        }
    }
    None
}

/// An item's name, and whether the item is public.
fn name_of(item: &Item) -> Option<(String, bool)> {
    let (name, visibility) = match item {
        Item::Const(item) => (&item.ident, &item.vis),
        Item::Enum(item) => (&item.ident, &item.vis),
        Item::Fn(item) => (&item.sig.ident, &item.vis),
        Item::Struct(item) => (&item.ident, &item.vis),
        Item::Trait(item) => (&item.ident, &item.vis),
        Item::Type(item) => (&item.ident, &item.vis),
        _ => return None,
    };
    Some((
        name.to_string(),
        matches!(visibility, Visibility::Public(_)),
    ))
}
