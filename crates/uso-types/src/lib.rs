//! The types of fal's image endpoint `fal-ai/uso`: what a request carries, what the service
//! answers, and the bounds and defaults of both. They are generated from the schema that fal
//! publishes. This crate must not know how a request travels, who pays for it or what a picture
//! is; it needs serde and nothing else.
//!
//! ```
//! use uso_types::{OutputFormat, UsoInput};
//!
//! let mut input = UsoInput::new(vec!["https://example.com/cat.png".to_owned()]);
//! input.output_format = Some(OutputFormat::Jpeg);
//! input.num_images = Some(9);
//!
//! let violations = input.validate().unwrap_err();
//! assert_eq!(violations.to_string(), "num_images is 9, but must be between 1 and 4");
//! ```

#[rustfmt::skip]
mod generated;
#[cfg(feature = "schemars")]
mod schema;
mod size;
mod support;

pub use generated::{
    ENDPOINT_ID, Image, ImageSize, ImageSizeChoice, ImageSizePreset, OutputFormat, UsoInput,
    UsoOutput,
};
pub use support::{Json, UnknownValue, Violation, Violations};
