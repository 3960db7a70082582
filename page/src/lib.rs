//! A live page of a cluster, and the server that shows it to the browsers of one machine.
//!
//! It knows nothing of caches: whoever looks after a cluster gives it one JSON document for each look (`ringcache_show::live`) and a line
//! for each event, and looks only while somebody looks at the page. So a cluster on this machine and one on Kubernetes have the same page.
//!
//! - `GET /` and the files beside it are part of the program: nothing is built, nothing comes from elsewhere.
//! - `GET /events` is a stream of server-sent events: `begin` names the run of the program, `log` is an event of the cluster, `state` a look.
//!
//! It listens on loopback only, and answers only those who address it by a name of this machine: a page of somebody else's, whose name
//! was made to lead here, learns nothing.

mod answer;
mod files;
mod news;
mod server;

pub use news::{MOST_STREAMS, Page};
pub use server::{listen, serve};
