//! The cache node's own binary, for images; the command line's local mode runs the same code.

use clap::Parser;

/// A Ringcache node: one member of a cache cluster
#[derive(Parser)]
#[command(name = "cache-node", version, about)]
struct Cli {
    #[command(flatten)]
    node: cache_node::NodeArgs,
}

fn main() -> std::process::ExitCode {
    match cache_node::run(Cli::parse().node) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cache-node: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
