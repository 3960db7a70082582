//! The harness of the tests against real processes: a cluster started by the command line, loads by stock clients, raw
//! sockets. Every wait is bounded and tells what it saw when it gives up; every process is ended by its id.

mod diagnose;

pub mod clock;
pub mod cluster;
pub mod disk;
pub mod http;
pub mod layout;
pub mod load;
pub mod process;
pub mod random;
pub mod resp;
pub mod tool;
pub mod turn;

pub use cluster::Cluster;
pub use layout::NodeRecord;
pub use load::{Load, Report};
