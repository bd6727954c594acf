//! A receiver with axum: `cargo run -p uso-webhook --features axum --example axum -- jwks.json`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::routing::post;
use uso_webhook::{Delivery, KeySet, MemoryStore, Once, Receiver, once};

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

/// What arrives here is fal's; anything else was answered with 400, 401 or 413.
async fn hook(State(app): State<App>, delivery: Delivery) -> Result<Once<()>, StatusCode> {
    let keep = || async {
        match delivery.notification().output() {
            Ok(output) => println!(
                "{}: {} pictures",
                delivery.request_id(),
                output.images.map_or(0, |images| images.len())
            ),
            Err(why) => println!("{}: {why}", delivery.request_id()),
        }
        Ok::<_, std::io::Error>(())
    };
    let kept = once(&*app.handled, &delivery, keep).await;
    kept.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name a JWKS file")?;
    let app = App {
        receiver: Receiver::new(KeySet::from_jwks(&std::fs::read(path)?)?),
        handled: Arc::default(),
    };
    // The last segment is the attempt id, when the request was made with a webhook of `uso`'s.
    let router = Router::new()
        .route("/hook/{attempt}", post(hook))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("http://{}/hook", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
