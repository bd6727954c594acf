//! The picture formats that the service is known to read.

/// A format that the service is known to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
}

impl Format {
    /// The format that the first bytes tell; `Err` continues the phrase "the picture is …".
    pub(crate) fn of(head: &[u8]) -> Result<Self, String> {
        const FORMATS: &str = "use JPEG, PNG, WebP or GIF";
        let Some(kind) = infer::get(head) else {
            return Err(match head.is_empty() {
                true => "empty".to_owned(),
                false => format!("not a picture; {FORMATS}"),
            });
        };
        match kind.mime_type() {
            "image/jpeg" => Ok(Self::Jpeg),
            "image/png" => Ok(Self::Png),
            "image/webp" => Ok(Self::WebP),
            "image/gif" => Ok(Self::Gif),
            "image/heif" | "image/heic" => Err(format!(
                "a HEIC picture, the way iPhones keep photos, which is not read here; export it as JPEG, or {FORMATS}"
            )),
            "image/avif" => Err(format!(
                "an AVIF picture, which is not read here; convert it first, or {FORMATS}"
            )),
            other => Err(format!("of type {other}; {FORMATS}")),
        }
    }

    pub(crate) fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    /// The name under which a picture is uploaded; the caller's own file name stays private.
    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::Jpeg => "picture.jpg",
            Self::Png => "picture.png",
            Self::WebP => "picture.webp",
            Self::Gif => "picture.gif",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unread_formats_name_the_way_out() {
        let heic = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic";
        let why = Format::of(heic).unwrap_err();
        assert!(
            why.contains("HEIC") && why.contains("export it as JPEG"),
            "{why}"
        );
        let avif = b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf";
        let why = Format::of(avif).unwrap_err();
        assert!(why.contains("AVIF") && why.contains("convert"), "{why}");
        assert!(
            Format::of(b"%PDF-1.7 ")
                .unwrap_err()
                .contains("application/pdf")
        );
        assert!(Format::of(b"").unwrap_err().contains("empty"));
    }
}
