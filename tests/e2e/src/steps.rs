//! The steps of a story with their times, so that the report can say how long clients waited in each.

use std::ops::Range;

use anyhow::{Context, Result};
use ringcache_tests::Report;
use ringcache_tests::clock::unix;

/// Steps that were taken, each with its period in seconds since 1970.
#[derive(Default)]
pub struct Steps(Vec<(String, Range<f64>)>);

impl Steps {
    /// Takes one step.
    pub fn take<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("--- {name}");
        let from = unix();
        let result = step().with_context(|| name.to_owned())?;
        self.0.push((name.to_owned(), from..unix()));
        Ok(result)
    }

    /// A table: how long each step took, and the longest wait of each load meanwhile.
    pub fn print(&self, reports: &[(&str, Report)]) {
        for (name, period) in &self.0 {
            let waits = reports.iter().map(|(load, report)| {
                let (wait, rate) =
                    (report.longest_wait(period.clone()), report.rate(period.clone()));
                format!("{load}: longest wait {wait:.1} ms at {rate:.0} op/s")
            });
            let waits: Vec<String> = waits.collect();
            println!("{name:28} {:6.1} s   {}", period.end - period.start, waits.join("   "));
        }
    }
}
