//! Type of an uploaded file: by its bytes, and for text by its name.

/// The MIME type of a file that begins with these bytes, if it is known.
///
/// The bytes decide wherever they can. Text carries no mark of its kind, so that the extension of
/// its name decides among the types of text.
pub(crate) fn content_type(head: &[u8], name: &str) -> Option<String> {
    let by_bytes = infer::get(head).map(|kind| kind.mime_type());
    if by_bytes.is_some_and(|kind| !is_text_type(kind)) || !is_text(head) {
        return by_bytes.map(str::to_owned);
    }
    text_type(name).or(by_bytes).map(str::to_owned)
}

/// The type of a text file with this name. A table of all types would be three crates more, and
/// the others carry a mark in their bytes.
fn text_type(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "txt" | "text" | "log" => "text/plain",
        "csv" => "text/csv",
        "tsv" => "text/tab-separated-values",
        "md" | "markdown" => "text/markdown",
        "htm" | "html" => "text/html",
        "css" => "text/css",
        "js" | "mjs" => "text/javascript",
        "svg" => "image/svg+xml",
        "xml" => "text/xml",
        "json" => "application/json",
        "jsonl" | "ndjson" => "application/x-ndjson",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        _ => return None,
    })
}

/// Whether the bytes are UTF-8, of which the last character may be cut, without a zero.
fn is_text(head: &[u8]) -> bool {
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8 && !head.contains(&0) && !head.is_empty()
}

/// Whether files of this type, as the bytes tell it, are text.
fn is_text_type(kind: &str) -> bool {
    kind.starts_with("text/")
}

#[cfg(test)]
mod tests {
    use super::content_type;

    #[test]
    fn bytes_decide_before_names_and_names_among_text() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        for (head, name, expected) in [
            (&png[..], "notes.csv", Some("image/png")),
            (b"a,b\n1,2\n", "table.CSV", Some("text/csv")),
            ("na\u{ef}ve".as_bytes(), "notes.txt", Some("text/plain")),
            (b"<svg xmlns='x'/>", "logo.svg", Some("image/svg+xml")),
            (
                b"<?xml version='1.0'?><svg/>",
                "logo.svg",
                Some("image/svg+xml"),
            ),
            (b"{}", "a.json", Some("application/json")),
            (b"no picture", "photo.jpg", None),
            (b"\0\x01\x02", "notes.txt", None),
            (b"plain", "file", None),
        ] {
            assert_eq!(content_type(head, name).as_deref(), expected, "{name}");
        }
    }
}
