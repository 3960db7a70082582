//! The state directory: what outlives `up`, so that another `up` can go on with it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ringcache_api::{CacheCluster, CacheClusterSpec, Document, Ports};
use ringcache_operator_core::Template;
use ringcache_operator_core::autoscaling::State;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::process::Process;

/// A node that was started. Kept until its process has ended and that has been noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeRecord {
    /// Its name, also the file's.
    pub(super) name: String,
    /// Its process.
    #[serde(flatten)]
    pub(super) process: Process,
    /// Drawn when it was started: the uid that a pod would have.
    pub(super) uid: String,
    /// Its ports.
    pub(super) ports: Ports,
    /// What it was started as.
    pub(super) template: Template,
    /// When it was told to stop, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) stopping_since_ms: Option<u64>,
}

/// The directory of one local cluster.
#[derive(Clone, Debug)]
pub(super) struct StateDir(PathBuf);

impl StateDir {
    /// The directory at `path`, which need not exist.
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Creates it, and takes it for as long as the file lives: two planners over the same processes would fight.
    pub(super) fn take(&self) -> Result<File> {
        fs::create_dir_all(self.nodes())
            .with_context(|| format!("creating {}", self.0.display()))?;
        let path = self.0.join("up.lock");
        let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => bail!(
                "another `ringcache up` runs with the state directory {}: stop it, or choose another with --state-dir",
                self.0.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).context(format!("locking {}", path.display()))
            }
        }
    }

    /// The spec that belongs to no file of the user's, with this content unless there is one already.
    pub(super) fn built_in_spec(&self, content: &str) -> Result<PathBuf> {
        let path = self.0.join("cluster.yaml");
        if !path.exists() {
            write(&path, content)?;
        }
        Ok(path)
    }

    /// The resource as an API server would keep it, with uid and generation, if there ever was one.
    pub(super) fn cluster(&self) -> Result<Option<CacheCluster>> {
        read(&self.0.join("cluster.json"))
    }

    /// Replaces the resource.
    pub(super) fn write_cluster(&self, cluster: &CacheCluster) -> Result<()> {
        write(&self.0.join("cluster.json"), &json(cluster)?)
    }

    /// The last spec that was carried out.
    pub(super) fn spec(&self) -> Result<Option<CacheClusterSpec>> {
        read(&self.0.join("spec.json"))
    }

    /// Records the spec that is carried out from now on.
    pub(super) fn write_spec(&self, spec: &CacheClusterSpec) -> Result<()> {
        write(&self.0.join("spec.json"), &json(spec)?)
    }

    /// The number of nodes in force, where something scales the cluster.
    pub(super) fn scaling(&self) -> Result<Option<State>> {
        Ok(read(&self.scaling_path())?.and_then(State::checked))
    }

    /// Records it, or that nothing does.
    pub(super) fn write_scaling(&self, scaling: Option<&State>) -> Result<()> {
        match scaling {
            Some(state) => write(&self.scaling_path(), &json(state)?),
            None => remove(&self.scaling_path()),
        }
    }

    /// The resource as last reported, with its status.
    pub(super) fn reported(&self) -> Result<Option<CacheCluster>> {
        read(&self.0.join("status.json"))
    }

    /// Replaces the report.
    pub(super) fn write_reported(&self, cluster: &CacheCluster) -> Result<()> {
        write(&self.0.join("status.json"), &json(cluster)?)
    }

    /// The ring document. One that cannot be read is as good as none: the planner writes it again from what the nodes own.
    pub(super) fn document(&self) -> Result<Option<Document>> {
        let path = self.ring();
        match fs::read(&path) {
            Ok(bytes) => Ok(Document::parse(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// Replaces the ring document.
    pub(super) fn write_document(&self, document: &Document) -> Result<()> {
        write(&self.ring(), &document.to_json())
    }

    /// Removes what describes a cluster that does not run any more. Identity and logs stay.
    pub(super) fn forget_ring(&self) -> Result<()> {
        let ring = remove(&self.ring());
        let scaling = remove(&self.scaling_path());
        remove(&self.0.join("status.json")).and(ring).and(scaling)
    }

    /// Every recorded node, by name. An unreadable record is an error: a node that is missing here counts as proven dead.
    pub(super) fn records(&self) -> Result<Vec<NodeRecord>> {
        let dir = self.nodes();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("reading {}", dir.display())),
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                records.extend(read(&path)?);
            }
        }
        records.sort_by(|a: &NodeRecord, b| a.name.cmp(&b.name));
        Ok(records)
    }

    /// Adds or replaces the record of a node.
    pub(super) fn write_record(&self, record: &NodeRecord) -> Result<()> {
        write(&self.record(&record.name), &json(record)?)
    }

    /// Removes the record of a node.
    pub(super) fn remove_record(&self, name: &str) -> Result<()> {
        remove(&self.record(name))
    }

    /// Where the node's output goes.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.nodes().join(format!("{name}.log"))
    }

    fn nodes(&self) -> PathBuf {
        self.0.join("nodes")
    }

    fn record(&self, name: &str) -> PathBuf {
        self.nodes().join(format!("{name}.json"))
    }

    fn scaling_path(&self) -> PathBuf {
        self.0.join("autoscaling.json")
    }

    fn ring(&self) -> PathBuf {
        self.0.join("ring.json")
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let what = || format!("reading {}", path.display());
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(what).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(what),
    }
}

