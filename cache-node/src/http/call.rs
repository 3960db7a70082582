//! Which call a method and a path mean.

use hyper::{Method, Uri};

use super::key;
use super::problem::Problem;

/// A call of the API. The keys are decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `GET` or `HEAD`.
    Get(Vec<u8>),
    Put(Vec<u8>),
    Delete(Vec<u8>),
    BatchGet,
}

const ENTRY_METHODS: &str = "GET, HEAD, PUT, DELETE";
const BATCH_METHODS: &str = "GET, HEAD, PUT, DELETE, POST";

impl Call {
    /// Parses the request line. `batch-get` is also a key like any other: only `POST` makes it a call.
    pub(super) fn parse(method: &Method, uri: &Uri) -> Result<Self, Problem> {
        let text = uri.path().strip_prefix("/cache/").ok_or(Problem::UnknownPath)?;
        if text.contains('/') {
            return Err(Problem::UnknownPath);
        }
        if uri.query().is_some() {
            // Ignoring it would read and write another key than a client means that forgot to encode its key.
            return Err(Problem::InvalidKey(
                "a `?` in a key is written %3F; there are no query parameters",
            ));
        }
        let is_batch = text == "batch-get";
        match method.as_str() {
            "GET" | "HEAD" => key::decode(text).map(Self::Get),
            "PUT" => key::decode(text).map(Self::Put),
            "DELETE" => key::decode(text).map(Self::Delete),
            "POST" if is_batch => Ok(Self::BatchGet),
            _ if is_batch => Err(Problem::MethodNotAllowed(BATCH_METHODS)),
            _ => Err(Problem::MethodNotAllowed(ENTRY_METHODS)),
        }
    }
}
