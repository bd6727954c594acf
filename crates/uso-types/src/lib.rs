//! Types of fal's image endpoint `fal-ai/uso`: its request, its result, and the bounds and defaults
//! of both, generated from the schema that fal publishes. The crate must not know how a request is
//! sent, what a request costs or how a picture is stored.
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
pub mod json_repair;
mod output;
mod size;
pub mod support;

pub use generated::{
    ENDPOINT_ID, Image, ImageSize, ImageSizeChoice, ImageSizePreset, OutputFormat, UsoInput,
    UsoOutput,
};
pub use support::{UnknownValue, Unreadable, Violation, Violations, from_value_lossy};

// The examples of the README are compiled with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
