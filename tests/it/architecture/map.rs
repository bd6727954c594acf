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

#[test]
fn every_test_that_the_code_map_names_exists() {
    let map = map();
    let mut sources = String::new();
    let mut open = vec![
        uso_tests::rig::file("it"),
        uso_tests::rig::file("../crates"),
    ];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    // A test is named by its module and its name, as `cargo test` prints it.
    let rows = map.lines().filter(|line| line.starts_with("| "));
    let tests = rows.flat_map(|row| row.rsplit('|').nth(1).unwrap_or_default().split('`'));
    let tests: Vec<&str> = tests.filter(|text| text.contains("::")).collect();
    assert!(tests.len() > 10, "the invariants name their tests");
    for test in tests {
        let (_, name) = test.rsplit_once("::").unwrap();
        assert!(
            sources.contains(&format!("fn {name}(")),
            "{test} is no test"
        );
    }
}
