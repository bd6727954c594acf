//! Writes the project's two pictures to `tests/pictures`.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("pictures");
    std::fs::write(
        directory.join("content.jpg"),
        uso_tests::pictures::jpeg(&uso_tests::pictures::content())?,
    )?;
    std::fs::write(
        directory.join("style.jpg"),
        uso_tests::pictures::jpeg(&uso_tests::pictures::style())?,
    )?;
    Ok(())
}
