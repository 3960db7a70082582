//! The Helm chart: what it renders, what it refuses, and that its texts say the same.

mod conventions;
mod documents;
mod instructions;
mod objects;
mod permissions;
mod policies;
mod render;
mod security;
mod texts;
mod values;
