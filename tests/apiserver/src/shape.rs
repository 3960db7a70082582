//! How the lists and maps of each kind merge: granular, atomic, as a set, or by keys.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use crate::kind::Kind;
use crate::schema;

/// How a value merges with another of its kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Merge {
    /// Maps member by member, lists as a whole.
    #[default]
    Natural,
    /// As a whole.
    Atomic,
    /// A list whose elements are its keys.
    Set,
    /// A list of maps, by these members of its items.
    Keyed(Vec<String>),
}

/// How the parts of an object merge.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    pub merge: Merge,
    fields: BTreeMap<String, Shape>,
    items: Option<Box<Shape>>,
}

static NATURAL: Shape = Shape { merge: Merge::Natural, fields: BTreeMap::new(), items: None };

/// Lists and maps of the built-in kinds that do not merge naturally; `[]` is an item. Keys are separated by commas.
const COMMON: &[(&str, &str)] = &[
    ("metadata.ownerReferences", "uid"),
    ("metadata.ownerReferences.[]", "atomic"),
    ("metadata.finalizers", "set"),
];
const POD: &[(&str, &str)] = &[
    ("spec.containers", "name"),
    ("spec.containers.[].env", "name"),
    ("spec.containers.[].ports", "containerPort,protocol"),
    ("spec.containers.[].volumeMounts", "mountPath"),
    ("spec.imagePullSecrets", "name"),
    ("spec.nodeSelector", "atomic"),
    ("spec.topologySpreadConstraints", "topologyKey,whenUnsatisfiable"),
    ("spec.topologySpreadConstraints.[].labelSelector", "atomic"),
    ("spec.volumes", "name"),
    ("status.conditions", "type"),
    ("status.podIPs", "ip"),
];
const SERVICE: &[(&str, &str)] =
    &[("spec.ports", "port,protocol"), ("spec.selector", "atomic"), ("status.conditions", "type")];
const NODE: &[(&str, &str)] = &[("status.conditions", "type"), ("status.addresses", "type")];
const BUDGET: &[(&str, &str)] = &[("spec.selector", "atomic"), ("status.conditions", "type")];
const EVENT: &[(&str, &str)] = &[("regarding", "atomic"), ("related", "atomic")];

impl Shape {
    pub(crate) fn field(&self, name: &str) -> &Self {
        self.fields.get(name).unwrap_or(&NATURAL)
    }

    pub(crate) fn item(&self) -> &Self {
        self.items.as_deref().unwrap_or(&NATURAL)
    }

    fn at(&mut self, path: &str) -> &mut Self {
        path.split('.').fold(self, |shape, step| match step {
            "[]" => shape.items.get_or_insert_default(),
            name => shape.fields.entry(name.to_owned()).or_default(),
        })
    }

    fn set(&mut self, table: &[(&str, &str)]) {
        for (path, merge) in table {
            self.at(path).merge = match *merge {
                "atomic" => Merge::Atomic,
                "set" => Merge::Set,
                keys => Merge::Keyed(keys.split(',').map(str::to_owned).collect()),
            };
        }
    }

    /// What the extensions of a schema say.
    fn from_schema(schema: &Value) -> Self {
        let keys = schema["x-kubernetes-list-map-keys"].as_array();
        let merge = match (
            schema["x-kubernetes-list-type"].as_str(),
            schema["x-kubernetes-map-type"].as_str(),
        ) {
            (Some("map"), _) => {
                let keys = keys.into_iter().flatten().filter_map(Value::as_str);
                Merge::Keyed(keys.map(str::to_owned).collect())
            }
            (Some("set"), _) => Merge::Set,
            (_, Some("atomic")) => Merge::Atomic,
            _ => Merge::Natural,
        };
        let properties = schema["properties"].as_object().into_iter().flatten();
        Self {
            merge,
            fields: properties
                .map(|(name, schema)| (name.clone(), Self::from_schema(schema)))
                .collect(),
            items: schema.get("items").map(|items| Box::new(Self::from_schema(items))),
        }
    }
}

/// How objects of a kind merge.
pub(crate) fn of(kind: Kind) -> &'static Shape {
    static SHAPES: OnceLock<BTreeMap<Kind, Shape>> = OnceLock::new();
    let shapes = SHAPES.get_or_init(|| {
        let shape = |kind: Kind| {
            let mut shape = match kind {
                Kind::CacheCluster => Shape::from_schema(schema::cache_cluster()),
                _ => Shape::default(),
            };
            shape.set(COMMON);
            shape.set(match kind {
                Kind::Pod => POD,
                Kind::Service => SERVICE,
                Kind::Node => NODE,
                Kind::PodDisruptionBudget => BUDGET,
                Kind::Event => EVENT,
                _ => &[],
            });
            (kind, shape)
        };
        Kind::ALL.into_iter().map(shape).collect()
    });
    shapes.get(&kind).unwrap_or(&NATURAL)
}
