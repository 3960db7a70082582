//! A node that was told to end looks again and again whether it may.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ringcache_cluster::{Knowledge, Look, Patience};
use tokio::sync::oneshot;

use crate::node::Node;
use crate::requests::Request;

/// Pause between two looks at what the node holds.
const LOOK: Duration = Duration::from_millis(50);

/// Resolves, with the reason, when the node need not go on serving and forwarding.
pub(crate) async fn drained(node: &Node) -> &'static str {
    let mut patience = Patience::new(Duration::from_secs(node.args.grace_seconds));
    let told_ms = node.clock.monotonic_ms();
    loop {
        tokio::time::sleep(LOOK).await;
        let now_ms = node.clock.monotonic_ms();
        let since_ms = |ms: u64| Duration::from_millis(now_ms.saturating_sub(ms));
        let Some(known) = knowledge(node).await else {
            return "its control thread has ended";
        };
        let last_request_ms = node.counters.last_request_ms.load(Ordering::Relaxed);
        let look = Look {
            since: since_ms(told_ms),
            slots: known.held(),
            is_member: known.is_member,
            quiet: since_ms(last_request_ms),
        };
        if let Some(why) = patience.ends(look) {
            return why;
        }
    }
}

/// What the control thread knows, however long it takes; `None` = nobody can tell any more.
async fn knowledge(node: &Node) -> Option<Knowledge> {
    let (reply, answer) = oneshot::channel();
    node.control.send(Request::Knowledge(reply)).await.ok()?;
    answer.await.ok()
}
