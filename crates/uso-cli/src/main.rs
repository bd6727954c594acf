//! The `uso` command.
fn main() {}
