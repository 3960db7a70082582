//! What a failed wait prints: enough to understand the failure without running it again.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::{cluster, layout};

/// Lines kept of each file.
const TAIL: usize = 40;

/// Events of `up`, the document, the nodes' states and the ends of their logs.
pub(crate) fn report(events: &str, state_dir: &Path) -> String {
    let mut text = format!("--- up ---\n{}", tail(events));
    match layout::document(state_dir) {
        Ok(None) => text += "--- no ring.json ---\n",
        Err(error) => {
            let _ = writeln!(text, "--- ring.json: {error:#} ---");
        }
        Ok(Some(document)) => {
            let _ = writeln!(
                text,
                "--- ring.json: epoch {}, gone {:?} ---",
                document.epoch, document.gone
            );
            for m in &document.members {
                let slots = document.intended(&m.name).len();
                let _ =
                    writeln!(text, "{} ({}) {:?}: {slots} slots intended", m.name, m.uid, m.state);
            }
        }
    }
    for node in layout::records(state_dir).unwrap_or_default() {
        let _ = match cluster::state(&node) {
            Ok(state) => writeln!(
                text,
                "--- {}: epoch {}, {} slots owned, sealed {:?}, {:?} ---",
                node.name,
                state.epoch,
                cluster::owned(&state).len(),
                state.ownership.sealed,
                state.stats
            ),
            Err(error) => writeln!(text, "--- {} (pid {}): {error:#} ---", node.name, node.pid),
        };
    }
    for entry in fs::read_dir(state_dir.join("nodes")).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|e| e == "log") {
            let log = fs::read_to_string(entry.path()).unwrap_or_default();
            let _ = write!(text, "--- {} ---\n{}", entry.path().display(), tail(&log));
        }
    }
    text
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    lines.get(from..).unwrap_or_default().iter().flat_map(|line| [*line, "\n"]).collect()
}
