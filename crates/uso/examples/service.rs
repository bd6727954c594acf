//! Web service that restyles uploaded pictures, each picture once, and survives restarts.
//!
//! ```sh
//! uso emulator &                                            # or a real key, without these two lines
//! export USO_BASE_URL=http://127.0.0.1:7700 FAL_KEY=any:key
//! cargo run --example service -- data ink.webp 127.0.0.1:3000 &
//! curl --data-binary @photo.jpg http://127.0.0.1:3000/pictures       # /pictures/DIGEST
//! curl -o restyled.png http://127.0.0.1:3000/pictures/DIGEST
//! ```
//!
//! The journal records each purchase before it is sent, so that the service can be killed at any
//! moment: the next start finishes every purchase that was begun. A picture that is uploaded again
//! is not bought again. The budget is $5 in any 24 hours, over all restarts. Each upload costs
//! money: put authentication in front of a public service.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sha2::{Digest as _, Sha256};
use uso::{Client, MicroDollars, Request};
use uso_journal::{Buy, Error, Journal};

/// Longest time that a caller waits for one response.
const PATIENCE: Duration = Duration::from_secs(25);

#[derive(Clone)]
struct Shop {
    client: Client,
    journal: Journal,
    style: String,
    data: PathBuf,
}

impl Shop {
    fn upload(&self, digest: &str) -> PathBuf {
        self.data.join("uploads").join(digest)
    }

    /// The purchase of an uploaded picture: the digest is its key, and a key is bought once.
    fn buy(&self, digest: &str) -> Buy {
        let request = Request::restyle(self.upload(digest), self.style.as_str());
        let buy = self.journal.purchase(&self.client, digest, request);
        buy.folder(self.data.join("restyled"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, style, address] = arguments.as_slice() else {
        return Err("arguments: FOLDER STYLE ADDRESS".into());
    };
    std::fs::create_dir_all(PathBuf::from(data).join("uploads"))?;
    let shop = Shop {
        client: Client::from_env()?,
        journal: Journal::open(data)?,
        style: style.clone(),
        data: data.into(),
    };
    let budget = MicroDollars::new(5_000_000);
    shop.journal
        .set_caps(&shop.client, budget.into(), None)
        .await?;

    // What the last run began is finished now: a result is kept for an hour only.
    let states = uso_journal::State::ALL.into_iter();
    let open = states.filter(|state| !state.is_closed());
    for purchase in shop.journal.jobs(&shop.client).states(open).read().await? {
        if let Err(error) = shop.buy(&purchase.key).begin().await {
            eprintln!("{}: {error}", purchase.key);
        }
    }

    let app = axum::Router::new()
        .route(
            "/pictures",
            post(upload).layer(DefaultBodyLimit::max(20 << 20)),
        )
        .route("/pictures/{digest}", get(picture))
        .with_state(shop);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

/// Keeps the upload, begins its purchase, and responds with the path of the picture.
async fn upload(State(shop): State<Shop>, photo: Bytes) -> Result<Response, Refusal> {
    let digest: String = Sha256::digest(&photo)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let (path, folder) = (shop.upload(&digest), shop.data.clone());
    // A file appears whole or not at all.
    let write = move || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, &photo)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    tokio::task::spawn_blocking(write).await??;
    shop.buy(&digest).begin().await?;
    let path = format!("/pictures/{digest}");
    Ok((
        StatusCode::ACCEPTED,
        [(header::LOCATION, path.clone())],
        path + "\n",
    )
        .into_response())
}

/// Responds with the picture as soon as it is there; 202 asks the caller to call again.
async fn picture(
    State(shop): State<Shop>,
    Path(digest): Path<String>,
) -> Result<Response, Refusal> {
    let is_digest = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_digest || !shop.upload(&digest).is_file() {
        return Ok(StatusCode::NOT_FOUND.into_response());
    }
    // Dropping the future loses nothing: the purchase goes on, and the next call joins it.
    let Ok(purchase) = tokio::time::timeout(PATIENCE, shop.buy(&digest)).await else {
        return Ok((StatusCode::ACCEPTED, "in work\n").into_response());
    };
    let purchase = purchase?;
    match purchase.pictures.first() {
        Some(picture) => {
            let kind = picture.content_type.clone().unwrap_or_default();
            let bytes = tokio::fs::read(&picture.path).await?;
            Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
        }
        // The reason may name paths of this machine.
        None => {
            eprintln!("{digest}: {}: {:?}", purchase.state, purchase.reason);
            Ok((StatusCode::BAD_GATEWAY, format!("{}\n", purchase.state)).into_response())
        }
    }
}

/// Response to a request that cannot be served; the details go to the log.
struct Refusal(StatusCode, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl<E: Into<Box<dyn std::error::Error>>> From<E> for Refusal {
    fn from(error: E) -> Self {
        let error = error.into();
        eprintln!("{error}");
        match error.downcast_ref() {
            Some(Error::Request(_)) => {
                Self(StatusCode::UNPROCESSABLE_ENTITY, "no usable picture\n")
            }
            Some(Error::Budget(_)) => Self(StatusCode::SERVICE_UNAVAILABLE, "sold out for today\n"),
            _ => Self(
                StatusCode::INTERNAL_SERVER_ERROR,
                "something failed; call again\n",
            ),
        }
    }
}
