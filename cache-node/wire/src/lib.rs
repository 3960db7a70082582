//! RESP2 and RESP3 without I/O: bytes to requests, replies to bytes, bytes to values.
//!
//! Three invariants hold everywhere in this crate: no parser recurses (a deep nest cannot overflow the
//! stack), none looks twice at a byte that has already told it nothing (a slow sender cannot make
//! it quadratic), and none allocates because of a length that was only announced.

mod element;
mod encode;
mod line;

pub mod frame;
pub mod number;
pub mod output;
pub mod reply;
pub mod request;
pub mod table;
pub mod value;

pub use encode::{encode_args, encode_command};
