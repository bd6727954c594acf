//! From a schema document to Rust types: **load → select → normalize → typify → emit → print**.
//!
//! Every step is a pure function; reading and writing files is the command's business.

pub mod emit;
pub mod load;
pub mod model;
pub mod names;
pub mod normalize;
pub mod outline;
pub mod print;
pub mod select;
pub mod skeleton;

pub use load::{Document, Fault};
pub use model::Model;

use proc_macro2::TokenStream;
use quote::quote;

/// What the generated file looks like.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the file finds the hand-written code that it stands on.
    pub support: Support,
    /// Whether the types can give a JSON schema of themselves, under the feature `schemars`.
    pub schema_feature: bool,
    /// The command that makes the file anew.
    pub command: String,
}

/// Where generated code finds the support module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// In the crate that the file belongs to.
    Sibling,
    /// In the file itself, which then stands alone.
    Embedded,
}

impl Support {
    fn path(self) -> TokenStream {
        match self {
            Self::Sibling => quote!(crate::support),
            Self::Embedded => quote!(support),
        }
    }
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The Rust file.
    pub code: String,
    /// A short list of everything public in it.
    pub outline: String,
}

/// Runs the steps that only read: what the document says about the endpoint's types.
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
