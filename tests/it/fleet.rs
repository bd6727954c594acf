//! Journals on a PostgreSQL server.

mod budget;
mod claims;
mod commits;
mod durable;
mod faults;
mod frozen;
mod leaving;
mod link;
mod machines;
mod proxies;
mod security;
mod stores;
mod taken_over;
mod workers;

use uso_tests::postgres::Cluster;
use uso_tests::rig::skipped;

/// The server that the tests share; says that the test is skipped where PostgreSQL is missing.
fn server(test: &str) -> Option<&'static Cluster> {
    let cluster = Cluster::shared();
    if cluster.is_none() {
        skipped(&format!("fleet::{test}"), "PostgreSQL");
    }
    cluster
}
