//! The heat of a cache node: what it measures of its own load while it serves.
//!
//! | question | answer | method |
//! | --- | --- | --- |
//! | Which keys get most of the operations? | [`HotKeys`] | `HeavyKeeper` (Gong et al., "`HeavyKeeper`: An Accurate Algorithm for Finding Top-k Elephant Flows", USENIX ATC'18) over one operation of 16 |
//! | Which slots get them, and how many bytes? | [`Slots`] | a decayed count a slot |
//! | How long do requests take, how old is what is evicted? | [`Histogram`] | log-linear buckets (Tene, `HdrHistogram`) |
//! | Do clients all miss the same key at once? | [`Stampedes`] | the last misses of the keys that were missed a moment ago |
//!
//! "Decayed" means that what is `t` seconds old counts e<sup>-t/10</sup>. Counts decay forward (Cormode, Shkapenyuk, Srivastava, Xu,
//! "Forward Decay: A Practical Time Decay Model for Streaming Systems", ICDE'09): what comes later counts more, and a read divides by
//! what an operation counts then, so that time costs nothing where nothing happens.
//!
//! All of it is a pure function of what it is told: hashes, times of a monotonic clock and seeds are arguments. Each structure has a fixed
//! size, whatever clients send. A structure belongs to one thread or stands under a lock; those of several threads add up by `merge`.

mod candidates;
mod chance;
mod decay;
mod histogram;
mod hot_keys;
mod sketch;
mod slots;
mod stampedes;

pub use histogram::Histogram;
pub use hot_keys::{HotKey, HotKeys};
pub use slots::{Slots, Traffic};
pub use stampedes::Stampedes;
