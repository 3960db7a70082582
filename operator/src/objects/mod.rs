//! How everything that the operator creates looks: pure functions from a `CacheCluster` to Kubernetes objects.

mod additions;
pub mod fingerprint;
pub mod meta;
pub mod ownership;
pub mod pdb;
pub mod pod;
pub mod ring;
pub mod services;

#[cfg(test)]
mod tests;
