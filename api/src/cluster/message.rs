//! The words that refuse a spec: the same from the schema's rules and from the operator.

/// No number of nodes is both.
pub const AUTOSCALING_BOUNDS: &str =
    "`autoscaling.minNodes` must not be above `autoscaling.maxNodes`";
/// Autoscaling by nothing.
pub const AUTOSCALING_TARGETS: &str =
    "`autoscaling` needs at least one of `hitRatioPercent`, `memoryPercent` and `cpuPercent`";
/// Another number by hand, which would change nothing.
pub const AUTOSCALING_NODES: &str = "`nodes` (3 if the manifest has none) cannot change while `autoscaling` decides the number of nodes: set `autoscaling.minNodes` and \
     `autoscaling.maxNodes`, or remove `autoscaling`";
/// `memory` is no quantity.
pub const MEMORY_QUANTITY: &str = "`memory` must be a quantity of bytes, such as 256Mi or 1Gi";
/// `memory` is too small for a node to run in.
pub const MEMORY_MIN: &str = "`memory` must be at least 64Mi";
/// `memory` is more than a node can address well.
pub const MEMORY_MAX: &str = "`memory` must be at most 1Ti";
/// Jitter of nothing.
pub const JITTER_WITHOUT_TTL: &str = "`ttl.jitterPercent` needs `ttl.defaultSeconds` greater than 0: \
     without a default time to live there is nothing to spread";
/// The name is too long.
pub const NAME_LENGTH: &str =
    "`metadata.name` must have at most 40 characters: nodes are named `<name>-<n>`";
/// The name cannot name a host.
pub const NAME_LABEL: &str = "`metadata.name` must be a DNS label: lower-case letters, digits and `-`, \
     beginning with a letter, ending with a letter or a digit";
/// The image cannot be one.
pub const IMAGE: &str =
    "`image` must be the name of a container image, without blanks, of at most 512 characters";
/// A pull secret cannot exist.
pub const PULL_SECRET_NAMES: &str = "`imagePullSecretNames` must be names of secrets: lower-case letters, digits, `-` and `.`, \
     at most 253 characters each";
/// Too many pull secrets.
pub const PULL_SECRET_COUNT: &str =
    "`imagePullSecretNames` must have at most 8 entries, none of them twice";
/// `cpuRequest` is no quantity.
pub const CPU_REQUEST_QUANTITY: &str =
    "`resources.cpuRequest` must be a quantity of CPUs, such as 100m or 2";
/// `cpuRequest` is out of bounds.
pub const CPU_REQUEST_RANGE: &str = "`resources.cpuRequest` must be from 1m to 1024";
/// `cpuLimit` is no quantity.
pub const CPU_LIMIT_QUANTITY: &str =
    "`resources.cpuLimit` must be a quantity of CPUs, such as 500m or 2";
/// `cpuLimit` is out of bounds.
pub const CPU_LIMIT_MAX: &str = "`resources.cpuLimit` must be at most 1024";
/// A limit that cannot be kept.
pub const CPU_LIMIT_BELOW_REQUEST: &str =
    "`resources.cpuLimit` must be at least `resources.cpuRequest`";
/// Too many labels.
pub const NODE_SELECTOR_COUNT: &str = "`scheduling.nodeSelector` must have at most 16 entries";
/// Keys or values that no label has.
pub const NODE_SELECTOR_FORM: &str = "`scheduling.nodeSelector` must have keys and values of labels, such as \
     `example.com/disk: ssd`";
/// Too many tolerations.
pub const TOLERATION_COUNT: &str = "`scheduling.tolerations` must have at most 16 entries";
/// The key of no taint.
pub const TOLERATION_KEY_FORM: &str =
    "`scheduling.tolerations` must have keys of taints, such as `example.com/dedicated`";
/// Neither a key nor all keys.
pub const TOLERATION_KEY: &str =
    "`scheduling.tolerations` without `key` need `operator: Exists`, which tolerates all keys";