/// Replaces a file as a whole: readers, and the next `up` after a crash, see the old or the new content and nothing else.
fn write(path: &Path, content: &str) -> Result<()> {
    let next = path.with_extension("next");
    let replace = || {
        let mut file = File::create(&next)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, path)
    };
    replace().with_context(|| {
        // On a full disk the part that was written takes room that the next attempt may need.
        let _ = fs::remove_file(&next);
        format!("writing {}", path.display())
    })
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> NodeRecord {
        NodeRecord {
            name: name.into(),
            process: Process { pid: 4711, start_time: 99 },
            uid: "u".into(),
            ports: Ports { resp: 1, http: 2, admin: 3, bus: 4 },
            template: Template {
                memory_bytes: 1 << 26,
                program: "0.1.0".into(),
                pod: String::new(),
            },
            stopping_since_ms: None,
        }
    }

    #[test]
    fn records_are_read_as_written_until_they_are_removed() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::new(&temp.path().join("state"));
        assert_eq!(dir.records().expect("none yet"), []);
        let _lock = dir.take().expect("it is free");
        let stopping = NodeRecord { stopping_since_ms: Some(5), ..record("web-1") };
        dir.write_record(&stopping).expect("written");
        dir.write_record(&record("web-0")).expect("written");
        std::fs::write(dir.log("web-0"), "not a record").expect("written");
        assert_eq!(dir.records().expect("two"), [record("web-0"), stopping]);
        dir.remove_record("web-1").expect("removed");
        dir.remove_record("web-1").expect("removing what is gone is no error");
        assert_eq!(dir.records().expect("one"), [record("web-0")]);
    }

    #[test]
    fn an_unreadable_record_is_an_error_and_not_a_dead_node() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::new(temp.path());
        let _lock = dir.take().expect("it is free");
        std::fs::write(temp.path().join("nodes/web-0.json"), "{").expect("written");
        let error = dir.records().expect_err("half a record");
        assert!(error.to_string().contains("web-0.json"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_replaced_leaves_no_part_of_another() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::new(temp.path());
        let _lock = dir.take().expect("it is free");
        let in_the_way = temp.path().join("nodes/web-0.json");
        std::fs::create_dir(&in_the_way).expect("created");
        let error = dir.write_record(&record("web-0")).expect_err("a directory is in the way");
        assert!(error.to_string().contains("nodes/web-0.json"), "{error}");
        let left: Vec<_> =
            std::fs::read_dir(temp.path().join("nodes")).expect("it is there").collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn the_built_in_spec_is_written_once_and_then_the_users() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::new(temp.path());
        let path = dir.built_in_spec("ours").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "ours");
        std::fs::write(&path, "edited").expect("written");
        assert_eq!(dir.built_in_spec("ours").expect("kept"), path);
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "edited");
    }

    #[test]
    fn only_one_can_take_a_directory() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::new(temp.path());
        let lock = dir.take().expect("it is free");
        let error = dir.take().expect_err("it is taken").to_string();
        assert!(
            error.contains("another `ringcache up`") && error.contains("--state-dir"),
            "{error}"
        );
        drop(lock);
        dir.take().expect("it is free again");
    }

    #[test]
    fn a_document_that_cannot_be_read_counts_as_none() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::new(temp.path());
        assert_eq!(dir.document().expect("none yet"), None);
        std::fs::write(temp.path().join("ring.json"), "{}").expect("written");
        assert_eq!(dir.document().expect("nothing of use"), None);
    }
}
