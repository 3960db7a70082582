//! A call as a test sees it before it is answered, and what the test makes of it.

use std::fmt;
use std::time::Duration;

use kube::core::Status;
use serde_json::Value;

/// What a call wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "The names are those of access rules")]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        })
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose client makes it.
    pub writer: String,
    /// Method, path and query, as sent.
    pub line: String,
    /// What it wants.
    pub verb: Verb,
    /// Plural name of the kind, such as `pods`.
    pub resource: String,
    /// Such as `status`.
    pub subresource: Option<String>,
    /// The namespace, if it is about one.
    pub namespace: Option<String>,
    /// The object, also of a create that names one.
    pub name: Option<String>,
    /// Whether it may change anything.
    pub is_write: bool,
    /// What was sent; null if nothing.
    pub body: Value,
}

/// What becomes of a call.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is answered.
    Pass,
    /// It never arrives, and is never answered.
    DropBefore,
    /// It is carried out, and never answered.
    DropAfter,
    /// It is carried out, and answered after so long.
    Late(Duration),
    /// It is refused before anything is done.
    Refuse(Box<Status>),
}
