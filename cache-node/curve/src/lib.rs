//! The miss-ratio curve of a cache: which hit ratio it would have at any size, measured while it serves.
//!
//! The method is SHARDS with a fixed number of samples (Waldspurger, Park, Garthwaite, Ahmad, "Efficient MRC Construction with
//! SHARDS", FAST'15): the keys whose hash lies below a threshold are followed, each with its bytes, in the order of their last use.
//! At a read of such a key the bytes used since its last use, divided by the sampling rate, say how large a cache had to be to have it
//! still. The threshold falls when there are more samples than fit.
//!
//! Here it is weighted by bytes, and knows deadlines: what has expired fills no cache, and a read of it is a miss at any size.
//!
//! The eviction policy is LRU, the one that the store has.

mod curve;
mod depths;
mod recency;
mod sample;
mod sampler;
mod samples;

pub use curve::Curve;
pub use sample::{Moved, Write};
pub use sampler::Sampler;
