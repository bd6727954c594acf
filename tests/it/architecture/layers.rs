//! The layers of a crate, as the code map has them: a module uses its own layer and those below.

use std::collections::BTreeMap;

use super::circles::arrows;
use super::modules::crates;

/// The modules of a table whose rows are `| number name | modules |`, with the number of their layer.
fn layers(map: &str) -> BTreeMap<String, u32> {
    let mut layers = BTreeMap::new();
    for row in map.lines() {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let layer = cells.next().and_then(|cell| cell.split(' ').next());
        let Some(layer) = layer.and_then(|number| number.parse().ok()) else {
            continue;
        };
        for module in cells.next().unwrap().split('`').skip(1).step_by(2) {
            let before = layers.insert(module.to_owned(), layer);
            assert_eq!(before, None, "{module} stands in one layer");
        }
    }
    layers
}

#[test]
fn the_modules_of_the_transport_use_their_own_layer_and_those_below() {
    let map = std::fs::read_to_string(uso_tests::rig::file("../crates/README.md")).unwrap();
    let layers = layers(&map);
    let all = crates();
    let krate = all.iter().find(|krate| krate.name == "uso-transport");
    let krate = krate.unwrap();
    let modules = krate.modules.keys().filter(|path| path.len() == 1);
    let mut problems = String::new();
    for path in modules {
        if !layers.contains_key(&path[0]) {
            problems.push_str(&format!("{} stands in no layer\n", path[0]));
        }
    }
    let module = |file: &str| {
        let inside = file.split("/src/").nth(1).unwrap();
        let end = inside.find(['/', '.']).unwrap();
        inside[..end].to_owned()
    };
    for (from, targets) in arrows(krate) {
        for to in targets.keys() {
            let (Some(above), Some(below)) = (layers.get(&module(&from)), layers.get(&module(to)))
            else {
                continue;
            };
            if below > above {
                problems.push_str(&format!("{from} of layer {above} uses {to} of {below}\n"));
            }
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}
