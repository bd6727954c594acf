//! A receiver with axum: `cargo run -p uso-webhook --features axum --example axum -- jwks.json`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::routing::post;
use uso_webhook::{KeySet, MemoryStore, Notification, Once, Receiver, once};

#[derive(Clone)]
struct App {
    receiver: Receiver,
    handled: Arc<MemoryStore>,
}

impl FromRef<App> for Receiver {
    fn from_ref(app: &App) -> Self {
        app.receiver.clone()
    }
}

/// Every notification here is verified; other requests got 400, 401 or 413.
async fn hook(State(app): State<App>, notification: Notification) -> Result<Once<()>, StatusCode> {
    let keep = || async {
        match notification.output() {
            Ok(output) => println!(
                "{}: {} pictures",
                notification.request_id(),
                output.images.map_or(0, |images| images.len())
            ),
            Err(why) => println!("{}: {why}", notification.request_id()),
        }
        Ok::<_, std::io::Error>(())
    };
    let kept = once(&*app.handled, &notification, keep).await;
    kept.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name a JWKS file")?;
    let app = App {
        receiver: Receiver::new(KeySet::from_jwks(&std::fs::read(path)?)?),
        handled: Arc::default(),
    };
    // The last segment is the attempt id, when the request was made by `uso`.
    let router = Router::new()
        .route("/hook/{attempt}", post(hook))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("http://{}/hook", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
