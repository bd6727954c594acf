//! The code map, `crates/README.md`, lists every module, and names tests that exist.

use std::collections::BTreeSet;

use super::modules::crates;

fn map() -> String {
    std::fs::read_to_string(uso_tests::rig::file("../crates/README.md")).unwrap()
}

/// The modules that the map lists: the items under the heading of each crate.
fn listed(map: &str) -> BTreeSet<String> {
    let mut listed = BTreeSet::new();
    let mut krate = "";
    for line in map.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            krate = heading
                .split(' ')
                .next()
                .unwrap_or_default()
                .trim_matches('`');
        } else if let Some(item) = line.strip_prefix("- `") {
            let (module, text) = item.split_once('`').unwrap_or((item, ""));
            assert!(
                text.len() > 10,
                "{krate}: `{module}` has a line about its content"
            );
            let is_new = listed.insert(format!("{krate} {module}"));
            assert!(is_new, "{krate}: `{module}` is listed twice");
        }
    }
    listed
}

#[test]
fn every_module_is_in_the_code_map_and_no_other() {
    let modules: BTreeSet<String> = crates()
        .iter()
        .filter(|krate| krate.is_library)
        .flat_map(|krate| {
            // An inline module is a part of its file.
            let in_file =
                |path: &[String], file: &str| file.ends_with(&format!("/{}.rs", path.join("/")));
            let modules = krate
                .modules
                .iter()
                .filter(move |(path, module)| in_file(path, &module.file));
            modules.map(|(path, _)| format!("{} {}", krate.name, path.join("::")))
        })
        .collect();
    let listed = listed(&map());
    let missing: Vec<&String> = modules.difference(&listed).collect();
    let gone: Vec<&String> = listed.difference(&modules).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "crates/README.md lacks {missing:#?}\nand lists modules that do not exist: {gone:#?}"
    );
}

/// Whether a test of this name, as `cargo test` prints it, is in the file of its module.
fn exists(test: &str) -> bool {
    let (module, name) = test.rsplit_once("::").unwrap();
    let file = uso_tests::rig::file(&format!("it/{}.rs", module.replace("::", "/")));
    let source = std::fs::read_to_string(file).unwrap_or_default();
    let Some((before, _)) = source.split_once(&format!("fn {name}(")) else {
        return false;
    };
    // A blank line separates an item and its attributes from the item before.
    let own = before.rsplit("\n\n").next().unwrap_or_default();
    let mut lines = own.lines().map(str::trim_start);
    lines.any(|line| line == "#[test]" || line.starts_with("#[tokio::test"))
}

#[test]
fn every_test_that_the_code_map_names_exists() {
    let map = map();
    let rows = map.lines().filter(|line| line.starts_with("| "));
    let tests = rows.flat_map(|row| row.rsplit('|').nth(1).unwrap_or_default().split('`'));
    let tests: Vec<&str> = tests.filter(|text| text.contains("::")).collect();
    assert!(tests.len() > 10, "the invariants name their tests");
    let gone: Vec<&&str> = tests.iter().filter(|test| !exists(test)).collect();
    assert!(gone.is_empty(), "crates/README.md names {gone:?}");
}

#[test]
fn a_name_alone_is_no_test_of_the_code_map() {
    let here = "architecture::map";
    assert!(exists(&format!(
        "{here}::every_module_is_in_the_code_map_and_no_other"
    )));
    assert!(
        !exists(&format!("{here}::listed")),
        "a function that is no test"
    );
    assert!(!exists(
        "architecture::words::every_module_is_in_the_code_map_and_no_other"
    ));
}
