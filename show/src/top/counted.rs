//! What a node has counted since it started, as its metrics tell.

/// Requests of clients, and the time in which they came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counted {
    /// Requests of clients since the node started.
    pub requests: f64,
    /// Seconds since then.
    pub uptime_seconds: f64,
}

impl Counted {
    /// What the metrics say; `None` = not both of it.
    pub fn of(metrics: &str) -> Option<Self> {
        let values = |begin: &'static str| {
            let lines = metrics.lines().filter(move |line| line.starts_with(begin));
            lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        };
        let requests = values("ringcache_request_duration_seconds_count{");
        Some(Self {
            requests: requests.reduce(|one, other| one + other)?,
            uptime_seconds: values("ringcache_uptime_in_seconds ").next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Counted;

    #[test]
    fn reads_and_writes_are_counted_together_and_half_of_it_is_nothing() {
        let metrics = "\
# TYPE ringcache_uptime_in_seconds gauge
ringcache_uptime_in_seconds 8
ringcache_request_duration_seconds_bucket{op=\"read\",le=\"+Inf\"} 30
ringcache_request_duration_seconds_count{op=\"read\"} 30
ringcache_request_duration_seconds_count{op=\"write\"} 10
";
        let wanted = Counted { requests: 40.0, uptime_seconds: 8.0 };
        assert_eq!(Counted::of(metrics), Some(wanted));
        assert_eq!(Counted::of("ringcache_uptime_in_seconds 8\n"), None);
        assert_eq!(
            Counted::of(&metrics.replace("uptime_in_seconds 8", "uptime_in_seconds x")),
            None
        );
    }
}
