//! The server as a `tower` service: one for each client, which says whose calls they are.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::BodyExt as _;
use kube::client::Body;
use tokio::time::sleep;
use tower::Service;

use crate::call::Verdict;
use crate::handle::handle;
use crate::request::Request;
use crate::respond::{Answer, refusal};
use crate::server::ApiServer;

/// A client's line to the server.
#[derive(Clone)]
pub(crate) struct Line {
    pub api: ApiServer,
    pub writer: Arc<str>,
}

impl Service<http::Request<Body>> for Line {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.clone().serve(request))
    }
}

impl Line {
    async fn serve(self, request: http::Request<Body>) -> Result<Answer, Infallible> {
        let (head, body) = request.into_parts();
        // The bodies of requests are in memory: they cannot fail.
        let body =
            body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let request = Request::parse(&self.writer, &head, &body);
        sleep(self.api.latency()).await;
        let verdict = self.api.ask(&request.call);
        match verdict {
            Verdict::DropBefore => pending().await,
            Verdict::Refuse(status) => return Ok(refusal(&status)),
            Verdict::Pass | Verdict::DropAfter | Verdict::Late(_) => {}
        }
        let answer =
            handle(&self.api, &self.writer, &request).unwrap_or_else(|status| refusal(&status));
        match verdict {
            Verdict::DropAfter => pending().await,
            Verdict::Late(time) => {
                sleep(time).await;
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }
}
