//! The operator under every fault: the real `ringcache_operator::run` over an API server in memory and cache nodes in small,
//! under paused time. All of it is tests.

#![cfg(test)]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod actions;
mod desired;
mod hands;
mod matrix;
mod mishaps;
mod normal;
mod outcome;
mod plan;
mod plane;
mod reasons;
mod run;
mod safety;
mod scenarios;
mod sim;
mod tape;
mod truth;
mod workload;
mod world;
