//! Batches: a manifest of many pictures, its plan, its run, and its report.

pub(crate) mod changes;
pub(crate) mod csv_rows;
pub(crate) mod display;
pub(crate) mod folder_rows;
pub(crate) mod going_on;
pub(crate) mod json_rows;
pub(crate) mod manifest;
pub(crate) mod manifest_rows;
pub(crate) mod names;
pub(crate) mod new_manifest;
pub(crate) mod page;
pub(crate) mod plan;
pub(crate) mod plan_text;
pub(crate) mod problem;
pub(crate) mod purchases;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod row;
pub(crate) mod row_parser;
pub(crate) mod running;
pub(crate) mod session;
pub(crate) mod sidecar;
pub(crate) mod stored;
pub(crate) mod tally;
pub(crate) mod thumbnails;
pub(crate) mod vary;
