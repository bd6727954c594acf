//! An axum extractor of notifications, and responses.

use axum_core::body::Body;
use axum_core::extract::{FromRef, FromRequest, Request};
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::notification::Notification;
use crate::once::Once;
use crate::receiver::Receiver;
use crate::rejection::Rejection;

/// Reads the raw body, up to the receiver's limit, and verifies it. The state is a [`Receiver`], or
/// one can be taken from it.
impl<S> FromRequest<S> for Notification
where
    S: Send + Sync,
    Receiver: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        let receiver = Receiver::from_ref(state);
        let (parts, body) = request.into_parts();
        // A body is read only after headers that could be those of a notification.
        receiver.check_headers(&parts.headers)?;
        let body = read(body, receiver.body_limit()).await?;
        receiver.receive(Request::from_parts(parts, body)).await
    }
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Rejection> {
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Rejection::BodyTooLarge { limit }),
        Err(_) => Err(Rejection::BodyUnreadable),
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}

impl<T> IntoResponse for Once<T> {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("10");
            response.headers_mut().insert(RETRY_AFTER, soon);
        }
        response
    }
}
