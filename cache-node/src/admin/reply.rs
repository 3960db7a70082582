//! Answers of the admin port: plain text for probes, JSON for programs.

use ringcache_api::admin::{ErrorBody, ErrorDetail};
use warp::http::StatusCode;
use warp::reject::{LengthRequired, MethodNotAllowed, PayloadTooLarge};
use warp::reply::Response;
use warp::{Rejection, Reply};

pub(super) fn text(status: StatusCode, text: &'static str) -> Response {
    warp::reply::with_status(text, status).into_response()
}

pub(super) fn error(status: StatusCode, code: &str, message: String) -> Response {
    let error = ErrorDetail { code: code.to_owned(), message };
    let body = warp::reply::json(&ErrorBody { error });
    warp::reply::with_status(body, status).into_response()
}

/// The control thread has not answered.
pub(super) fn unavailable() -> Response {
    let message = "the node did not answer in time; try again".to_owned();
    error(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", message)
}

/// A request that no handler took.
pub(super) fn rejected(rejection: &Rejection) -> Response {
    let (status, code, message) = if rejection.find::<PayloadTooLarge>().is_some() {
        (StatusCode::PAYLOAD_TOO_LARGE, "BodyTooLarge", "the body is too large")
    } else if rejection.find::<LengthRequired>().is_some() {
        (StatusCode::LENGTH_REQUIRED, "LengthRequired", "the body needs a `Content-Length`")
    } else if rejection.find::<MethodNotAllowed>().is_some() {
        (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "the path does not allow this method")
    } else if rejection.is_not_found() {
        (StatusCode::NOT_FOUND, "UnknownPath", "there is nothing at this path")
    } else {
        (StatusCode::BAD_REQUEST, "BadRequest", "the request cannot be understood")
    };
    error(status, code, message.to_owned())
}
