//! Answers as they go out.

use std::convert::Infallible;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use kube::core::Status;
use serde_json::{Value, json};

use crate::object::Object;

/// The body of an answer: all at once, or a watch's.
pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, Infallible>;
/// An answer.
pub(crate) type Answer = Response<AnswerBody>;

pub(crate) fn answer(code: u16, body: AnswerBody) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

pub(crate) fn bytes(code: u16, bytes: Bytes) -> Answer {
    answer(code, Full::new(bytes).boxed_unsync())
}

pub(crate) fn object(code: u16, object: &Object, partial: bool) -> Answer {
    bytes(code, if partial { object.partial() } else { object.json() })
}

pub(crate) fn refusal(status: &Status) -> Answer {
    let mut response = bytes(status.code, status_bytes(status));
    let pause = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if pause > 0 {
        response.headers_mut().insert(RETRY_AFTER, pause.into());
    }
    response
}

/// Success without an object.
pub(crate) fn success(code: u16) -> Answer {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    bytes(code, Bytes::from(status.to_string()))
}

/// A status as JSON, as an answer or as the last event of a watch.
pub(crate) fn status_bytes(status: &Status) -> Bytes {
    let mut value = serde_json::to_value(status).unwrap_or(Value::Null);
    value["kind"] = "Status".into();
    value["apiVersion"] = "v1".into();
    Bytes::from(value.to_string())
}
