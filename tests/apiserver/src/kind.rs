//! The kinds of objects that the server keeps, and what sets them apart.

/// A kind of object. Anything else is unknown to the server: a request for it panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "The names of the kinds say it all")]
pub enum Kind {
    CacheCluster,
    ConfigMap,
    Event,
    Lease,
    Namespace,
    Node,
    Pod,
    PodDisruptionBudget,
    Service,
}

/// What the API says about a kind.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Facts {
    name: &'static str,
    plural: &'static str,
    group: &'static str,
    version: &'static str,
    namespaced: bool,
    /// Whether `status` is a subresource of its own, out of reach of the main one.
    has_status: bool,
    /// Whether `metadata.generation` counts the changes of what is wanted.
    has_generation: bool,
    /// Whether a replacement may come without a resourceVersion.
    unconditional_update: bool,
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Self; 9] = [
        Self::CacheCluster,
        Self::ConfigMap,
        Self::Event,
        Self::Lease,
        Self::Namespace,
        Self::Node,
        Self::Pod,
        Self::PodDisruptionBudget,
        Self::Service,
    ];

    const fn facts(self) -> Facts {
        let core = Facts {
            name: "",
            plural: "",
            group: "",
            version: "v1",
            namespaced: true,
            has_status: true,
            has_generation: false,
            unconditional_update: true,
        };
        match self {
            Self::CacheCluster => Facts {
                name: "CacheCluster",
                plural: "cacheclusters",
                group: "ringcache.dev",
                version: "v1alpha1",
                has_generation: true,
                unconditional_update: false,
                ..core
            },
            Self::ConfigMap => {
                Facts { name: "ConfigMap", plural: "configmaps", has_status: false, ..core }
            }
            Self::Event => Facts {
                name: "Event",
                plural: "events",
                group: "events.k8s.io",
                has_status: false,
                ..core
            },
            Self::Lease => Facts {
                name: "Lease",
                plural: "leases",
                group: "coordination.k8s.io",
                has_status: false,
                unconditional_update: false,
                ..core
            },
            Self::Namespace => {
                Facts { name: "Namespace", plural: "namespaces", namespaced: false, ..core }
            }
            Self::Node => Facts { name: "Node", plural: "nodes", namespaced: false, ..core },
            Self::Pod => Facts { name: "Pod", plural: "pods", has_generation: true, ..core },
            Self::PodDisruptionBudget => Facts {
                name: "PodDisruptionBudget",
                plural: "poddisruptionbudgets",
                group: "policy",
                has_generation: true,
                unconditional_update: false,
                ..core
            },
            Self::Service => Facts { name: "Service", plural: "services", ..core },
        }
    }

    /// The kind that a group, a version and a plural name stand for.
    pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            let facts = kind.facts();
            facts.group == group && facts.version == version && facts.plural == plural
        })
    }

    /// The kind that an object says it is of.
    pub(crate) fn of(object: &serde_json::Value) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            object["kind"] == kind.name() && object["apiVersion"] == kind.api_version().as_str()
        })
    }

    /// Its name, such as `Pod`.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Its name in addresses, such as `pods`.
    pub const fn plural(self) -> &'static str {
        self.facts().plural
    }

    /// Its API group; empty for the core group.
    pub const fn group(self) -> &'static str {
        self.facts().group
    }

    /// Group and version, such as `policy/v1`.
    pub fn api_version(self) -> String {
        match self.facts() {
            Facts { group: "", version, .. } => version.to_owned(),
            Facts { group, version, .. } => format!("{group}/{version}"),
        }
    }

    /// Its plural name with its group, as messages say it: `poddisruptionbudgets.policy`.
    pub(crate) fn qualified(self) -> String {
        match self.facts() {
            Facts { group: "", plural, .. } => plural.to_owned(),
            Facts { group, plural, .. } => format!("{plural}.{group}"),
        }
    }

    pub(crate) const fn namespaced(self) -> bool {
        self.facts().namespaced
    }

    pub(crate) const fn has_status(self) -> bool {
        self.facts().has_status
    }

    pub(crate) const fn has_generation(self) -> bool {
        self.facts().has_generation
    }

    pub(crate) const fn unconditional_update(self) -> bool {
        self.facts().unconditional_update
    }
}
