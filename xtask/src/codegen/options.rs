//! Options of the generator.

use proc_macro2::TokenStream;
use quote::quote;

/// The form of the generated file.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the file finds its hand-written support.
    pub support: Support,
    /// Whether the types derive a JSON schema under the feature `schemars`.
    pub schema_feature: bool,
    /// The command that generates the file again.
    pub command: String,
}

/// Where generated code finds the support module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// In the crate that the file belongs to.
    Sibling,
    /// In the file itself, which then needs no other file.
    Embedded,
    /// In the crate `uso`, which shares the support between all endpoints of a program.
    Facade,
}

impl Support {
    pub(super) fn path(self) -> TokenStream {
        match self {
            Self::Sibling => quote!(crate::support),
            Self::Embedded => quote!(support),
            Self::Facade => quote!(uso::endpoint::support),
        }
    }
}
