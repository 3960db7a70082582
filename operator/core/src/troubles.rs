//! Which nodes the platform cannot start and why, in words: a cause that many nodes share is told once.

use crate::ObservedNode;

/// Most names in one list: a hundred of them would leave no room for the cause.
const MAX_NAMES: usize = 8;

/// Why the platform does not start the node, if it has not for long.
fn cause(node: &ObservedNode) -> Option<&str> {
    // A volume that does not exist, a network that hangs: Kubernetes says why in events alone.
    let unknown = "its container is not created: see the events of the pod";
    node.trouble.as_deref().or_else(|| node.is_stuck().then_some(unknown))
}

/// The nodes' names in groups of one cause each, with that cause: in the order of the nodes.
pub(crate) fn with_troubles(nodes: &[&ObservedNode]) -> Vec<String> {
    let mut groups: Vec<(Option<&str>, Vec<&str>)> = Vec::new();
    for node in nodes {
        let cause = cause(node);
        match groups.iter_mut().find(|(other, _)| *other == cause) {
            Some((_, names)) => names.push(&node.name),
            None => groups.push((cause, vec![&node.name])),
        }
    }
    let groups = groups.into_iter().map(|(cause, names)| match cause {
        Some(cause) if names.len() > 1 => format!("{} (each: {cause})", listed(&names)),
        Some(cause) => format!("{} ({cause})", listed(&names)),
        None => listed(&names),
    });
    groups.collect()
}

/// The first names, and how many there are besides.
fn listed(names: &[&str]) -> String {
    let first = names.iter().take(MAX_NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMES) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
