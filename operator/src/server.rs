//! The operator's own port: health, readiness and metrics.

use std::convert::Infallible;
use std::time::Duration;

use prometheus::TEXT_FORMAT;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use warp::http::StatusCode;
use warp::http::header::CONTENT_TYPE;
use warp::reply::Response;
use warp::{Filter, Reply};

use crate::metrics::Metrics;

/// What the port tells of.
#[derive(Clone, Debug)]
pub struct Server {
    /// Metrics, and the life signs of watches.
    pub metrics: Metrics,
    /// A watch that cannot be done without may be silent for so long.
    pub watch_stall: Duration,
    /// The operator has been told to stop.
    pub stopping: CancellationToken,
}

impl Server {
    /// Serves for as long as it is polled.
    pub async fn serve(self, listener: TcpListener) {
        warp::serve(self.filter()).incoming(listener).run().await;
    }

    fn filter(self) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone {
        let server = warp::any().map(move || self.clone());
        let get =
            |name| warp::path(name).and(warp::path::end()).and(warp::get()).and(server.clone());
        get("healthz")
            .map(|server: Self| server.health())
            .or(get("readyz").map(|server: Self| server.readiness()))
            .unify()
            .or(get("metrics").map(|server: Self| server.metrics()))
            .unify()
            .or(warp::any().map(|| text(StatusCode::NOT_FOUND, "no such page\n".into())))
            .unify()
    }

    /// Unhealthy: looks alive, but would not notice anything.
    fn health(&self) -> Response {
        match self.metrics.progress.stalled(self.watch_stall) {
            None => text(StatusCode::OK, "ok\n".into()),
            Some(kind) => {
                let bound = self.watch_stall.as_secs();
                let why =
                    format!("the watch of {kind} has shown no life for more than {bound} s\n");
                text(StatusCode::SERVICE_UNAVAILABLE, why)
            }
        }
    }

    /// Ready: standing by, or watching. A replica that does not know yet which of the two it does would be ready, not ready
    /// and ready again while it starts.
    fn readiness(&self) -> Response {
        if self.stopping.is_cancelled() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into());
        }
        match self.metrics.progress.missing() {
            None => text(StatusCode::OK, "ready\n".into()),
            Some(what) => text(StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {what}\n")),
        }
    }

    fn metrics(&self) -> Response {
        warp::reply::with_header(self.metrics.render(), CONTENT_TYPE, TEXT_FORMAT).into_response()
    }
}

fn text(status: StatusCode, text: String) -> Response {
    warp::reply::with_status(text, status).into_response()
}

#[cfg(test)]
mod tests;
