//! The one thread that writes. Writes that arrive while a commit is under way share the next one:
//! a durable commit costs a sync of the disk, and some hundred writes can share it.

#[cfg(test)]
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

/// Writes that share a commit at the most.
pub(super) const GROUP: usize = 512;

/// When a write has to be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Before the caller goes on.
    Now,
    /// With the next write that has to be on the disk at once. Until then every process sees the
    /// write, and a power cut undoes it.
    Later,
}

/// A write: runs inside the transaction, if there is one, and says how to report once the commit is
/// known.
type Work = Box<dyn FnOnce(Result<&Connection, Failure>) -> Report + Send>;
type Report = Box<dyn FnOnce(Result<(), Failure>) + Send>;
type Job = (Durability, Work);

/// Why a write did not happen.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) is_damage: bool,
}

impl Failure {
    pub(super) fn of(error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let code = error.sqlite_error_code();
        let unreadable = matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..)
        );
        Self {
            message: error.to_string(),
            is_damage: unreadable || matches!(code, Some(DatabaseCorrupt | NotADatabase)),
        }
    }
}

/// The outcome of a write: what it returned, or why the database did not take it.
type Written<T, E> = Result<Result<T, E>, Failure>;

#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    #[cfg(test)]
    commits: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `group` is how many writes may share a commit.
    pub(super) fn start(connection: Connection, group: usize) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        #[cfg(test)]
        let commits = Arc::<AtomicU64>::default();
        #[cfg(test)]
        let count = Arc::clone(&commits);
        let after_commit = move || {
            #[cfg(test)]
            count.fetch_add(1, Ordering::Relaxed);
        };
        let thread = std::thread::Builder::new()
            .name("uso-journal".to_owned())
            .spawn(move || serve(&connection, &queue, group, after_commit))?;
        Ok(Self {
            jobs: Some(jobs),
            #[cfg(test)]
            commits,
            thread: Some(thread),
        })
    }

    /// Commits so far.
    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Runs a write and returns when its commit is as durable as asked. An `Err` of the write itself undoes what it
    /// did, and nothing of the other writes that share its commit.
    pub(super) async fn write<T, E>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, E>> + Send + 'static,
    ) -> Written<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Work = Box::new(move |connection| {
            let outcome = connection.and_then(|connection| {
                savepoint(connection, work).map_err(|error| Failure::of(&error))
            });
            Box::new(move |committed| {
                let outcome = match (outcome, committed) {
                    (Err(failure), _) | (Ok(Ok(_)), Err(failure)) => Err(failure),
                    (Ok(outcome), _) => Ok(outcome),
                };
                // A caller that has gone does not wait.
                let _ = tell.send(outcome);
            })
        });
        let stopped = || Failure {
            message: "the thread that writes has ended".to_owned(),
            is_damage: false,
        };
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send((durability, job)).map_err(|_| stopped())?;
        told.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

fn savepoint<T, E>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, E>>,
) -> rusqlite::Result<Result<T, E>> {
    let run = |sql| connection.prepare_cached(sql)?.execute([]);
    run("SAVEPOINT one")?;
    let outcome = work(connection);
    if !matches!(outcome, Ok(Ok(_))) {
        run("ROLLBACK TO one")?;
    }
    run("RELEASE one")?;
    outcome
}

fn serve(
    connection: &Connection,
    queue: &mpsc::Receiver<Job>,
    group: usize,
    after_commit: impl Fn(),
) {
    let mut synced = None;
    let mut next = None;
    while let Some((durability, first)) = next.take().or_else(|| queue.recv().ok()) {
        // The level of a transaction is settled before it begins.
        let level = match durability {
            Durability::Now => "PRAGMA synchronous = FULL",
            Durability::Later => "PRAGMA synchronous = NORMAL",
        };
        let begun = match synced == Some(durability) {
            true => Ok(()),
            false => connection.execute_batch(level),
        };
        synced = begun.is_ok().then_some(durability);
        let begun = begun.and_then(|()| connection.execute_batch("BEGIN IMMEDIATE"));
        if let Err(error) = begun {
            let failure = Failure::of(&error);
            first(Err(failure.clone()))(Err(failure));
            continue;
        }
        let mut reports = vec![first(Ok(connection))];
        // A full disk makes SQLite end the transaction by itself.
        while reports.len() < group
            && !connection.is_autocommit()
            && let Ok((wanted, job)) = queue.try_recv()
        {
            if wanted == Durability::Now && durability == Durability::Later {
                next = Some((wanted, job));
                break;
            }
            reports.push(job(Ok(connection)));
        }
        let committed = connection.execute_batch("COMMIT").map_err(|error| {
            // A commit that failed leaves the transaction open.
            let _ = connection.execute_batch("ROLLBACK");
            Failure::of(&error)
        });
        after_commit();
        for report in reports {
            report(committed.clone());
        }
    }
}