/// A value that is not compared.
pub const TOLERATION_VALUE: &str =
    "`scheduling.tolerations` with `operator: Exists` must have no `value`";
/// The value of no taint.
pub const TOLERATION_VALUE_FORM: &str = "`scheduling.tolerations` must have values of taints: letters, digits, `-`, `_` and `.`, at most 63 characters";
/// Seconds of an effect that lasts.
pub const TOLERATION_SECONDS: &str =
    "`scheduling.tolerations` with `tolerationSeconds` need `effect: NoExecute`";
/// Seconds out of bounds.
pub const TOLERATION_SECONDS_RANGE: &str =
    "`scheduling.tolerations` must have `tolerationSeconds` from 0 to 31536000";
/// A priority class that cannot exist.
pub const PRIORITY_CLASS_NAME: &str = "`scheduling.priorityClassName` must be the name of a PriorityClass: lower-case letters, digits, \
     `-` and `.`, at most 253 characters";
/// Too many keys.
pub const INHERIT_LABELS_COUNT: &str =
    "`inherit.labels` must have at most 16 entries, none of them twice";
/// No keys of labels.
pub const INHERIT_LABELS_FORM: &str =
    "`inherit.labels` must be keys of labels, such as `example.com/team`";
/// Keys that others decide by.
pub const INHERIT_LABELS_RESERVED: &str =
    "`inherit.labels` must not have keys of ringcache.dev, kubernetes.io or k8s.io";
/// Too many keys.
pub const INHERIT_ANNOTATIONS_COUNT: &str =
    "`inherit.annotations` must have at most 16 entries, none of them twice";
/// No keys of annotations.
pub const INHERIT_ANNOTATIONS_FORM: &str =
    "`inherit.annotations` must be keys of annotations, such as `example.com/team`";
/// Keys that others decide by.
pub const INHERIT_ANNOTATIONS_RESERVED: &str =
    "`inherit.annotations` must not have keys of ringcache.dev, kubernetes.io or k8s.io";
/// A class of nothing.
pub const SERVICE_CLASS: &str = "`service.loadBalancerClass` needs `service.type: LoadBalancer`";
/// A class that cannot exist.
pub const SERVICE_CLASS_FORM: &str =
    "`service.loadBalancerClass` must be the name of a class, such as `example.com/internal`";
/// A class that is another one.
pub const SERVICE_CLASS_CHANGED: &str = "`service.loadBalancerClass` cannot change while `service.type` is LoadBalancer: \
     set another type first";
/// A policy for connections that do not come.
pub const SERVICE_POLICY: &str =
    "`service.externalTrafficPolicy` needs `service.type: NodePort` or `LoadBalancer`";
/// Too many annotations, or too much in one.
pub const SERVICE_ANNOTATIONS_COUNT: &str =
    "`service.annotations` must have at most 32 entries of at most 4096 characters each";
/// No keys of annotations.
pub const SERVICE_ANNOTATIONS_FORM: &str =
    "`service.annotations` must have keys of annotations, such as `example.com/scheme`";
/// Keys that the operator decides by.
pub const SERVICE_ANNOTATIONS_RESERVED: &str =
    "`service.annotations` must not have keys that begin with ringcache.dev/";
/// Names that no object has.
pub const POD_NAMES: &str = "`pod` must have names of objects in `schedulerName`, `runtimeClassName` and `serviceAccountName`: \
     lower-case letters, digits, `-` and `.`, at most 253 characters";
/// Variables that the operator gives.
pub const POD_ENV_RESERVED: &str =
    "`pod.env` must not have names that begin with RINGCACHE_: the operator gives these";
/// A second container of the cache node.
pub const POD_CONTAINERS_RESERVED: &str = "`pod.containers` and `pod.initContainers` must not be named cache-node: what that container gets \
     besides is in `pod.env` and `pod.volumeMounts`";
/// Too many entries.
pub const POD_COUNT: &str =
    "`pod` must have at most 32 entries in each list, none of them named twice";
/// Too much.
pub const POD_BYTES: &str = "`pod` must have at most 32768 bytes as JSON";
