//! Taints of hosts: which of them say that a host is about to go, and which pods put up with them.

use k8s_openapi::api::core::v1::Toleration;
use serde::{Deserialize, Serialize};

/// Who sets this taint has made sure that the host is off: Kubernetes, too, then removes its pods by force.
pub(super) const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// What Kubernetes itself says of a host: it comes and goes with the host's condition, and its controllers act on it.
const CONDITIONS: &str = "node.kubernetes.io/";
/// So ends what agents say that start anew, such as `node.cilium.io/agent-not-ready`: it goes when they are back.
const NOT_READY: &str = "not-ready";

/// A taint of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostTaint {
    /// Who set it, and why.
    pub key: String,
    /// More about that.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What it does to pods.
    pub effect: String,
}

impl HostTaint {
    /// The taint of a cordoned host.
    pub(super) fn cordon() -> Self {
        Self {
            key: "node.kubernetes.io/unschedulable".to_owned(),
            value: String::new(),
            effect: "NoSchedule".to_owned(),
        }
    }

    /// Whether the host is about to go, for pods that do not put up with the taint, as of one that Karpenter
    /// (`karpenter.sh/disrupted`) or the cluster autoscaler (`ToBeDeletedByClusterAutoscaler`) removes. A wish (`PreferNoSchedule`)
    /// may be withdrawn, as for a mere candidate of the autoscaler.
    pub(super) fn sends_away(&self) -> bool {
        matches!(self.effect.as_str(), "NoSchedule" | "NoExecute")
            && !self.key.starts_with(CONDITIONS)
            && !self.key.ends_with(NOT_READY)
    }

    /// Whether a pod with these tolerations puts up with the taint, by the scheduler's rules. Where it does, the scheduler may place a
    /// pod on this very host again, so that a node that we moved off could come back there for ever: what tolerates everything stays
    /// until it is evicted.
    pub(super) fn is_tolerated(&self, tolerations: &[Toleration]) -> bool {
        tolerations.iter().any(|toleration| self.is_tolerated_by(toleration))
    }

    /// For how long does not matter: the scheduler does not ask either.
    fn is_tolerated_by(&self, toleration: &Toleration) -> bool {
        let Toleration { key, operator, value, effect, toleration_seconds: _ } = toleration;
        let [key, operator, value, effect] =
            [key, operator, value, effect].map(|text| text.as_deref().unwrap_or_default());
        let matches = match operator {
            "" | "Equal" => value == self.value,
            "Exists" => true,
            _ => false,
        };
        (effect.is_empty() || effect == self.effect)
            && (key.is_empty() || key == self.key)
            && matches
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn taint(key: &str, value: &str, effect: &str) -> HostTaint {
        HostTaint { key: key.to_owned(), value: value.to_owned(), effect: effect.to_owned() }
    }

    fn tolerates(toleration: Value, taint: &HostTaint) -> bool {
        taint.is_tolerated(&[serde_json::from_value(toleration).unwrap()])
    }

    #[test]
    fn tolerations_match_as_the_scheduler_matches_them() {
        let spot = taint("spot", "yes", "NoSchedule");
        for (toleration, expected) in [
            (
                json!({"key": "spot", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}),
                true,
            ),
            (json!({"key": "spot", "value": "yes"}), true),
            (json!({"key": "spot", "operator": "Exists"}), true),
            (json!({"operator": "Exists"}), true),
            (json!({"key": "", "operator": "Exists", "effect": "NoSchedule"}), true),
            (
                json!({"key": "spot", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 5}),
                true,
            ),
            (json!({"key": "spot", "value": "no"}), false),
            (json!({"key": "spot"}), false),
            (json!({"key": "spo", "operator": "Exists"}), false),
            (json!({"operator": "Exists", "effect": "NoExecute"}), false),
            (json!({"key": "spot", "operator": "Gt", "value": "yes"}), false),
        ] {
            assert_eq!(tolerates(toleration.clone(), &spot), expected, "{toleration}");
        }
        assert!(tolerates(json!({"key": "bare"}), &taint("bare", "", "NoExecute")), "no value");
        assert!(!spot.is_tolerated(&[]));
    }

    #[test]
    fn a_host_is_about_to_go_when_somebody_keeps_pods_from_it_who_is_not_kubernetes() {
        for (key, effect, expected) in [
            ("karpenter.sh/disrupted", "NoSchedule", true),
            ("karpenter.sh/disruption", "NoSchedule", true),
            ("ToBeDeletedByClusterAutoscaler", "NoSchedule", true),
            ("DeletionCandidateOfClusterAutoscaler", "PreferNoSchedule", false),
            ("cloud.google.com/impending-node-termination", "NoSchedule", true),
            ("dedicated", "NoExecute", true),
            ("dedicated", "PreferNoSchedule", false),
            ("node.kubernetes.io/not-ready", "NoExecute", false),
            ("node.kubernetes.io/unreachable", "NoSchedule", false),
            ("node.kubernetes.io/memory-pressure", "NoSchedule", false),
            ("node.kubernetes.io/disk-pressure", "NoSchedule", false),
            ("node.kubernetes.io/pid-pressure", "NoSchedule", false),
            ("node.kubernetes.io/network-unavailable", "NoSchedule", false),
            ("node.kubernetes.io/unschedulable", "NoSchedule", false),
            ("node.cilium.io/agent-not-ready", "NoSchedule", false),
        ] {
            assert_eq!(taint(key, "", effect).sends_away(), expected, "{key}:{effect}");
        }
    }
}
