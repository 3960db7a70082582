//! What a lab and its audit log show after any tests, or none: these run last, and can be run alone.

mod calls;
mod reads;
mod rest;
mod rights;
