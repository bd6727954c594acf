//! Definitions of the tools: names, descriptions, schemas and hints.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};

use super::arguments::{
    CancelInput, ListInput, PictureInput, PurchaseInput, ResultInput, WaitInput,
};
use super::output::{Cancellation, Job, Listing, Price, Waited};
use super::schema::{of_arguments, of_both, of_output};

/// What a model should know before its first call.
pub(crate) const INSTRUCTIONS: &str = "Pictures from fal's paid endpoint fal-ai/uso. \
    Order: estimate, buy, wait. One label for one picture, the same in every call, also after an \
    error, a timeout or a restart: a repeated label buys nothing. A status unknown may have been \
    bought: call wait, never buy under another label. The budget is the user's: report a refusal, do \
    not work around it.";

pub(crate) fn all() -> Vec<Tool> {
    let reads = || ToolAnnotations::new().read_only(true).open_world(false);
    vec![
        tool(
            "estimate",
            "Size and price of a picture; nothing is sent or bought.",
            of_arguments::<PictureInput>(),
            of_output::<Price>(),
            reads(),
        ),
        tool(
            "buy",
            "Buys a picture, at most once for its label, and tells its state within 2 s; then call \
             wait. The same label and arguments again buy nothing.",
            of_both::<PictureInput, PurchaseInput>(),
            of_output::<Job>(),
            ToolAnnotations::new()
                .read_only(false)
                .destructive(false)
                .idempotent(true)
                .open_world(true),
        ),
        tool(
            "wait",
            "Waits until purchases have ended and their pictures are on disk; buys nothing.",
            of_arguments::<WaitInput>(),
            of_output::<Waited>(),
            ToolAnnotations::new()
                .read_only(false)
                .destructive(false)
                .open_world(true),
        ),
        tool(
            "result",
            "Paths, sizes, seed and cost of a purchase, from the local record.",
            of_arguments::<ResultInput>(),
            of_output::<Job>(),
            reads(),
        ),
        tool(
            "list",
            "Purchases, newest first, and what is left of the budget.",
            of_arguments::<ListInput>(),
            of_output::<Listing>(),
            reads(),
        ),
        tool(
            "cancel",
            "Cancels a purchase; a job that runs may be billed.",
            of_arguments::<CancelInput>(),
            of_output::<Cancellation>(),
            ToolAnnotations::new()
                .read_only(false)
                .destructive(true)
                .open_world(true),
        ),
    ]
}

fn tool(
    name: &'static str,
    description: &'static str,
    input: JsonObject,
    output: JsonObject,
    hints: ToolAnnotations,
) -> Tool {
    Tool::new(name, description, Arc::new(input))
        .with_raw_output_schema(Arc::new(output))
        .with_annotations(hints)
}
