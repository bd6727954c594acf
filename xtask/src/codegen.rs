//! Generator of Rust types from a schema document: **load → select → normalize → typify → emit →
//! print**.
//!
//! Every step is a pure function; only the command reads and writes files.
//!
//! typify turns one JSON schema into one Rust type: lists, maps, tuples, integer widths, optional
//! items, and the boxes that a recursive type needs. It stays in the middle because that part is
//! large, is the same for every endpoint and has users who test it. The steps around it exist
//! because raw typify fails on fal's documents:
//!
//! | in fal's documents | raw typify | step here | fixture |
//! | --- | --- | --- | --- |
//! | title of a property equals a component's name | merges or renames both types | normalize gives neutral names | `title-like-a-component` |
//! | union of listed texts and an object | variants `Variant0`, `Variant1` | normalize names them | `union-of-preset-and-object` |
//! | `{"widht": 9}` for an object with defaults only | accepted as the default size | emit denies unknown fields | `union-of-preset-and-object` |
//! | overlapping object shapes in a union | two flattened options, fields are lost | emit writes a decoder | `overlapping-unions` |
//! | defaults, also nested | invents `0.0` for missing parts | emit leaves defaults to the service | `defaults` |
//! | bounds of texts and numbers | text bounds become newtypes, number bounds vanish | emit writes constants and a check | `bounds` |
//! | order of fields | alphabetical | normalize keeps fal's order | `defaults` |
//! | seed beyond 63 bits | `i64` | normalize selects the width | `bare-object-and-large-seed` |
//! | absent or null fields in results | refused | emit makes them optional | `null-and-missing` |
//! | unlisted values in results | refused | emit opens enumerations | `open-answers` |
//! | recursive types | correct | left to typify | `recursion` |
//!
//! typify can panic: the step catches the panic and names the definition.

pub mod emit;
pub mod load;
pub mod model;
pub mod names;
pub mod normalize;
pub mod options;
pub mod outline;
pub mod print;
pub mod select;
pub mod skeleton;

pub use load::{Document, Fault};
pub use model::Model;
pub use options::{Options, Support};

/// A generated file.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The Rust file.
    pub code: String,
    /// A short list of everything public in it.
    pub outline: String,
}

/// Runs the steps up to the model of the endpoint's types.
pub fn read(document: &Document) -> Result<Model, Fault> {
    Model::read(&normalize::normalize(&select::select(&document.value)?)?)
}

/// Runs all steps on a document.
pub fn generate(document: &Document, options: &Options) -> Result<Generated, Fault> {
    let model = read(document)?;
    let skeletons = skeleton::skeletons(&model)?;
    let file = emit::emit(&model, &skeletons, options)?;
    let outline = outline::outline(&file);
    let code = print::print(document, file, options)?;
    Ok(Generated { code, outline })
}
