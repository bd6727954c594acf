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
    let by_name = mime_guess::from_path(name).first_raw();
    let by_name = by_name.filter(|kind| is_text_type(kind));
    by_name.or(by_bytes).map(str::to_owned)
}

/// Whether the bytes are UTF-8, of which the last character may be cut, without a zero.
fn is_text(head: &[u8]) -> bool {
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8 && !head.contains(&0) && !head.is_empty()
}

/// Whether files of this type are text.
fn is_text_type(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or(kind).trim();
    kind.starts_with("text/")
        || ["xml", "json", "javascript", "yaml", "toml"]
            .iter()
            .any(|text| kind.ends_with(text))
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
