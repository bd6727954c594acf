//! Inside a crate the arrows point down: no circle of files.
//!
//! A path in a file is an arrow to the file of the module that the path leads to. The declaration
//! of a child module is no arrow; a re-export of the child's items is one. A path to an item that a
//! module only re-exports leads to that module.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;

use super::modules::{Crate, crates};

/// The arrows of a crate: from file to file, with the paths that make them.
pub(super) type Arrows = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

#[test]
fn no_files_of_a_crate_use_each_other_in_a_circle() {
    let mut circles = String::new();
    for krate in crates() {
        let arrows = arrows(&krate);
        assert!(
            krate.modules.len() < 3 || !arrows.is_empty(),
            "{} has arrows",
            krate.name
        );
        for files in circles_of(&arrows) {
            circles.push_str(&describe(&krate.name, &arrows, &files));
        }
    }
    assert!(circles.is_empty(), "\n{circles}");
}

#[test]
fn every_way_to_write_a_path_is_an_arrow() {
    let source = "
        use crate::a::{self, b::{C as D, E}, F};
        pub use inner::*;
        #[serde(with = \"crate::attribute\")]
        /// Docs may name [`crate::docs`].
        struct S<'a>(super::G, &'a str);
        fn f() {
            use self::inside::H;
            a::deep::call::<crate::turbo::Fish>(vec![crate::r#macro::M]);
            std::mem::take(x);
        }
    ";
    let mut paths = Vec::new();
    scan(source.parse().unwrap(), &mut paths);
    let paths: Vec<String> = paths.iter().map(|path| path.join("::")).collect();
    let expected = [
        "crate::a",
        "crate::a::b::C",
        "crate::a::b::E",
        "crate::a::F",
        "inner::*",
        "crate::attribute",
        "super::G",
        "self::inside::H",
        "a::deep::call",
        "crate::turbo::Fish",
        "crate::macro::M",
        "std::mem::take",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn a_circle_is_told_with_its_files_and_paths() {
    let arrow = |to: &str, path: &str| (to.to_owned(), BTreeSet::from([path.to_owned()]));
    let arrows: Arrows = BTreeMap::from([
        (
            "a.rs".to_owned(),
            BTreeMap::from([arrow("b.rs", "crate::b::B"), arrow("c.rs", "crate::c::C")]),
        ),
        (
            "b.rs".to_owned(),
            BTreeMap::from([arrow("c.rs", "super::c::C")]),
        ),
        (
            "c.rs".to_owned(),
            BTreeMap::from([arrow("b.rs", "crate::b::D")]),
        ),
    ]);
    let circles = circles_of(&arrows);
    assert_eq!(
        circles,
        [BTreeSet::from(["b.rs", "c.rs"])],
        "a.rs is in no circle"
    );
    let told = describe("uso", &arrows, &circles[0]);
    assert!(told.contains("b.rs -> c.rs: super::c::C"), "{told}");
    assert!(told.contains("c.rs -> b.rs: crate::b::D"), "{told}");
}

pub(super) fn arrows(krate: &Crate) -> Arrows {
    let mut arrows = Arrows::new();
    for (here, module) in &krate.modules {
        let mut paths = Vec::new();
        for item in &module.items {
            scan(item.to_token_stream(), &mut paths);
        }
        let aliases = aliases(krate, here, &paths);
        for path in paths {
            let Some(target) = target(krate, here, &aliases, &path) else {
                continue;
            };
            let file = &krate.modules[&target].file;
            if *file != module.file {
                let from = arrows.entry(module.file.clone()).or_default();
                from.entry(file.clone())
                    .or_default()
                    .insert(path.join("::"));
            }
        }
    }
    arrows
}

/// The modules that a module imports, by their names there.
fn aliases(krate: &Crate, here: &[String], paths: &[Vec<String>]) -> BTreeMap<String, Vec<String>> {
    let mut aliases = BTreeMap::new();
    for path in paths.iter().filter(|path| path.len() > 1) {
        if let Some(found) = target(krate, here, &BTreeMap::new(), path)
            && found.last() == path.last()
        {
            aliases.insert(path.last().unwrap().clone(), found);
        }
    }
    aliases
}

/// The module that a path leads to, if it is one of the crate.
fn target(
    krate: &Crate,
    here: &[String],
    aliases: &BTreeMap<String, Vec<String>>,
    path: &[String],
) -> Option<Vec<String>> {
    let mut at = here.to_vec();
    let mut rest = path;
    let first = rest.first()?;
    match first.as_str() {
        "crate" => at.clear(),
        "self" => {}
        "super" => {
            while rest.first().is_some_and(|step| step == "super") {
                at.pop();
                rest = &rest[1..];
            }
            return Some(descend(krate, at, rest));
        }
        name => {
            at.push(name.to_owned());
            if !krate.modules.contains_key(&at) {
                at.clone_from(aliases.get(name)?);
            }
        }
    }
    Some(descend(krate, at, &rest[1..]))
}

fn descend(krate: &Crate, mut at: Vec<String>, rest: &[String]) -> Vec<String> {
    for step in rest {
        at.push(step.clone());
        if !krate.modules.contains_key(&at) {
            at.pop();
            break;
        }
    }
    at
}

/// Collects every path of two steps and more, in any place: imports, types, expressions, macros
/// and the texts of attributes.
fn scan(tokens: TokenStream, paths: &mut Vec<Vec<String>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                let group = tokens[at + 1..]
                    .iter()
                    .take(2)
                    .find_map(|token| match token {
                        TokenTree::Group(group) => Some(group.stream()),
                        _ => None,
                    });
                let group = group.unwrap_or_default();
                if !group.to_string().starts_with("doc") {
                    scan_attribute(group, paths);
                }
                at += 1;
                while !matches!(tokens.get(at), Some(TokenTree::Group(_)) | None) {
                    at += 1;
                }
                at += 1;
            }
            TokenTree::Group(group) => {
                scan(group.stream(), paths);
                at += 1;
            }
            TokenTree::Ident(_) => at = scan_path(&tokens, at, &[], paths),
            _ => at += 1,
        }
    }
}

