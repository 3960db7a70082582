//! Settings of nodes, and what one side knows of them: operator and nodes are upgraded at different times.

use serde::{Deserialize, Serialize};

/// What a node must know besides the ring document; pushed live, no restart needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Time to live in seconds of entries written without one; 0 = they stay until evicted.
    pub ttl_default_seconds: u32,
    /// Share in percent by which a default time to live may be shortened, so that entries written together do not expire together.
    pub ttl_jitter_percent: u8,
}

/// Settings of which some may be absent: in a node's state those that it does not know, in a request those that stay as they
/// are. So neither side resets or waits for what only the other one knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KnownSettings {
    /// See [`Settings::ttl_default_seconds`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_default_seconds: Option<u32>,
    /// See [`Settings::ttl_jitter_percent`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_jitter_percent: Option<u8>,
}

impl From<Settings> for KnownSettings {
    fn from(settings: Settings) -> Self {
        let Settings { ttl_default_seconds, ttl_jitter_percent } = settings;
        Self {
            ttl_default_seconds: Some(ttl_default_seconds),
            ttl_jitter_percent: Some(ttl_jitter_percent),
        }
    }
}

impl KnownSettings {
    /// `settings`, with those that are known in place of theirs.
    pub fn over(self, settings: Settings) -> Settings {
        let Self { ttl_default_seconds, ttl_jitter_percent } = self;
        Settings {
            ttl_default_seconds: ttl_default_seconds.unwrap_or(settings.ttl_default_seconds),
            ttl_jitter_percent: ttl_jitter_percent.unwrap_or(settings.ttl_jitter_percent),
        }
    }

    /// Whether every known setting is as `wanted`.
    pub fn agree_with(self, wanted: Settings) -> bool {
        self.over(wanted) == wanted
    }

    /// Names of the settings that are not known although `wanted` makes use of them. Whoever does not know a setting behaves as
    /// if it had its default value.
    pub fn lacking(self, wanted: Settings) -> Vec<&'static str> {
        let Self { ttl_default_seconds, ttl_jitter_percent } = self;
        let default = Settings::default();
        let seconds = ttl_default_seconds.is_none()
            && wanted.ttl_default_seconds != default.ttl_default_seconds;
        let jitter =
            ttl_jitter_percent.is_none() && wanted.ttl_jitter_percent != default.ttl_jitter_percent;
        let names = [(seconds, "ttlDefaultSeconds"), (jitter, "ttlJitterPercent")];
        names.into_iter().filter(|(lacks, _)| *lacks).map(|(_, name)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Settings = Settings { ttl_default_seconds: 300, ttl_jitter_percent: 20 };

    #[test]
    fn what_a_node_does_not_know_is_neither_compared_nor_changed() {
        let old: KnownSettings = serde_json::from_str(r#"{"ttlDefaultSeconds":300}"#).unwrap();
        assert!(old.agree_with(WANTED));
        assert_eq!(old.lacking(WANTED), ["ttlJitterPercent"]);
        assert_eq!(old.lacking(Settings { ttl_jitter_percent: 0, ..WANTED }), [""; 0]);
        let stays = Settings { ttl_default_seconds: 1, ttl_jitter_percent: 7 };
        assert_eq!(old.over(stays), Settings { ttl_default_seconds: 300, ..stays });
    }

    #[test]
    fn settings_of_a_newer_node_are_read() {
        let text = r#"{"ttlDefaultSeconds":300,"ttlJitterPercent":20,"eviction":"LFU"}"#;
        let newer: KnownSettings = serde_json::from_str(text).unwrap();
        assert_eq!(newer, WANTED.into());
        assert!(!newer.agree_with(Settings::default()));
    }
}
