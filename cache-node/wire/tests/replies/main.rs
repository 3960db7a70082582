//! Replies written, read back, compared with another implementation, cut into pieces and attacked.

mod differential;
mod hostile;
mod model;
mod reading;
