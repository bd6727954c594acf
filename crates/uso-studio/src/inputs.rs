//! Input pictures: bytes that the page sent, kept in a private folder under their digest.
//!
//! The digest is the one that the journal records of a picture, so that a recorded purchase finds
//! its pictures again, also after a restart.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use image::ImageFormat;
use ring::digest::{Context, SHA256};
use serde::Serialize;
use tokio::sync::Semaphore;
use uso::{Client, Request};

use crate::access::{hexadecimal, is_hexadecimal};
use crate::body::Pieces;
use crate::refusal::{FieldProblem, Refusal};

/// Bytes of a picture: as many as the client reads.
pub(crate) const LARGEST: usize = 50 << 20;

/// Pictures that are taken in at a time; further ones wait.
const AT_ONCE: usize = 4;

/// What the page is told of an input picture.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct InputPicture {
    /// The digest of its bytes.
    pub(crate) picture: String,
    /// Its size as the service will see it.
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) bytes: u64,
    /// What will be changed about it, as in "shrunk from 4000x3000".
    pub(crate) changes: Vec<String>,
}

/// The input pictures of a studio.
pub(crate) struct Inputs {
    folder: PathBuf,
    places: Semaphore,
    /// What was told before, so that a picture is decoded once.
    told: Mutex<HashMap<String, InputPicture>>,
}

impl Inputs {
    pub(crate) fn open(folder: PathBuf) -> std::io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        Ok(Self {
            folder,
            places: Semaphore::new(AT_ONCE),
            told: Mutex::default(),
        })
    }

    /// Takes a picture in: its bytes as the body of a request.
    pub(crate) async fn take(&self, client: &Client, body: Body) -> Result<InputPicture, Refusal> {
        // The semaphore is never closed.
        let _place = self.places.acquire().await.ok();
        let mut incoming = Incoming::new(&self.folder)?;
        let mut pieces = Pieces::of(body, LARGEST);
        while let Some(piece) = pieces.next().await? {
            incoming.write(&piece)?;
        }
        let digest = incoming.keep(&self.folder)?;
        self.proved(client, digest).await
    }

    /// Takes a copy of a file in, if its content is the one with this digest.
    pub(crate) async fn copy(
        &self,
        client: &Client,
        file: &Path,
        expected: &str,
    ) -> Result<InputPicture, Refusal> {
        let _place = self.places.acquire().await.ok();
        let bytes = read(file, LARGEST).await?;
        let mut incoming = Incoming::new(&self.folder)?;
        incoming.write(&bytes)?;
        if incoming.digest() != expected {
            return Err(Refusal::changed());
        }
        let digest = incoming.keep(&self.folder)?;
        self.proved(client, digest).await
    }

    /// Decodes a picture, once, and tells what fitting will change; a damaged one is removed.
    async fn proved(&self, client: &Client, digest: String) -> Result<InputPicture, Refusal> {
        let told = self.describe(client, &digest).await;
        if let (Err(_), Some(file)) = (&told, self.file(&digest)) {
            let _ = tokio::fs::remove_file(file).await;
        }
        told
    }

    /// What fitting will change about a picture.
    pub(crate) async fn describe(
        &self,
        client: &Client,
        digest: &str,
    ) -> Result<InputPicture, Refusal> {
        let told = self.told().get(digest).cloned();
        if let Some(told) = told {
            return Ok(told);
        }
        let file = self
            .file(digest)
            .ok_or_else(|| Refusal::not_found("such picture"))?;
        let shown = file.display().to_string();
        let preview = client.preview(Request::reimagine(&file, "")).await;
        let preview = preview.map_err(|error| {
            let problems = error.problems().iter().map(|problem| FieldProblem {
                field: "picture".to_owned(),
                message: problem.message.replace(&shown, "the picture"),
            });
            Refusal::of_fields(problems.collect())
        })?;
        let picture = preview.pictures.first();
        let size = picture.and_then(|picture| picture.size);
        let changes =
            picture.map(|picture| picture.changes.iter().map(ToString::to_string).collect());
        let bytes = tokio::fs::metadata(&file).await;
        let told = InputPicture {
            picture: digest.to_owned(),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            bytes: bytes.map(|there| there.len()).unwrap_or_default(),
            changes: changes.unwrap_or_default(),
        };
        self.told().insert(digest.to_owned(), told.clone());
        Ok(told)
    }

    /// The file of a picture; `None` where there is none, and for a text that is no digest.
    pub(crate) fn file(&self, digest: &str) -> Option<PathBuf> {
        let file = self.folder.join(digest);
        (is_hexadecimal(digest) && file.is_file()).then_some(file)
    }

    fn told(&self) -> std::sync::MutexGuard<'_, HashMap<String, InputPicture>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of a picture file, up to a limit.
pub(crate) async fn read(file: &Path, largest: usize) -> Result<Vec<u8>, Refusal> {
    let gone = |_| Refusal::not_found("such picture any more: its file was moved or removed");
    let found = tokio::fs::metadata(file).await.map_err(gone)?;
    // A named pipe would block.
    if !found.is_file() {
        return Err(Refusal::not_found("such picture: its path is no file"));
    }
    within(found.len(), largest)?;
    tokio::fs::read(file).await.map_err(gone)
}

/// The format of a picture that browsers show, told by its first bytes. Nothing else is ever sent to
/// the page.
pub(crate) fn picture_format(bytes: &[u8]) -> Option<ImageFormat> {
    use ImageFormat::{Gif, Jpeg, Png, WebP};
    let format = image::guess_format(bytes).ok()?;
    matches!(format, Png | Jpeg | Gif | WebP).then_some(format)
}

/// Refuses a picture of more bytes than the limit.
pub(crate) fn within(length: u64, largest: usize) -> Result<(), Refusal> {
    match usize::try_from(length).is_ok_and(|length| length <= largest) {
        true => Ok(()),
        false => {
            let limit = largest >> 20;
            Err(Refusal::bad(format!(
                "the picture has more than {limit} MiB"
            )))
        }
    }
}

/// A picture that arrives, in a temporary file of its owner alone.
struct Incoming {
    file: tempfile::NamedTempFile,
    digest: Context,
    head: Vec<u8>,
}

impl Incoming {
    fn new(folder: &Path) -> Result<Self, Refusal> {
        let file = tempfile::NamedTempFile::new_in(folder);
        Ok(Self {
            file: file.map_err(|error| Refusal::internal(&error))?,
            digest: Context::new(&SHA256),
            head: Vec::new(),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.digest.update(bytes);
        let room = 16_usize.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(room));
        let written = self.file.write_all(bytes);
        written.map_err(|error| Refusal::internal(&error))
    }

    fn digest(&self) -> String {
        hexadecimal(self.digest.clone().finish().as_ref())
    }

    fn keep(self, folder: &Path) -> Result<String, Refusal> {
        if picture_format(&self.head).is_none() {
            let message = "the file is no PNG, JPEG, WebP or GIF picture";
            return Err(Refusal::of_type(message));
        }
        let digest = self.digest();
        let kept = self.file.persist(folder.join(&digest));
        kept.map_err(|error| Refusal::internal(&error.error))?;
        Ok(digest)
    }
}
