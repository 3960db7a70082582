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

/// A Go package that becomes a program.
struct Program {
    name: &'static str,
    version: &'static str,
    /// Folder of the module that pins it, below `tests/lab/kubernetes`.
    module: &'static str,
    package: &'static str,
}

const PROGRAMS: [Program; 9] = [
    kubernetes("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    kubernetes("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    kubernetes("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    kubernetes("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
    kubernetes("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
    kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    Program {
        name: "coredns",
        version: COREDNS,
        module: "coredns",
        package: "github.com/coredns/coredns",
    },
    Program { name: "helm", version: HELM, module: "helm", package: "helm.sh/helm/v4/cmd/helm" },
    Program { name: "pause", version: PAUSE, module: "pause", package: "." },
];

const fn kubernetes(name: &'static str, package: &'static str) -> Program {
    Program { name, version: KUBERNETES, module: "components", package }
}

impl Program {
    fn module_folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("kubernetes").join(self.module)
    }

    /// Flags for the linker: small, and with the version, which Go modules do not tell a program.
    /// Without it `/version` says v0.0.0, and charts refuse to install.
    fn linker_flags(&self) -> String {
        let version = self.version;
        match self.module {
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
            "helm" => format!("-s -w -X helm.sh/helm/v4/internal/version.version=v{version}"),
            _ => "-s -w".to_owned(),
        }
    }

    /// Everything that decides what is built.
    fn recipe(&self) -> Result<String> {
        let mut recipe = format!("{} {}\n", self.package, self.linker_flags());
        let folder = self.module_folder();
        for entry in ["go.mod", "go.sum", "main.go"] {
            let file = folder.join(entry);
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
    Ok(ensure_some(|program| program.name == "helm")?.join("helm"))
}

/// Builds what is missing and returns the folder with all programs.
pub(crate) fn ensure() -> Result<PathBuf> {
    ensure_some(|_| true)
}

fn ensure_some(wanted: impl Fn(&Program) -> bool) -> Result<PathBuf> {
    let recipes = PROGRAMS.iter().map(Program::recipe).collect::<Result<Vec<_>>>()?;
    let folder = cache()?.join(format!("kubernetes-{KUBERNETES}-{}", key(&recipes)));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    // Two who start at once build once.
    let lock = File::create(folder.join(".lock"))?;
    lock.lock()?;
    for program in PROGRAMS.iter().filter(|program| wanted(program)) {
        let target = folder.join(program.name);
        if !target.exists() {
            build_program(program, &target)?;
        }
    }
    Ok(folder)
}

/// Builds beside the target and moves it there: whatever stands at the target is complete.
fn build_program(program: &Program, target: &Path) -> Result<()> {
    let (name, version) = (program.name, program.version);
    let unfinished = target.with_extension("unfinished");
    eprintln!("building {name} {version} …");
    let start = clock::now();
    let status = Command::new("go")
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags", &program.linker_flags()])
        .arg("-o")
        .arg(&unfinished)
        .arg(program.package)
        .current_dir(program.module_folder())
        .envs([("CGO_ENABLED", "0"), ("GOWORK", "off"), ("GOFLAGS", "-mod=readonly")])
        .status()
        .context("cannot run go: install Go (https://go.dev/dl)")?;
    ensure!(status.success(), "building {name} {version}: go {status}");
    fs::rename(&unfinished, target)?;
    eprintln!("building {name} {version} … {:.0} s", start.elapsed().as_secs_f64());
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
        for program in &PROGRAMS {
            let go_mod = fs::read_to_string(program.module_folder().join("go.mod")).unwrap();
            let module = match program.module {
                "components" => "k8s.io/kubernetes",
                "coredns" => "github.com/coredns/coredns",
                "helm" => "helm.sh/helm/v4",
                _ => continue,
            };
            let pinned = format!("{module} v{}", program.version);
            assert!(go_mod.contains(&pinned), "{}: {pinned}", program.module);
        }
    }

    #[test]
    fn kubernetes_is_told_its_version() {
        let flags = PROGRAMS[0].linker_flags();
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
        let sources = fs::read_to_string(PROGRAMS[8].module_folder().join("main.go")).unwrap();
        assert!(PROGRAMS[8].recipe().unwrap().contains(&sources));
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
