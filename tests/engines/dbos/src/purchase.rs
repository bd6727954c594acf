//! The step that buys a picture: through the journal, and without it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uso::{Client, Request};
use uso_journal::{Journal, State};

/// What a workflow is to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) content: PathBuf,
    pub(crate) style: PathBuf,
    /// Folder of the picture that is made.
    pub(crate) folder: PathBuf,
}

/// Why a step has no picture. DBOS records the error as the result of the step.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{0}")]
pub(crate) struct Failed(String);

impl Failed {
    fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

/// Buys the picture of an order at most once, however often the step runs.
pub(crate) async fn with_journal(
    client: &Client,
    journal: &Journal,
    order: &Order,
) -> dbos::Result<PathBuf, Failed> {
    let request = Request::restyle(order.content.as_path(), order.style.as_path());
    // Every run of this step has the same key, and no other step has it.
    let workflow = dbos::workflow_id().ok_or_else(|| Failed::new("not in a workflow"))?;
    let purchase = journal
        .purchase(client, format!("{workflow}/picture"), request)
        .folder(&order.folder)
        .await
        .map_err(Failed::new)?;
    returned().await;
    let id = purchase.id;
    match (purchase.state, purchase.pictures.first()) {
        (State::Done, Some(picture)) => Ok(picture.path.clone()),
        (State::Unknown, _) => Err(Failed(format!("{id} may be bought: see `uso resume {id}`")))?,
        (state, _) => Err(Failed(format!("{id} is {state}: {:?}", purchase.reason)))?,
    }
}

/// Buys the picture of an order each time the step runs.
pub(crate) async fn without_journal(
    client: &Client,
    order: &Order,
) -> dbos::Result<PathBuf, Failed> {
    let request = Request::restyle(order.content.as_path(), order.style.as_path());
    let job = client.submit(request).await.map_err(Failed::new)?;
    let output = job.wait().await.map_err(Failed::new)?;
    returned().await;
    let [picture, ..] = output.images() else {
        return Err(Failed::new("the job made no picture"))?;
    };
    let path = order.folder.join("picture.png");
    picture.save(&path).await.map_err(Failed::new)?;
    Ok(path)
}

/// The moment between the end of the purchase and the checkpoint of the step. For the tests, the
/// variable `STOP_AT_RETURN` keeps the step there until the process is killed.
async fn returned() {
    if std::env::var_os("STOP_AT_RETURN").is_some() {
        println!("returned");
        std::future::pending().await
    }
}
