//! Way in: how the storage takes a file.

use url::Url;

use super::direct::Direct;
use super::presigned::Presigned;

/// How the service takes the file.
#[derive(Clone)]
pub(super) enum Way {
    Presigned(Presigned),
    Direct(Direct),
}

impl Way {
    pub(super) fn file_url(&self) -> &Url {
        match self {
            Self::Presigned(presigned) => &presigned.file_url,
            Self::Direct(direct) => &direct.access_url,
        }
    }
}
