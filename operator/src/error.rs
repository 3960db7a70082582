//! What may go wrong in a reconcile.

use std::sync::Arc;
use std::time::Duration;

use ringcache_operator_core::Trouble;

use crate::nodes::NodeError;

/// Why a reconcile failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused a call or did not answer.
    #[error("Kubernetes API: {}", in_words(.0))]
    Api(#[from] kube::Error),
    /// An object could not be read that only a repair needs.
    #[error("Kubernetes API: {}", in_words(.0))]
    Unread(#[from] Arc<kube::Error>),
    /// A cache node refused a message or did not answer.
    #[error("cache node: {0}")]
    Node(#[from] NodeError),
    /// An object cannot be written as JSON or read from it.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// An object of the API server lacks what it must have, or says what cannot be.
    #[error("{0}")]
    Malformed(String),
    /// An object of somebody else, or of nobody, has a name that is needed.
    #[error("{0}")]
    Foreign(String),
    /// An object of somebody else, or of nobody, has the name of a node to start: the next name is as good.
    #[error("{0}")]
    Taken(String),
    /// An object has a name that is needed and is about to go.
    #[error("{0}")]
    Ending(String),
    /// The check found the plan unsafe: a bug of the planner.
    #[error("plan refused: {0}")]
    Refused(String),
    /// A step of the plan could not be carried out.
    #[error("{source} ({step})")]
    Step {
        /// The step.
        step: String,
        /// Why.
        source: Box<Error>,
    },
    /// The whole reconcile took too long.
    #[error("not finished after {} s", .0.as_secs())]
    Timeout(Duration),
    /// A bug: the code panicked. Only this cluster's reconcile ends.
    #[error("bug: the reconcile panicked: {0}")]
    Panic(String),
}

impl Error {
    /// Its kind in one word, for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Api(error) => Self::api_category(error),
            Self::Unread(error) => Self::api_category(error),
            Self::Node(_) => "node",
            Self::Json(_) | Self::Malformed(_) => "malformed",
            Self::Foreign(_) | Self::Taken(_) => "foreign",
            Self::Ending(_) => "ending",
            Self::Refused(_) => "refused",
            Self::Step { source, .. } => source.category(),
            Self::Timeout(_) => "timeout",
            Self::Panic(_) => "panic",
        }
    }

    fn api_category(error: &kube::Error) -> &'static str {
        if matches!(error, kube::Error::Api(_)) { "api_refused" } else { "api_unreachable" }
    }

    /// What to report of it in the status. What has failed once may be a mere conflict: it is told if it `lasts`.
    pub fn trouble(&self, lasts: bool) -> Option<Trouble> {
        match self.cause() {
            Self::Foreign(text) => Some(Trouble::NameConflict(text.clone())),
            Self::Ending(text) => Some(Trouble::Ending(text.clone())),
            _ => lasts.then(|| Trouble::Failing(self.to_string())),
        }
    }

    /// What it comes from, whichever step it kept from being carried out.
    fn cause(&self) -> &Self {
        let mut cause = self;
        while let Self::Step { source, .. } = cause {
            cause = source;
        }
        cause
    }

    fn refusal(&self) -> Option<&kube::core::Status> {
        match self.cause() {
            Self::Api(kube::Error::Api(status)) => Some(status),
            _ => None,
        }
    }

    /// Whether somebody else has changed what was to be written since it was read: then it is read again.
    pub fn is_conflict(&self) -> bool {
        self.refusal().is_some_and(kube::core::Status::is_conflict)
    }

    /// Whether a node was to be started under a name that something of somebody else has: then another name is taken.
    pub fn is_taken_name(&self) -> bool {
        matches!(self.cause(), Self::Taken(_))
    }

    /// Whether the namespace is being deleted, which takes nothing new and loses the cluster next.
    pub fn is_end_of_namespace(&self) -> bool {
        let causes = self.refusal().and_then(|status| status.details.as_ref()).map(|d| &d.causes);
        causes.is_some_and(|causes| causes.iter().any(|c| c.reason == "NamespaceTerminating"))
    }

    /// The code of the API server's refusal.
    pub fn api_code(&self) -> Option<u16> {
        match self {
            Self::Api(kube::Error::Api(status)) => Some(status.code),
            _ => None,
        }
    }
}

/// What the server said, or why it said nothing: the library's own text has the whole answer once more, as Rust prints it.
fn in_words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::Service(error) => {
            let causes = std::iter::successors(error.source(), |error| error.source());
            causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn what_the_server_refused_is_told_in_its_own_words() {
        let status = Status::failure("pods \"web-0\" is forbidden: no", "Forbidden").with_code(403);
        let error = Error::from(kube::Error::Api(status.boxed()));
        assert_eq!(error.to_string(), "Kubernetes API: pods \"web-0\" is forbidden: no");
        let broken = anyhow::anyhow!("reset").context("GET /api").into_boxed_dyn_error();
        let error = Error::from(kube::Error::Service(broken));
        assert_eq!(error.to_string(), "Kubernetes API: GET /api: reset");
    }

    /// An event has room for 1024 bytes, and the messages of a status for as many characters.
    #[test]
    fn why_a_step_failed_is_told_of_a_large_cluster_too() {
        let names: Vec<String> = (0..50).map(|n| format!("checkout-sessions-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let document = crate::observe::fixture::document(7, &names);
        let step = ringcache_operator_core::Step::WriteDocument { document }.to_string();
        let status = Status::failure("configmaps \"web-ring\" is forbidden: no", "Forbidden");
        let error = Error::from(kube::Error::Api(status.with_code(403).boxed()));
        let error = Error::Step { step, source: Box::new(error) };
        let mut text = error.to_string();
        text.truncate(1024);
        assert!(text.contains("is forbidden: no"), "{text}");
    }
}
