//! The page's own files.

use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

pub(crate) async fn html() -> impl IntoResponse {
    let kind = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    (kind, include_str!("page/index.html"))
}

pub(crate) async fn script() -> impl IntoResponse {
    let kind = [(CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (kind, include_str!("page/app.js"))
}

pub(crate) async fn style() -> impl IntoResponse {
    let kind = [(CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, include_str!("page/app.css"))
}

pub(crate) async fn icon() -> impl IntoResponse {
    let kind = [(CONTENT_TYPE, "image/svg+xml")];
    (kind, include_str!("page/icon.svg"))
}
