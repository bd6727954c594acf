//! The studio: the face of the crate.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::HeaderMap;
use tokio::sync::{Semaphore, watch};
use uso::Client;
use uso_journal::Journal;

use crate::access::{self, Access};
use crate::following::follow;
use crate::guard::Guard;
use crate::hosts::Hosts;
use crate::inputs::Inputs;
use crate::live::Live;
use crate::routes;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::thumbnails::Thumbnails;

/// How often a closing studio looks whether every submit has its outcome.
const LOOK: Duration = Duration::from_millis(20);

/// Jobs of other processes that are watched at a time.
const WATCHED: usize = 8;

/// A studio. Clones are the same studio.
#[derive(Clone)]
pub struct Studio {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl fmt::Debug for Studio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Studio")
            .field("address", &self.address)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl Studio {
    /// A studio that buys with this client, records in this journal, and is reached at this address.
    /// Call it inside a Tokio runtime: jobs that an earlier studio left are followed from now on.
    ///
    /// The token of the page and the pictures that are put into it lie beside the journal, in the
    /// folder `studio`, readable by their owner alone.
    ///
    /// # Errors
    ///
    /// When that folder cannot be used, or other users can read the token.
    pub fn open(
        client: Client,
        journal: Journal,
        address: SocketAddr,
        settings: Settings,
    ) -> io::Result<Self> {
        let folder = journal.path().with_file_name("studio");
        let inputs = Inputs::open(folder.join("pictures"))?;
        let token = folder.join("token");
        let access = Access::open(&token, address.port()).map_err(|error| at(&token, &error))?;
        let session: String = access::random()?.chars().take(8).collect();
        let shared = Arc::new(Shared {
            client,
            journal,
            guard: Arc::new(Guard {
                hosts: Hosts::new(address, &settings.hosts),
                access,
            }),
            inputs,
            thumbnails: Thumbnails::default(),
            live: Arc::new(Live::default()),
            watched: Arc::new(Semaphore::new(WATCHED)),
            settings,
            session: format!("studio-{session}"),
            closed: watch::Sender::new(false),
        });
        tokio::spawn(follow(Arc::clone(&shared)));
        Ok(Self { shared, address })
    }

    /// The routes of the page and of what the page calls.
    pub fn router(&self) -> Router {
        routes::router(Arc::clone(&self.shared))
    }

    /// The page's URL, with the token in its fragment. The URL lets its reader spend the budget.
    pub fn url(&self) -> String {
        format!("http://{}/#{}", self.address, self.shared.access().token())
    }

    /// Whether these headers come from a browser that has exchanged the token.
    pub fn is_known(&self, headers: &HeaderMap) -> bool {
        self.shared.access().may_read(headers)
    }

    /// Ends requests that wait for changes, and returns once every submit that was under way has
    /// its outcome recorded. Jobs that were bought are followed by the next studio.
    pub async fn close(&self) {
        self.shared.closed.send_replace(true);
        while self.shared.live.unsent() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
