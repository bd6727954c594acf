//! Addresses of the pages about the emulator itself, under a path that fal does not have.

/// A page about the emulator itself, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Home,
    Script,
    Style,
    Icon,
    /// What the page shows, in its current state.
    Live,
    /// A picture of the CDN, by its path there.
    Picture(String),
    Requests,
    Ledger,
    Webhooks,
}

impl Page {
    pub(crate) fn of(path: &str) -> Option<Self> {
        Some(match path {
            "" | "/emulator" => Self::Home,
            "/emulator/page.js" => Self::Script,
            "/emulator/page.css" => Self::Style,
            "/emulator/icon.svg" => Self::Icon,
            "/emulator/live" => Self::Live,
            "/emulator/requests" => Self::Requests,
            "/emulator/ledger" => Self::Ledger,
            "/emulator/webhooks" => Self::Webhooks,
            _ => {
                let file = path.strip_prefix("/emulator")?;
                file.starts_with("/files/")
                    .then(|| Self::Picture(file.to_owned()))?
            }
        })
    }

    /// Whether a page that is open in a browser asks for this by itself.
    pub(crate) fn is_of_the_live_page(&self) -> bool {
        matches!(self, Self::Live | Self::Picture(_))
    }
}
