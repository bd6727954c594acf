//! Link between a journal and its server that cuts a connection at a commit: the commit is made and
//! its answer is lost, or the commit reaches the server late. What follows the commit is lost.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, watch};
use uso_tests::postgres::Cluster;

/// The word of a commit in both directions: the statement, and the answer to it.
const COMMIT: &[u8] = b"COMMIT\0";

/// The kind and the length before the text of a statement.
const HEAD: usize = 5;

/// A link. It passes everything on, until it comes to a commit at which it cuts the connection.
pub(super) struct Link {
    folder: tempfile::TempDir,
    server: String,
    plan: Plan,
    is_away: watch::Sender<bool>,
}

/// What becomes of a commit.
#[derive(Clone, Copy)]
enum Cut {
    /// The server makes it, and its answer is lost.
    Answer,
    /// The server gets it when the test says so, after the journal has lost the connection.
    Late,
}

/// States of rows whose commits are to be cut, and whether they are.
#[derive(Clone, Default)]
struct Plan {
    cuts: Arc<Mutex<BTreeMap<&'static str, (Cut, bool)>>>,
    delivery: Arc<Notify>,
}

impl Plan {
    /// What becomes of the commit of these statements.
    fn cut(&self, statements: &[u8]) -> Option<Cut> {
        let mut cuts = self.cuts.lock().unwrap();
        for (state, (cut, is_cut)) in cuts.iter_mut().filter(|(_, (_, is_cut))| !is_cut) {
            // A value of a statement comes with its length.
            let length = u32::try_from(state.len()).unwrap().to_be_bytes();
            let value = [&length[..], state.as_bytes()].concat();
            if contains(statements, &value) {
                *is_cut = true;
                return Some(*cut);
            }
        }
        None
    }

    fn add(&self, state: &'static str, cut: Cut) {
        self.cuts.lock().unwrap().insert(state, (cut, false));
    }

    fn is_done(&self) -> bool {
        let cuts = self.cuts.lock().unwrap();
        cuts.values().all(|(_, is_cut)| *is_cut)
    }
}

impl Link {
    pub(super) fn to(server: &Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let (socket, plan) = (server.folder().join(".s.PGSQL.5432"), Plan::default());
        let is_away = watch::Sender::new(false);
        let mut away = is_away.subscribe();
        let accepting = accept(listener, socket, plan.clone(), is_away.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                () = accepting => {}
                _ = away.wait_for(|is_away| *is_away) => {}
            }
        });
        Self {
            folder,
            server: server.folder().display().to_string(),
            plan,
            is_away,
        }
    }

    /// The URL of a database of the server, over this link.
    pub(super) fn place(&self, place: &str) -> String {
        place.replace(&self.server, &self.folder.path().display().to_string())
    }

    /// Loses the answer to the next commit that makes a row this state.
    pub(super) fn lose(&self, state: &'static str) {
        self.plan.add(state, Cut::Answer);
    }

    /// Cuts the journal off at the next commit that makes a row this state, and keeps the commit until
    /// [`Link::deliver`].
    pub(super) fn delay(&self, state: &'static str) {
        self.plan.add(state, Cut::Late);
    }

    /// Passes the commit on that was kept.
    pub(super) fn deliver(&self) {
        self.plan.delivery.notify_one();
    }

    /// Cuts every connection, and accepts no other.
    pub(super) fn cut(&self) {
        self.is_away.send_replace(true);
    }

    /// Whether every connection is cut that is to be.
    pub(super) fn has_lost_all(&self) -> bool {
        self.plan.is_done()
    }
}

async fn accept(
    listener: UnixListener,
    socket: PathBuf,
    plan: Plan,
    is_away: watch::Receiver<bool>,
) {
    while let Ok((near, _)) = listener.accept().await {
        // A server that is away refuses, and so does the link.
        if let Ok(far) = UnixStream::connect(&socket).await {
            let (passing, mut away) = (connect(near, far, plan.clone()), is_away.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = passing => {}
                    _ = away.wait_for(|is_away| *is_away) => {}
                }
            });
        }
    }
}

/// Passes one connection on, until an end of it closes or it is cut.
async fn connect(near: UnixStream, far: UnixStream, plan: Plan) {
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = far.into_split();
    let (lost, is_lost) = watch::channel(false);
    let late = tokio::select! {
        late = statements(from_near, to_far, &plan, lost) => late,
        () = answers(from_far, to_near, is_lost) => None,
    };
    if let Some((mut to_far, commit)) = late {
        plan.delivery.notified().await;
        let _ = to_far.write_all(&commit).await;
    }
}

/// Gives the end of the server and the commit, where it is to be delivered late.
async fn statements<W: AsyncWrite + Unpin>(
    mut from: impl AsyncRead + Unpin,
    mut to: W,
    plan: &Plan,
    lost: watch::Sender<bool>,
) -> Option<(W, Vec<u8>)> {
    let (mut chunk, mut since_commit) = (vec![0; 1 << 16], Vec::new());
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        since_commit.extend_from_slice(&chunk[..read]);
        if let Some(end) = end_of(&since_commit, COMMIT) {
            let passed = since_commit.len() - read;
            match plan.cut(&since_commit) {
                Some(Cut::Answer) => {
                    // Before the server sees it, and can answer.
                    lost.send_replace(true);
                    let _ = to.write_all(&since_commit[passed..end]).await;
                    return std::future::pending().await;
                }
                Some(Cut::Late) => {
                    let start = (end - COMMIT.len() - HEAD).max(passed);
                    let _ = to.write_all(&since_commit[passed..start]).await;
                    return Some((to, since_commit[start..end].to_vec()));
                }
                None => since_commit.clear(),
            }
        }
        if to.write_all(&chunk[..read]).await.is_err() {
            return None;
        }
    }
    None
}

async fn answers(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    is_lost: watch::Receiver<bool>,
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
