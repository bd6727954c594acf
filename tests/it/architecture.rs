//! Architecture of the workspace: dependencies of crates and files, public API, code map, words.

mod circles;
mod docs;
mod layers;
mod map;
mod modules;
mod outline;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Which crates of ours each crate may use, normally and when it is built.
const ALLOWED: [(&str, &[&str]); 11] = [
    ("uso-types", &[]),
    ("uso-transport", &["uso-types"]),
    ("uso", &["uso-types", "uso-transport", "uso-webhook"]),
    ("uso-webhook", &["uso-types"]),
    ("uso-journal", &["uso"]),
    ("uso-proxy", &["uso-types", "uso-transport"]),
    ("uso-studio", &["uso", "uso-journal"]),
    ("uso-emulator", &[]),
    (
        "uso-cli",
        &[
            "uso",
            "uso-emulator",
            "uso-journal",
            "uso-proxy",
            "uso-studio",
            "uso-transport",
        ],
    ),
    ("xtask", &[]),
    (
        "uso-tests",
        &[
            "uso",
            "uso-cli",
            "uso-emulator",
            "uso-journal",
            "uso-proxy",
            "uso-studio",
            "uso-transport",
            "uso-types",
            "uso-webhook",
            "xtask",
        ],
    ),
];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(uso_tests::rig::file(".."))
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The names of a package's dependencies, except those for its own tests.
fn dependencies(package: &Value) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().unwrap().iter();
    let own_tests_too = package["name"] == "uso-tests";
    all.filter(|dependency| own_tests_too || dependency["kind"] != "dev")
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_arrows_are_those_of_the_table() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    assert_eq!(
        ours,
        allowed.keys().copied().collect(),
        "every crate stands in the table"
    );
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let used = dependencies(package);
        let used: BTreeSet<&str> = used
            .iter()
            .map(String::as_str)
            .filter(|used| ours.contains(used))
            .collect();
        let allowed: BTreeSet<&str> = allowed[name].iter().copied().collect();
        assert!(
            used.is_subset(&allowed),
            "{name} uses {used:?}, and may use {allowed:?}"
        );
    }
}

#[test]
fn http_is_behind_one_wall_and_the_types_need_serde_crates_alone() {
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let used = dependencies(package);
        if !matches!(name, "uso-transport" | "uso-tests") {
            assert!(!used.contains("reqwest"), "{name} uses reqwest");
        }
        if !matches!(name, "uso-proxy" | "uso-studio" | "uso-cli" | "uso-tests") {
            assert!(!used.contains("axum"), "{name} uses axum");
        }
        if name == "uso-types" {
            let always = package["dependencies"].as_array().unwrap().iter();
            let always = always.filter(|dependency| {
                dependency["kind"] != "dev" && dependency["optional"] == false
            });
            let always: Vec<&str> = always
                .map(|dependency| dependency["name"].as_str().unwrap())
                .collect();
            assert_eq!(always, ["serde", "serde_json", "serde_path_to_error"]);
        }
    }
}

#[test]
fn the_verifier_brings_neither_a_network_nor_a_runtime() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages
        .iter()
        .find(|package| package["name"] == "uso-webhook")
        .unwrap();
    let always = package["dependencies"].as_array().unwrap().iter();
    let always =
        always.filter(|dependency| dependency["kind"] != "dev" && dependency["optional"] == false);
    for dependency in always {
        let name = dependency["name"].as_str().unwrap();
        let forbidden = ["tokio", "hyper", "reqwest", "axum", "ring", "rustls"];
        assert!(
            !forbidden.iter().any(|word| name.starts_with(word)),
            "{name}"
        );
    }
}

#[test]
fn every_library_says_what_it_must_not_know() {
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        for target in package["targets"].as_array().unwrap() {
            if target["kind"][0] == "lib" {
                let path = target["src_path"].as_str().unwrap();
                let source = std::fs::read_to_string(path).unwrap();
                let paragraphs: Vec<&str> = source
                    .lines()
                    .take_while(|line| line.starts_with("//!"))
                    .collect();
                assert!(paragraphs.len() >= 2, "{path} opens with a paragraph");
                let opening = paragraphs.join(" ");
                let says = ["must not", "imports none", "nothing of"]
                    .iter()
                    .any(|word| opening.contains(word));
                assert!(says, "{path} says what the crate must not know");
            }
        }
    }
}

#[test]
fn the_top_level_holds_what_the_shape_names() {
    let root = uso_tests::rig::file("..");
    let listed = Command::new("git")
        .args(["ls-files"])
        .current_dir(&root)
        .output();
    let Ok(listed) = listed else {
        uso_tests::rig::skipped("the_top_level_holds_what_the_shape_names", "git");
        return;
    };
    let listed = String::from_utf8(listed.stdout).unwrap();
    let top: BTreeSet<&str> = listed
        .lines()
        .filter_map(|path| path.split('/').next())
        .collect();
    let shape = [
        "Cargo.toml",
        "schema",
        "crates",
        "xtask",
        "tests",
        "README.md",
        "Cargo.lock",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "clippy.toml",
        "deny.toml",
        "rustfmt.toml",
    ];
    let others: Vec<&&str> = top
        .iter()
        .filter(|name| !name.starts_with('.') && !shape.contains(*name))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}
