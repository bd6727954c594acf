//! The modules of a crate, read from its source files with `syn`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, Visibility};

/// A crate of the workspace.
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) is_library: bool,
    /// Its modules by path; the root has an empty path.
    pub(super) modules: BTreeMap<Vec<String>, Module>,
}

/// A module outside of tests.
pub(super) struct Module {
    /// The file from the root of the repository; an inline module has the file of its parent.
    pub(super) file: String,
    pub(super) is_public: bool,
    pub(super) items: Vec<Item>,
}

/// Every crate in `crates` and the project's tasks: each library, and each program of its own.
pub(super) fn crates() -> Vec<Crate> {
    let root = uso_tests::rig::file("..");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root.join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect();
    folders.push(root.join("xtask"));
    folders.sort();
    let mut crates = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap().to_str().unwrap();
        for start in ["lib.rs", "main.rs"] {
            let start = folder.join("src").join(start);
            if start.is_file() {
                crates.push(read(name, &start));
            }
        }
    }
    assert!(crates.len() >= 8, "the crates are found");
    crates
}

fn read(name: &str, start: &Path) -> Crate {
    let mut modules = BTreeMap::new();
    let items = parse(start);
    let folder = start.parent().unwrap().to_owned();
    add(&mut modules, Vec::new(), (start, &folder), true, items);
    let name = name.to_owned();
    let is_library = start.ends_with("lib.rs");
    Crate {
        name,
        is_library,
        modules,
    }
}

fn parse(file: &Path) -> Vec<Item> {
    let source =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let parsed = syn::parse_file(&source);
    parsed
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        .items
}

/// Adds a module and those in it. `folder` is where the files of its child modules are.
fn add(
    modules: &mut BTreeMap<Vec<String>, Module>,
    path: Vec<String>,
    (file, folder): (&Path, &Path),
    is_public: bool,
    items: Vec<Item>,
) {
    let mut own = Vec::new();
    for item in items {
        if is_for_tests(attributes(&item)) {
            continue;
        }
        let Item::Mod(module) = item else {
            own.push(item);
            continue;
        };
        assert!(
            !module
                .attrs
                .iter()
                .any(|attribute| attribute.path().is_ident("path")),
            "{}: a module's file has the module's name",
            file.display()
        );
        let name = module.ident.to_string();
        let path = [path.as_slice(), std::slice::from_ref(&name)].concat();
        let is_public = matches!(module.vis, Visibility::Public(_));
        let below = folder.join(&name);
        match module.content {
            Some((_, items)) => add(modules, path, (file, &below), is_public, items),
            None => {
                let file = folder.join(format!("{name}.rs"));
                let items = parse(&file);
                add(modules, path, (&file, &below), is_public, items);
            }
        }
    }
    let root = uso_tests::rig::file("..");
    let file = file.strip_prefix(&root).unwrap_or(file);
    let file = file.to_str().unwrap().to_owned();
    let items = own;
    modules.insert(
        path,
        Module {
            file,
            is_public,
            items,
        },
    );
}

/// Whether an item is compiled only for tests.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        path.is_ident("test")
            || (path.is_ident("cfg") && {
                let condition = quote::ToTokens::to_token_stream(&attribute.meta).to_string();
                let mut words = condition.split(|c: char| !c.is_alphanumeric() && c != '_');
                words.any(|word| word == "test") && !condition.contains("not")
            })
    })
}

pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
