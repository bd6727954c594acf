//! The properties of the parsers of foreign bytes, with random bytes and with the kept corpus.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uso_tests::properties::ALL;
use uso_tests::rig::file;

/// The kept inputs of a property.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = file("fuzz/corpus").join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let inputs: Vec<Vec<u8>> = files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(!inputs.is_empty(), "{name} has a corpus");
    inputs
}

#[test]
fn no_foreign_bytes_break_a_property() {
    for (name, property) in ALL {
        let corpus = corpus(name);
        corpus.iter().for_each(|input| property(input));
        // An input of the corpus with some bytes replaced, or any bytes.
        let replaced = (
            prop::sample::select(corpus),
            prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4),
        );
        let replaced = replaced.prop_map(|(mut input, changes)| {
            for (at, byte) in changes {
                if !input.is_empty() {
                    let at = at.index(input.len());
                    input[at] = byte;
                }
            }
            input
        });
        let inputs = prop_oneof![replaced, prop::collection::vec(any::<u8>(), 0..64)];
        let config = Config {
            cases: 24,
            failure_persistence: None,
            ..Config::default()
        };
        let outcome = TestRunner::new(config).run(&inputs, |input| {
            property(&input);
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{name}: {failure}"));
    }
}

#[test]
fn every_property_has_a_fuzz_target() {
    let manifest = std::fs::read_to_string(file("fuzz/Cargo.toml")).unwrap();
    for (name, _) in ALL {
        let target = std::fs::read_to_string(file("fuzz/targets").join(format!("{name}.rs")));
        assert!(
            target
                .unwrap()
                .contains(&format!("uso_fuzz::properties::{name}(")),
            "{name}"
        );
        assert!(
            manifest.contains(&format!("path = \"targets/{name}.rs\"")),
            "{name}"
        );
    }
}
