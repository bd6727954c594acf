//! Purchases that meet the close of the studio.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uso_tests::rig::until_async;

use super::{PATIENCE, Served};

/// A change whose body is held back until the studio has asked for it.
async fn held_back(served: &Served, path: &str, body: &Value) -> TcpStream {
    let (length, address) = (body.to_string().len(), served.address);
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\norigin: {}\r\ncookie: {}\r\nx-uso-token: {}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n",
        served.origin(),
        served.cookie,
        served.change,
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_whose_body_arrives_after_the_close_is_refused() {
    let mut served = Served::plain().await;
    let draft = served.draft().await;
    let order = json!({ "key": "0123456789abcdef", "draft": draft, "at_most": 1_000_000 });
    let mut stream = held_back(&served, "/api/jobs", &order).await;

    let _ = served.stop.take().unwrap().send(());
    let is_closed = async || TcpStream::connect(served.address).await.is_err();
    until_async("the studio accepts no more", is_closed).await;
    stream
        .write_all(order.to_string().as_bytes())
        .await
        .unwrap();
    let mut response = String::new();
    let reading = stream.read_to_string(&mut response);
    tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap()
        .unwrap();
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(response.contains("closing"), "{response}");
    served.serving.await.unwrap();
    assert!(served.rig.emulator.requests().is_empty());
}
