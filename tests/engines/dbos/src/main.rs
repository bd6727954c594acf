//! A program of DBOS: one workflow, whose step buys a picture through the journal.
//!
//! ```sh
//! export DATABASE_URL=postgres://user@/shop?host=/run/postgresql FAL_KEY=…
//! uso-engine-dbos order-17 photo.jpg ink.webp
//! ```
//!
//! The first argument is the workflow's id. The same command again joins the workflow, and goes on
//! with it where an earlier process died. `--without-journal` buys through the client alone, for
//! the comparison in the tests of this package.

mod purchase;

use anyhow::{Context as _, Result, bail};
use dbos::{Config, DBOS, StartOptions};
use uso::Client;
use uso_journal::Journal;

use crate::purchase::Order;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (id, content, style, has_journal) = match arguments.as_slice() {
        [id, content, style] => (id, content, style, true),
        [id, content, style, last] if last == "--without-journal" => (id, content, style, false),
        _ => bail!("usage: uso-engine-dbos WORKFLOW_ID CONTENT STYLE [--without-journal]"),
    };
    let database = std::env::var("DATABASE_URL").context("DATABASE_URL names no database")?;
    let client = Client::from_env()?;
    // The journal may share the database of DBOS: its tables are in the schema `uso`.
    let journal = Journal::connect(&database).await?;

    let dbos = DBOS::new(Config {
        // A workflow goes on only in a process of the version that began it.
        app_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..Config::new("uso-shop", database)
    });
    let restyle = dbos.register_workflow("restyle", move |order: Order| {
        let (client, journal) = (client.clone(), journal.clone());
        async move {
            let picture = dbos::step("buy", || async {
                match has_journal {
                    true => purchase::with_journal(&client, &journal, &order).await,
                    false => purchase::without_journal(&client, &order).await,
                }
            });
            picture.await
        }
    })?;
    // Workflows of a process that died go on from here.
    dbos.launch().await?;

    let order = Order {
        content: content.into(),
        style: style.into(),
        folder: std::env::current_dir()?,
    };
    let options = StartOptions {
        workflow_id: Some(id),
        ..StartOptions::default()
    };
    let picture = restyle.start_with(order, options).await?.result().await?;
    println!("{}", picture.display());
    dbos.shutdown().await;
    Ok(())
}
