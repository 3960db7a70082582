//! The programs of the cluster, built once from their Go modules into a folder of the user's cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::archive::hex;
use crate::clock;

/// Version of Kubernetes; `go.mod` has the same.
pub const KUBERNETES: &str = "1.37.2";
const COREDNS: &str = "1.15.0";
const HELM: &str = "4.3.1";
const PAUSE: &str = "1";
const HELM_FOLDER: &str = "helm";

/// A folder below `tests/lab/kubernetes` with the `go.mod` that pins what it builds.
struct Module {
    folder: &'static str,
    version: &'static str,
    /// Each becomes a program with the last part of its path for a name, and `.` one named like the folder.
    packages: &'static [&'static str],
}

const MODULES: [Module; 4] = [
    Module {
        folder: "components",
        version: KUBERNETES,
        packages: &[
            "k8s.io/kubernetes/cmd/kube-apiserver",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-scheduler",
            "k8s.io/kubernetes/cmd/kubelet",
            "k8s.io/kubernetes/cmd/kube-proxy",
            "k8s.io/kubernetes/cmd/kubectl",
        ],
    },
    Module { folder: "coredns", version: COREDNS, packages: &["."] },
    Module { folder: HELM_FOLDER, version: HELM, packages: &["helm.sh/helm/v4/cmd/helm"] },
    Module { folder: "pause", version: PAUSE, packages: &["."] },
];

impl Module {
    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("kubernetes").join(self.folder)
    }

    fn programs(&self) -> impl Iterator<Item = &'static str> {
        let name = |package: &&'static str| match package.rsplit_once('/') {
            Some((_, name)) => name,
            None => self.folder,
        };
        self.packages.iter().map(name)
    }

    /// Flags for the linker: small, and with the version, which Go modules do not tell a program.
    /// Without it `/version` says v0.0.0, and charts refuse to install.
    fn linker_flags(&self) -> String {
        let version = self.version;
        match self.folder {
            "components" => {
                let mut parts = version.split('.');
                let (major, minor) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
                let set = |package: &str| {
                    format!(
                        " -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} \
                         -X {package}.gitMinor={minor} -X {package}.gitTreeState=clean"
                    )
                };
                let packages = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];
                format!("-s -w{}", packages.map(set).concat())
            }
            HELM_FOLDER => format!("-s -w -X helm.sh/helm/v4/internal/version.version=v{version}"),
            _ => "-s -w".to_owned(),
        }
    }

    /// Everything that decides what is built.
    fn recipe(&self) -> Result<String> {
        let mut recipe = format!("{:?} {}\n", self.packages, self.linker_flags());
        for entry in ["go.mod", "go.sum", "main.go"] {
            let file = self.path().join(entry);
            if file.exists() {
                recipe += &fs::read_to_string(&file).context(file.display().to_string())?;
            }
        }
        Ok(recipe)
    }
}

/// Builds the programs of the cluster that are not in the cache: minutes the first time, and nothing
/// from then on.
///
/// # Errors
/// There is no Go, a module cannot be fetched, or a build failed.
pub fn build() -> Result<()> {
    ensure().map(|_| ())
}

/// Builds helm alone if it is missing, and returns where it is.
///
/// # Errors
/// As [`build`].
pub fn helm() -> Result<PathBuf> {
    Ok(ensure_some(|module| module.folder == HELM_FOLDER)?.join("helm"))
}

/// Builds what is missing and returns the folder with all programs.
pub(crate) fn ensure() -> Result<PathBuf> {
    ensure_some(|_| true)
}

fn ensure_some(wanted: impl Fn(&Module) -> bool) -> Result<PathBuf> {
    let recipes = MODULES.iter().map(Module::recipe).collect::<Result<Vec<_>>>()?;
    let folder = cache()?.join(format!("kubernetes-{KUBERNETES}-{}", key(&recipes)));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    // Two who start at once build once.
    let lock = File::create(folder.join(".lock"))?;
    lock.lock()?;
    for module in MODULES.iter().filter(|module| wanted(module)) {
        if module.programs().any(|program| !folder.join(program).exists()) {
            build_module(module, &folder)?;
        }
    }
    Ok(folder)
}

