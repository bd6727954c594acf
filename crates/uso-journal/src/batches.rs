//! Batches in practice: what a row costs, what limits a batch, and how others do it.
//!
//! # How a batch grows
//!
//! `cargo xtask bench batch [ROWS]` measures `uso batch run` with 200 purchases in flight against an
//! emulator whose jobs take 0.2 s. A row of the batch is read, hashed and priced once for the plan
//! and once for the purchase, and is four changes of state in the journal, which share a sync with
//! those of other rows. On a virtual machine with two cores, which the emulator shares:
//!
//! | rows | CPU time of the command a row | peak memory | wall time |
//! | --- | --- | --- | --- |
//! | 1 000 | 2.1 ms | 49 MiB | 2.7 s |
//! | 10 000 | 2.1 ms | 98 MiB | 28 s |
//!
//! | what limits | where | what to do |
//! | --- | --- | --- |
//! | jobs that the account runs at a time | fal queues the others and does not refuse them: the time of a batch is its rows, times the time of a job, divided by this number | ask fal for more; more in flight than that only wait |
//! | start deadline | a job that waits for longer than its start deadline (ten minutes) is dropped, free of charge | [`Batch::concurrency`](crate::Batch::concurrency) left out: the number in flight shrinks when jobs wait for more than 20 s, or half the start deadline |
//! | connections | a job that is watched holds one to the service, until it ends | [`Batch::await_notifications`](crate::Batch::await_notifications), or `uso batch run --listen ADDR` with `--set webhook=URL`: fal calls when a job has ended, and a job is asked for once a minute in case a notification was lost |
//! | changes of state | one writer, and one sync for all that wait | keep the journal on a local disk; `cargo xtask bench journal` measures it |
//! | memory | the command holds the rows of the manifest; [`Journal::run`](crate::Journal::run) itself reads its iterator as purchases begin and holds those in flight | split a manifest that is too large, or feed an iterator |
//! | disk | the pictures, and a row of the journal for each | `uso prune` erases what is closed |
//! | upload | each distinct picture once, for as long as the service keeps uploads | – |
//!
//! One machine is enough while one journal is: all of its processes share one limit of purchases in
//! flight, one lock of the account and the budgets. Several machines need a database that they all
//! reach; a journal on a network file system is refused.
//!
//! # How others do it
//!
//! | | Picsart `gen-ai batch` | promptfoo | rclone's transfers | `uso batch` |
//! | --- | --- | --- | --- | --- |
//! | rows | YAML or JSON, `--input-dir` | – | – | CSV, JSON Lines, a folder; `new` writes a manifest from a folder |
//! | going on after a stop | `resume RUN` | `--resume [id]` finds the last run by itself | – | `resume` finds the last run by itself; the same `run` again goes on, too |
//! | failed rows | `resume` runs them again | `--retry-errors` | `--retries` | `retry [--only CAUSE]`: bought again only when asked for |
//! | purchase whose response was lost | no state of its own seen | – | – | a state of its own, looked up, and never sent again by itself |
//! | limit | estimate and dry run, no hard cap seen | – | modes hard, soft and cautious, as a limit that kills transfers in flight wastes them | cautious: an upper bound is reserved before each purchase, and what is in flight ends |
//! | a limit that is reached | – | – | exit codes of its own, 8 and 10; a user reports that `--retries` started everything again after `--max-duration` | an exit code of its own, 9; never retried |
//! | counts | – | – | a user reports that retried transfers are counted twice | rows are counted, and only this run's in the rate |
//! | report | `results.json` | – | – | a page with pictures, failures by what to do, and money; a JSON file beside each picture |
//! | names | a folder for each job | – | – | a template; equal names are refused before anything is sent |
//!
//! A dash says that nothing was found, not that there is nothing.
