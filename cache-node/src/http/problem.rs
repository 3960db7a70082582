//! Every error of the HTTP API: its stable code, its status, its sentence.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use ringcache_api::admin::{ErrorBody, ErrorDetail};
use ringcache_store::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

use super::Answer;
use super::batch::{MAX_BATCH_BYTES, MAX_KEYS};
use super::body::MAX_BODY_BYTES;

/// Why a request was refused. A refused request has changed nothing, except that of an `Unavailable` write this is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("the body is not JSON: {0}")]
    InvalidJson(String),
    #[error("{0}")]
    InvalidKey(&'static str),
    #[error("the key has {0} bytes; at most {MAX_KEY_BYTES} are allowed")]
    KeyTooLong(usize),
    #[error("there is no entry for this key")]
    NotFound,
    #[error(
        "there is nothing at this path; entries are at /cache/{{key}}, with `/` in a key written %2F"
    )]
    UnknownPath,
    #[error("this path allows {0}")]
    MethodNotAllowed(&'static str),
    #[error("the body did not arrive in time")]
    RequestTimeout,
    #[error("the body did not arrive whole")]
    BodyIncomplete,
    #[error("the body has more than {MAX_BODY_BYTES} bytes")]
    BodyTooLarge,
    #[error("the value has {0} bytes as compact JSON; at most {MAX_VALUE_BYTES} are allowed")]
    ValueTooLarge(usize),
    #[error(
        "the entries found have more than {MAX_BATCH_BYTES} bytes together; ask for fewer keys at a time"
    )]
    BatchTooLarge,
    #[error("the body must be JSON (`Content-Type: application/json`), not compressed")]
    UnsupportedMediaType,
    #[error("{0}")]
    InvalidBody(String),
    #[error("`keys` has {0} keys; at most {MAX_KEYS} are allowed")]
    TooManyKeys(usize),
    #[error("the owner of the key cannot be reached now; try again")]
    Unavailable,
    #[error("the node has no memory for another entry now; try again")]
    OutOfMemory,
    #[error("the node is busy with large bodies and answers; try again")]
    Busy,
    #[error("the node has as many connections as it allows; try again")]
    TooManyConnections,
}

impl Problem {
    /// Status and code; both are part of the API and stay as they are.
    pub(super) fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidJson(_) => (StatusCode::BAD_REQUEST, "InvalidJson"),
            Self::InvalidKey(_) => (StatusCode::BAD_REQUEST, "InvalidKey"),
            Self::KeyTooLong(_) => (StatusCode::BAD_REQUEST, "KeyTooLong"),
            Self::BodyIncomplete => (StatusCode::BAD_REQUEST, "BodyIncomplete"),
            Self::NotFound => (StatusCode::NOT_FOUND, "NotFound"),
            Self::UnknownPath => (StatusCode::NOT_FOUND, "UnknownPath"),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "RequestTimeout"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "BodyTooLarge"),
            Self::ValueTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "ValueTooLarge"),
            Self::BatchTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "BatchTooLarge"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType")
            }
            Self::InvalidBody(_) => (StatusCode::UNPROCESSABLE_ENTITY, "InvalidBody"),
            Self::TooManyKeys(_) => (StatusCode::UNPROCESSABLE_ENTITY, "TooManyKeys"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
            Self::OutOfMemory => (StatusCode::INSUFFICIENT_STORAGE, "OutOfMemory"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Busy"),
            Self::TooManyConnections => (StatusCode::SERVICE_UNAVAILABLE, "TooManyConnections"),
        }
    }

    pub(super) fn into_answer(self) -> Answer {
        let (status, code) = self.kind();
        let error = ErrorDetail { code: code.to_owned(), message: self.to_string() };
        let body = serde_json::to_vec(&ErrorBody { error }).unwrap_or_default();
        let mut answer = Response::new(Full::new(Bytes::from(body)));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Or a cache in front of this one may remember that an entry was absent.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Self::MethodNotAllowed(allowed) = self {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // What is left of a body that nobody read would be taken for the next request.
        if matches!(self, Self::RequestTimeout | Self::BodyTooLarge | Self::TooManyConnections) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}