/// Builds all programs of a module at once, so that one is linked while others are compiled. They are moved to where they
/// belong when they are complete.
fn build_module(module: &Module, folder: &Path) -> Result<()> {
    let unfinished = folder.join(format!("{}.unfinished", module.folder));
    fs::create_dir_all(&unfinished)?;
    let programs: Vec<&str> = module.programs().collect();
    let what = format!("{} {}", programs.join(", "), module.version);
    eprintln!("building {what} …");
    let start = clock::now();
    let status = Command::new("go")
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags", &module.linker_flags()])
        .arg("-o")
        .arg(&unfinished)
        .args(module.packages)
        .current_dir(module.path())
        .envs([("CGO_ENABLED", "0"), ("GOWORK", "off"), ("GOFLAGS", "-mod=readonly")])
        .status()
        .context("cannot run go: install Go (https://go.dev/dl)")?;
    ensure!(status.success(), "building {what}: go {status}");
    for program in programs {
        fs::rename(unfinished.join(program), folder.join(program))?;
    }
    fs::remove_dir(&unfinished)?;
    eprintln!("building {what} … {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// `RINGCACHE_CACHE`, or a folder in the user's cache.
fn cache() -> Result<PathBuf> {
    cache_of(|variable| std::env::var_os(variable).map(PathBuf::from))
}

fn cache_of(env: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    let set = |variable| env(variable).filter(|path| path.is_absolute());
    set("RINGCACHE_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("ringcache")))
        .or_else(|| Some(set("HOME")?.join(".cache/ringcache")))
        .context("no folder to build Kubernetes in: set RINGCACHE_CACHE to an absolute path")
}

/// A short name for exactly these recipes.
fn key(recipes: &[String]) -> String {
    let mut hash = Sha256::new();
    for recipe in recipes {
        hash.update((recipe.len() as u64).to_le_bytes());
        hash.update(recipe);
    }
    hex(&hash.finalize()[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_pinned_to_its_version_by_its_module() {
        for module in &MODULES {
            let go_mod = fs::read_to_string(module.path().join("go.mod")).unwrap();
            let path = match module.folder {
                "components" => "k8s.io/kubernetes",
                "coredns" => "github.com/coredns/coredns",
                "helm" => "helm.sh/helm/v4",
                _ => continue,
            };
            let pinned = format!("{path} v{}", module.version);
            assert!(go_mod.contains(&pinned), "{}: {pinned}", module.folder);
        }
    }

    #[test]
    fn programs_are_called_as_go_calls_them() {
        let names: Vec<&str> = MODULES.iter().flat_map(Module::programs).collect();
        assert_eq!(names[0], "kube-apiserver");
        assert_eq!(names[6..], ["coredns", "helm", "pause"]);
    }

    #[test]
    fn kubernetes_is_told_its_version() {
        let flags = MODULES[0].linker_flags();
        for flag in ["gitVersion=v1.37.2", "gitMajor=1", "gitMinor=37"] {
            assert!(flags.contains(flag), "{flags}");
        }
    }

    #[test]
    fn any_change_of_a_recipe_changes_the_key() {
        let key = |recipes: [&str; 2]| key(&recipes.map(str::to_owned));
        assert_eq!(key(["a", "b"]), key(["a", "b"]));
        assert_ne!(key(["a", "b"]), key(["a", "c"]));
        assert_ne!(key(["ab", ""]), key(["a", "b"]));
        let sources = fs::read_to_string(MODULES[3].path().join("main.go")).unwrap();
        assert!(MODULES[3].recipe().unwrap().contains(&sources));
    }

    #[test]
    fn the_cache_is_where_the_user_wants_it_and_never_relative() {
        let cache = |set: &[(&str, &str)]| {
            let set = set.to_vec();
            let find = |name: &str| set.iter().find(|(n, _)| *n == name);
            cache_of(|name| find(name).map(|(_, path)| PathBuf::from(path)))
        };
        let home = ("HOME", "/home/a");
        assert_eq!(cache(&[home]).unwrap(), PathBuf::from("/home/a/.cache/ringcache"));
        let xdg = ("XDG_CACHE_HOME", "/x");
        assert_eq!(cache(&[home, xdg]).unwrap(), PathBuf::from("/x/ringcache"));
        assert_eq!(cache(&[home, xdg, ("RINGCACHE_CACHE", "/c")]).unwrap(), PathBuf::from("/c"));
        assert!(cache(&[("HOME", "here")]).is_err());
    }
}
