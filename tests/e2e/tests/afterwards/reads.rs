//! What the operator decides by is current.

use anyhow::{Result, ensure};

use crate::calls;

/// Kinds whose objects prove something: who takes part, who is there, what is wanted.
const PROOFS: [&str; 3] = ["cacheclusters", "configmaps", "pods"];

/// With a `resourceVersion` the server may answer from a cache that lags behind: a pod that is not in such a list would count as
/// dead. Without one the answer is as new as the request.
#[test]
fn what_is_decided_by_is_read_without_a_resource_version() -> Result<()> {
    let calls = calls::all()?;
    for resource in PROOFS {
        // Watches list over all namespaces, and may begin with what a cache has: they only say when to look.
        let reads = calls.iter().filter(|call| {
            let access = &call.access;
            let is_read = access.verb == "get" || access.verb == "list" && resource == "pods";
            access.resource == resource && is_read && !call.namespace.is_empty()
        });
        let (mut all, mut stale) = (0, Vec::new());
        for read in reads {
            all += 1;
            let query = read.uri.split_once('?').map_or("", |(_, query)| query);
            let version = query.split('&').find(|part| part.starts_with("resourceVersion"));
            stale.extend(version.map(|_| &read.uri));
        }
        println!("{all} reads of {resource}, {} of them with a version", stale.len());
        ensure!(all > 0, "{resource} were never read");
        ensure!(stale.is_empty(), "{stale:#?}");
    }
    Ok(())
}
