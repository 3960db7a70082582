//! Tests on a real Kubernetes: the operator as its chart installs it, caches under checking loads, and what goes wrong.
//!
//! All tests share one cluster and one installation; each has a namespace of its own, in which restricted Pod Security is
//! enforced, and says in a word whether others may run meanwhile. They run in the network namespace of the control plane, from where pods and Services are reachable.

pub mod audit;
pub mod cluster;
pub mod container;
pub mod cut_off;
pub mod drain;
pub mod history;
pub mod image;
pub mod kubelet;
pub mod load;
pub mod namespace;
pub mod operator;
pub mod readiness;
pub mod sidecars;
pub mod steps;
pub mod taint;
pub mod turn;
pub mod view;
pub mod world;

pub use cluster::Cluster;
pub use load::{Loads, Verify};
pub use namespace::Namespace;
pub use readiness::Readiness;
pub use steps::Steps;
pub use turn::Turn;
pub use view::View;
pub use world::World;
