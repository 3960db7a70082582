//! How much of a core each thread uses that serves clients: a thread that is busy all the time is the first thing that ends a node's
//! throughput, while the process as a whole may look idle.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use parking_lot::Mutex;

/// The threads of this process, a directory each.
const THREADS: &str = "/proc/self/task";
/// What was seconds ago counts e<sup>-1</sup> after so many of them.
const SPAN_SECONDS: f64 = 10.0;

/// The threads that serve clients, by their numbers.
#[derive(Debug, Default)]
pub struct Busy(Mutex<BTreeMap<String, Thread>>);

#[derive(Debug)]
struct Thread {
    name: String,
    /// Nanoseconds of CPU time that it had when it was looked at last.
    cpu_ns: u64,
    /// The part of the time that it used a core, and how much of the mean is there yet.
    share: f64,
    weight: f64,
}

impl Thread {
    /// So many seconds have passed.
    fn pass(&mut self, cpu_ns: u64, seconds: f64) {
        let used = cpu_ns.saturating_sub(self.cpu_ns) as f64 / 1e9 / seconds;
        let left = (-seconds / SPAN_SECONDS).exp();
        self.share = self.share * left + used.min(1.0) * (1.0 - left);
        self.weight = self.weight * left + (1.0 - left);
        self.cpu_ns = cpu_ns;
    }
}

impl Busy {
    /// Looks at all threads. So many seconds have passed since the last look.
    pub fn pass(&self, seconds: f64) {
        let found: Vec<(String, String, u64)> = threads().collect();
        let mut threads = self.0.lock();
        threads.retain(|id, _| found.iter().any(|(found, ..)| found == id));
        for (id, name, cpu_ns) in found {
            let new = || Thread { name, cpu_ns, share: 0.0, weight: 0.0 };
            let thread = threads.entry(id).or_insert_with(new);
            thread.pass(cpu_ns, seconds);
        }
    }

    /// The name of each thread, and the part of the last ten seconds in which it used a core, from 0 to 1.
    pub fn shares(&self) -> Vec<(String, f64)> {
        let threads = self.0.lock();
        let share = |thread: &Thread| thread.share / thread.weight.max(f64::MIN_POSITIVE);
        let mut shares: Vec<_> =
            threads.values().map(|thread| (thread.name.clone(), share(thread))).collect();
        shares.sort_by(|(one, _), (other, _)| one.cmp(other));
        shares
    }
}

/// Number, name and CPU time of the threads that serve clients. None where the system does not tell.
fn threads() -> impl Iterator<Item = (String, String, u64)> {
    let all = fs::read_dir(THREADS).into_iter().flatten().flatten();
    all.filter_map(|thread| {
        let name = read(&thread.path(), "comm")?;
        let serves = name == "service"
            || name.strip_prefix("resp-").is_some_and(|number| number.parse::<u16>().is_ok());
        // The first number is the time on a core.
        let schedstat = serves.then(|| read(&thread.path(), "schedstat"))??;
        let cpu_ns = schedstat.split(' ').next()?.parse().ok()?;
        Some((thread.file_name().to_string_lossy().into_owned(), name, cpu_ns))
    })
}

fn read(thread: &Path, file: &str) -> Option<String> {
    Some(fs::read_to_string(thread.join(file)).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_share_is_the_mean_of_the_last_ten_seconds() {
        let mut thread = Thread { name: "resp-0".into(), cpu_ns: 5, share: 0.0, weight: 0.0 };
        let mut cpu_ns = 5;
        let mut pass = |thread: &mut Thread, seconds: u64, part: f64| {
            for _ in 0..seconds {
                cpu_ns += (part * 1e9) as u64;
                thread.pass(cpu_ns, 1.0);
            }
            thread.share / thread.weight
        };
        assert!((pass(&mut thread, 1, 0.25) - 0.25).abs() < 1e-6, "at once");
        assert!((pass(&mut thread, 100, 0.5) - 0.5).abs() < 0.001);
        assert!((pass(&mut thread, 10, 1.0) - 0.816).abs() < 0.001);
        assert!(pass(&mut thread, 1, 7.0) <= 1.0, "no clock is exact");
    }

    #[test]
    fn only_threads_that_serve_clients_count_and_as_long_as_they_live() {
        let busy = Busy::default();
        let (end, ends) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel::<()>();
        let work = move || {
            let own = |serves: &(String, String, u64)| serves.1 == "resp-777";
            while threads().find(own).is_none_or(|(.., cpu_ns)| cpu_ns < 20_000_000) {}
            let _ = begun.send(());
            let _ = ends.recv();
        };
        let thread = std::thread::Builder::new().name("resp-777".into()).spawn(work).unwrap();
        busy.pass(1.0);
        begins.recv().unwrap();
        busy.pass(1.0);
        let is_it = |(name, _): &&(String, f64)| name == "resp-777";
        assert!(busy.shares().iter().find(is_it).is_some_and(|(_, share)| *share <= 1.0));
        assert!(busy.shares().iter().all(|(name, _)| name != "resp-accept"));
        end.send(()).unwrap();
        thread.join().unwrap();
        busy.pass(1.0);
        assert!(busy.shares().iter().all(|(name, _)| name != "resp-777"));
    }
}
