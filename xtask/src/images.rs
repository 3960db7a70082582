//! `cargo xtask images`: container images of our programs, written without a container engine.

mod archive;
mod root;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cargo::{Workspace, cargo};
use archive::Image;

/// Packages that become an image each; package, program and image have one name.
const PROGRAMS: [&str; 3] = ["ringcache-operator", "cache-node", "ringcache"];

/// What was written about one image.
struct Written {
    name: String,
    bytes: usize,
    digest: String,
}

/// What is built at once. Libraries are built anew for every other choice of programs: the node goes with the command line,
/// whose `cargo run --release` then finds all its libraries built.
/// Kubectl's plugin, which is no image, goes with the operator.
const BUILDS: [&[&str]; 2] =
    [&["cache-node", "ringcache"], &["ringcache-operator", "kubectl-ringcache"]];

/// Builds the programs in release mode; whether that succeeded.
pub(crate) fn build() -> Result<bool> {
    for programs in BUILDS {
        let mut build = cargo();
        build.args(["build", "--release", "--locked"]);
        build.args(programs.iter().flat_map(|program| ["--package", program]));
        if !build.status().context("cargo build")?.success() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Builds the programs and writes `target/images/<program>.tar`, an OCI archive each; prints name,
/// size and digest.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    if !build()? {
        return Ok(false);
    }
    let folder = workspace.target.join("images");
    fs::create_dir_all(&folder)?;
    let mut written = Vec::new();
    for program in PROGRAMS {
        let binary = workspace.target.join("release").join(program);
        written.push(write(workspace, program, &binary, &folder)?);
    }
    println!("{}", table(&written, &folder));
    Ok(true)
}

fn write(workspace: &Workspace, program: &str, binary: &Path, folder: &Path) -> Result<Written> {
    let about = |key: &str| {
        let package = workspace.packages.iter().find(|package| package["name"] == program);
        let value = package.and_then(|package| package[key].as_str().map(str::to_owned));
        value.with_context(|| format!("cargo metadata: `{key}` of {program}"))
    };
    let version = about("version")?;
    let name = format!("localhost/{program}:{version}");
    let image = Image {
        name: &name,
        entrypoint: &format!("/{program}"),
        user: root::USER,
        labels: [
            ("title", program.to_owned()),
            ("version", version),
            ("licenses", about("license")?),
            ("source", about("repository")?),
        ],
        files: &root::files(program, binary)?,
    };
    let (archive, digest) = image.archive()?;
    let path = folder.join(format!("{program}.tar"));
    fs::write(&path, &archive).with_context(|| path.display().to_string())?;
    Ok(Written { name, bytes: archive.len(), digest })
}

fn table(images: &[Written], folder: &Path) -> String {
    let width = images.iter().map(|image| image.name.len()).max().unwrap_or_default();
    let mut lines = vec![format!("{:width$}  {:>9}  DIGEST", "IMAGE", "SIZE")];
    for Written { name, bytes, digest } in images {
        lines.push(format!("{name:width$}  {:>5.1} MiB  {digest}", *bytes as f64 / 1_048_576.0));
    }
    lines.push(format!("OCI archives in {}", folder.display()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_image_size_and_digest() {
        let written = |name: &str, bytes| Written {
            name: name.to_owned(),
            bytes,
            digest: "sha256:ab".to_owned(),
        };
        let images = [written("localhost/a:1", 12_000_000), written("localhost/long:1", 1)];
        assert_eq!(
            table(&images, Path::new("images")),
            "IMAGE                  SIZE  DIGEST\n\
             localhost/a:1      11.4 MiB  sha256:ab\n\
             localhost/long:1    0.0 MiB  sha256:ab\n\
             OCI archives in images"
        );
    }
}
