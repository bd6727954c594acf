//! Link between a journal and its server that loses the answer to a commit, and the statements after
//! the commit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use uso_tests::postgres::Cluster;

/// The word of a commit in both directions: the statement, and the answer to it.
const COMMIT: &[u8] = b"COMMIT\0";

/// A link. It passes everything on, until it loses one answer and cuts that connection.
pub(super) struct Link {
    folder: tempfile::TempDir,
    server: String,
    plan: Plan,
}

/// States whose commits lose their answers: to be lost, and lost.
#[derive(Clone, Default)]
struct Plan(Arc<Mutex<BTreeMap<&'static str, bool>>>);

impl Plan {
    /// Whether the answer to a commit of these statements is to be lost.
    fn loses(&self, statements: &[u8]) -> bool {
        let mut plan = self.0.lock().unwrap();
        for (state, is_lost) in plan.iter_mut().filter(|(_, is_lost)| !**is_lost) {
            // A value of a statement comes with its length.
            let length = u32::try_from(state.len()).unwrap().to_be_bytes();
            let value = [&length[..], state.as_bytes()].concat();
            if contains(statements, &value) {
                *is_lost = true;
                return true;
            }
        }
        false
    }
}

impl Link {
    pub(super) fn to(server: &Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let (socket, plan) = (server.folder().join(".s.PGSQL.5432"), Plan::default());
        tokio::spawn(accept(listener, socket, plan.clone()));
        Self {
            folder,
            server: server.folder().display().to_string(),
            plan,
        }
    }

    /// The URL of a database of the server, over this link.
    pub(super) fn place(&self, place: &str) -> String {
        place.replace(&self.server, &self.folder.path().display().to_string())
    }

    /// Loses the answer to the next commit that makes a row this state.
    pub(super) fn lose(&self, state: &'static str) {
        self.plan.0.lock().unwrap().insert(state, false);
    }

    /// Whether every answer is lost that is to be.
    pub(super) fn has_lost_all(&self) -> bool {
        self.plan.0.lock().unwrap().values().all(|is_lost| *is_lost)
    }
}

async fn accept(listener: UnixListener, socket: PathBuf, plan: Plan) {
    while let Ok((near, _)) = listener.accept().await {
        // A server that is away refuses, and so does the link.
        if let Ok(far) = UnixStream::connect(&socket).await {
            tokio::spawn(connect(near, far, plan.clone()));
        }
    }
}

/// Passes one connection on, until an end of it closes or its answer is lost.
async fn connect(near: UnixStream, far: UnixStream, plan: Plan) {
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = far.into_split();
    let (lost, is_lost) = tokio::sync::watch::channel(false);
    tokio::select! {
        () = statements(from_near, to_far, plan, lost) => {}
        () = answers(from_far, to_near, is_lost) => {}
    }
}

async fn statements(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    plan: Plan,
    lost: tokio::sync::watch::Sender<bool>,
) {
    let (mut chunk, mut since_commit) = (vec![0; 1 << 16], Vec::new());
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        since_commit.extend_from_slice(&chunk[..read]);
        if let Some(end) = end_of(&since_commit, COMMIT) {
            if plan.loses(&since_commit) {
                // Before the server sees it, and can answer. What follows the commit is lost as well.
                lost.send_replace(true);
                let after = since_commit.len() - end;
                let _ = to.write_all(&chunk[..read - after]).await;
                return std::future::pending().await;
            }
            since_commit.clear();
        }
        if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}

async fn answers(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    is_lost: tokio::sync::watch::Receiver<bool>,
) {
    let (mut chunk, mut withheld) = (vec![0; 1 << 16], Vec::new());
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        if *is_lost.borrow() {
            withheld.extend_from_slice(&chunk[..read]);
            if contains(&withheld, COMMIT) {
                return;
            }
        } else if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}

/// Where the first of these bytes end.
fn end_of(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let start = bytes
        .windows(wanted.len())
        .position(|window| window == wanted);
    start.map(|start| start + wanted.len())
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    end_of(bytes, wanted).is_some()
}