/// Reads a path that starts at an identifier; returns where it ends.
fn scan_path(
    tokens: &[TokenTree],
    mut at: usize,
    prefix: &[String],
    paths: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(ident)) => {
                let name = ident.to_string();
                let name = name.trim_start_matches("r#");
                // `{self}` in an import names what stands before it.
                if name != "self" || path.is_empty() {
                    path.push(name.to_owned());
                }
                at += 1;
            }
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                path.push("*".to_owned());
                at += 1;
                break;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ',');
                for part in inner.split(is_comma).filter(|part| !part.is_empty()) {
                    scan_path(part, 0, &path, paths);
                }
                return at + 1;
            }
            // `::<…>`: what stands in it is scanned by the caller.
            _ => break,
        }
        if !is_separator(tokens, at) {
            break;
        }
        at += 2;
    }
    if path.len() > 1 {
        paths.push(path);
    }
    at
}

fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    let is_colon =
        |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    is_colon(at) && is_colon(at + 1)
}

/// Attributes name functions in texts, as in `with = "crate::a"`.
fn scan_attribute(tokens: TokenStream, paths: &mut Vec<Vec<String>>) {
    for token in tokens.clone() {
        match token {
            TokenTree::Group(group) => scan_attribute(group.stream(), paths),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let text = text.trim_matches('"');
                if let Ok(path) = syn::parse_str::<syn::Path>(text) {
                    scan(path.to_token_stream(), paths);
                }
            }
            _ => {}
        }
    }
}

/// The sets of files that reach each other.
fn circles_of(arrows: &Arrows) -> Vec<BTreeSet<&str>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = arrows
        .keys()
        .map(|file| (file.as_str(), reachable(arrows, file)))
        .collect();
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for (file, reached) in &reach {
        if !reached.contains(file) || circles.iter().any(|circle| circle.contains(file)) {
            continue;
        }
        let both = |other: &&str| reach.get(other).is_some_and(|back| back.contains(file));
        circles.push(reached.iter().copied().filter(both).collect());
    }
    circles
}

fn reachable<'a>(arrows: &'a Arrows, from: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = vec![from];
    while let Some(file) = open.pop() {
        for next in arrows.get(file).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    seen
}

fn describe(krate: &str, arrows: &Arrows, files: &BTreeSet<&str>) -> String {
    let mut text = format!(
        "{krate}: {} files use each other in a circle:\n",
        files.len()
    );
    for from in files {
        for (to, paths) in arrows.get(*from).into_iter().flatten() {
            if files.contains(to.as_str()) {
                let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
                text.push_str(&format!("  {from} -> {to}: {}\n", paths.join(", ")));
            }
        }
    }
    text
}
