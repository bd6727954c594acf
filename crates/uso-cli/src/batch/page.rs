//! Page of a report: one HTML file that loads nothing from a network, with its data in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

const PAGE: &str = include_str!("report_page/page.html");
const STYLE: &str = include_str!("report_page/page.css");
const SCRIPT: &str = include_str!("report_page/page.js");

/// The data of a page.
#[derive(Debug, Serialize)]
pub(crate) struct PageData {
    pub(crate) title: String,
    pub(crate) made: String,
    /// Names and amounts.
    pub(crate) money: Vec<(String, String)>,
    pub(crate) groups: Vec<PageGroup>,
    pub(crate) rows: Vec<PageRow>,
}

/// Rows that need the same step.
#[derive(Debug, Serialize)]
pub(crate) struct PageGroup {
    pub(crate) title: String,
    pub(crate) advice: String,
    pub(crate) command: String,
    pub(crate) rows: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct PageRow {
    pub(crate) id: String,
    pub(crate) state: &'static str,
    pub(crate) message: Option<String>,
    pub(crate) prompt: Option<String>,
    /// A text, since a number of JavaScript does not hold every seed.
    pub(crate) seed: Option<String>,
    pub(crate) money: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) content: PagePicture,
    pub(crate) styles: Vec<PagePicture>,
    pub(crate) results: Vec<PagePicture>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct PagePicture {
    pub(crate) name: String,
    /// URL of the small picture, relative to the page.
    pub(crate) thumb: Option<String>,
    /// URL of the file.
    pub(crate) full: Option<String>,
}

/// Whether a file begins as such a page.
pub(crate) fn is_page(beginning: &[u8]) -> bool {
    let fixed = PAGE.split("{{policy}}").next().unwrap_or_default();
    beginning.starts_with(fixed.as_bytes())
}

/// The page as text.
pub(crate) fn html(data: &PageData) -> serde_json::Result<String> {
    // Styles that the script sets through the DOM need no permission.
    let policy = format!(
        "default-src 'none'; img-src 'self' file:; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    // In a script element only `</` and `<!--` could end the data early.
    let json = serde_json::to_string(data)?.replace('<', "\\u003c");
    let title = data.title.replace('&', "&amp;").replace('<', "&lt;");
    // Data last, so that no text in it is taken for a place of the page.
    let page = PAGE
        .replace("{{policy}}", &policy)
        .replace("{{style}}", STYLE)
        .replace("{{script}}", SCRIPT);
    let (head, tail) = page.split_once("{{title}}").unwrap_or((&page, ""));
    let (middle, end) = tail.split_once("{{data}}").unwrap_or((tail, ""));
    Ok([head, &title, middle, &json, end].concat())
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}
