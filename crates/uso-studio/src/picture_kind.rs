//! Kind of a picture file, told by its first bytes. Nothing else is ever sent to the page.

/// A kind of picture that browsers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PictureKind {
    pub(crate) mime: &'static str,
    pub(crate) extension: &'static str,
}

impl PictureKind {
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let (mime, extension) = match bytes {
            [0x89, b'P', b'N', b'G', ..] => ("image/png", "png"),
            [0xff, 0xd8, 0xff, ..] => ("image/jpeg", "jpg"),
            [b'G', b'I', b'F', b'8', ..] => ("image/gif", "gif"),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => ("image/webp", "webp"),
            _ => return None,
        };
        Some(Self { mime, extension })
    }
}
