//! What the API server in memory says, held against a real one.
//!
//! Each test is one behaviour: an assertion over a client and a namespace of its own. It runs against the server in memory,
//! or, if `RINGCACHE_CONFORMANCE_KUBECONFIG` names a kubeconfig, against the cluster that this leads to. That one must know
//! `CacheCluster`s, and no operator may look after them. What can only be said of the one in memory has no place here.

#![expect(clippy::needless_pass_by_value, reason = "JSON reads best where it is written")]

#[cfg(test)]
mod applying;
#[cfg(test)]
mod collecting;
#[cfg(test)]
mod custom;
#[cfg(test)]
mod deleting;
#[cfg(test)]
mod evicting;
#[cfg(test)]
mod listing;
#[cfg(test)]
mod partial;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod watching;
#[cfg(test)]
mod writing;
