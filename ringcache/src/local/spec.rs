//! The user's file, followed live: the last good spec stays in force until a better one comes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use ringcache_api::CacheCluster;
use ringcache_api::cluster::parse_yaml;
use ringcache_operator_core::validate;

/// What a look at the file came to.
#[derive(Debug, PartialEq)]
pub(super) enum Edit {
    /// Nothing new.
    None,
    /// Another spec, valid.
    Accepted(Box<CacheCluster>),
    /// Not usable: what is wrong, field by field. Said once for each content.
    Refused(Vec<String>),
}

/// The file, and what it last contained.
#[derive(Debug)]
pub(super) struct SpecFile {
    path: PathBuf,
    /// As last judged.
    judged: Option<String>,
    /// As last read: an edit counts only when it has been read twice, because editors may write a file in pieces.
    read: Option<String>,
}

impl SpecFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, judged: None, read: None }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file for the first time: a problem now is an error, there is no last good spec yet.
    pub(super) fn open(&mut self) -> Result<CacheCluster> {
        self.look();
        match self.look() {
            Edit::Accepted(cluster) => Ok(*cluster),
            Edit::Refused(problems) => bail!(problems.join("\n  ")),
            Edit::None => bail!("{} changes all the time", self.path.display()),
        }
    }

    /// Looks whether the file has changed.
    pub(super) fn look(&mut self) -> Edit {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            // An editor that replaces the file may have removed it for a moment; a second look tells.
            Err(error) => format!("\0{error}"),
        };
        if self.judged.as_ref() == Some(&text) {
            self.read = None;
            return Edit::None;
        }
        if self.read.as_ref() != Some(&text) {
            self.read = Some(text);
            return Edit::None;
        }
        let edit = match text.strip_prefix('\0') {
            Some(error) => Edit::Refused(vec![error.to_owned()]),
            None => judge(&text),
        };
        self.judged = Some(text);
        match edit {
            Edit::Refused(problems) => {
                let file = self.path.display();
                Edit::Refused(problems.iter().map(|problem| format!("{file}: {problem}")).collect())
            }
            edit => edit,
        }
    }

    /// Whether an edit was read once and waits for a second look.
    pub(super) fn is_unsettled(&self) -> bool {
        self.read.is_some()
    }
}

fn judge(text: &str) -> Edit {
    match parse_yaml(text) {
        Err(error) => Edit::Refused(vec![error.to_string()]),
        Ok(cluster) => match validate(&cluster) {
            Ok(_) => Edit::Accepted(Box::new(cluster)),
            Err(problems) => Edit::Refused(problems.iter().map(ToString::to_string).collect()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "apiVersion: ringcache.dev/v1alpha1\nkind: CacheCluster\nmetadata: {name: web}\n";
    const GOOD: &str = "spec: {nodes: 3}";

    fn file(spec: &str) -> (tempfile::TempDir, SpecFile) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("web.yaml");
        fs::write(&path, format!("{HEAD}{spec}\n")).expect("written");
        (dir, SpecFile::new(path))
    }

    fn edited(file: &mut SpecFile, spec: &str) -> Edit {
        fs::write(file.path(), format!("{HEAD}{spec}\n")).expect("written");
        assert_eq!(file.look(), Edit::None, "the first look waits for a second one");
        file.look()
    }

    #[test]
    fn an_edit_counts_when_it_was_read_twice_and_only_once() {
        let (_dir, mut file) = file(GOOD);
        assert_eq!(file.open().expect("it is good").spec.nodes, 3);
        assert_eq!(file.look(), Edit::None);
        let Edit::Accepted(cluster) = edited(&mut file, "spec: {nodes: 5}") else {
            panic!("it is good")
        };
        assert_eq!(cluster.spec.nodes, 5);
        assert_eq!(file.look(), Edit::None);
    }

    #[test]
    fn a_bad_edit_is_refused_once_with_file_and_field() {
        let (_dir, mut file) = file(GOOD);
        file.open().expect("it is good");
        for (spec, words) in [
            ("spec: {nodes: 0}", "`nodes` must be from 1 to 100"),
            ("spec: {nodse: 3}", "`spec.nodse` is unknown"),
            ("spec: [", "not valid YAML"),
        ] {
            let Edit::Refused(problems) = edited(&mut file, spec) else { panic!("{spec} is bad") };
            let said = problems.join("\n");
            assert!(said.contains("web.yaml: ") && said.contains(words), "{said}");
            assert_eq!(file.look(), Edit::None, "said once");
        }
        assert!(matches!(edited(&mut file, GOOD), Edit::Accepted(_)), "back to the good one");
    }

    #[test]
    fn a_file_that_vanished_is_reported() {
        let (_dir, mut file) = file(GOOD);
        file.open().expect("it is good");
        fs::remove_file(file.path()).expect("removed");
        file.look();
        assert!(matches!(file.look(), Edit::Refused(_)));
    }

    #[test]
    fn a_bad_file_at_the_start_is_an_error() {
        let (_dir, mut file) = file("spec: {nodes: three}");
        let error = file.open().expect_err("no number").to_string();
        assert!(error.contains("web.yaml"), "{error}");
    }
}
