//! The pictures that ship with the project are the ones that its code draws.

use uso_tests::{pictures, rig};

#[test]
fn the_pictures_in_the_repository_are_the_ones_that_are_drawn() {
    for (file, drawn) in [
        (rig::content(), pictures::content()),
        (rig::style(), pictures::style()),
    ] {
        let kept = image::open(&file).unwrap().to_rgb8();
        assert_eq!(kept.dimensions(), drawn.dimensions());
        let pairs = kept.as_raw().iter().zip(drawn.as_raw());
        let sum: u64 = pairs
            .map(|(kept, drawn)| u64::from(kept.abs_diff(*drawn)))
            .sum();
        let mean = sum as f64 / kept.as_raw().len() as f64;
        assert!(
            mean < 3.0,
            "{}: {mean}; run `cargo run -p uso-tests --example pictures`",
            file.display()
        );
    }
}
