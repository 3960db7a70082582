//! OCI image archives, whose bytes depend on nothing but what is in the image: no time, no owner,
//! no order of a directory listing.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::root::File;

/// One image of one layer.
pub(super) struct Image<'a> {
    /// Registry, repository and tag.
    pub(super) name: &'a str,
    /// Path of the program that a container runs.
    pub(super) entrypoint: &'a str,
    /// User that it runs as, a number.
    pub(super) user: &'a str,
    /// Labels, without their prefix `org.opencontainers.image.`.
    pub(super) labels: [(&'static str, String); 4],
    pub(super) files: &'a [File],
}

/// A part of an archive, stored under its digest.
struct Blob {
    /// End of its media type.
    kind: &'static str,
    digest: String,
    bytes: Vec<u8>,
}

impl Image<'_> {
    /// The archive, and the digest by which a registry would name the image.
    pub(super) fn archive(&self) -> Result<(Vec<u8>, String)> {
        let layer = Blob::new("layer.v1.tar", layer(self.files)?);
        let config = Blob::json("config.v1+json", &self.config(&layer));
        let manifest = Blob::json(
            "manifest.v1+json",
            &json!({
                "schemaVersion": 2,
                "mediaType": media_type("manifest.v1+json"),
                "config": config.descriptor(),
                "layers": [layer.descriptor()],
            }),
        );
        let digest = manifest.digest.clone();
        let files = [
            text("oci-layout", &json!({"imageLayoutVersion": "1.0.0"})),
            text("index.json", &self.index(&manifest)),
            // For `docker load` of engines that do not read the index.
            text("manifest.json", &self.docker_manifest(&config, &layer)),
            config.file(),
            manifest.file(),
            layer.file(),
        ];
        Ok((tar(&files)?, digest))
    }

    fn config(&self, layer: &Blob) -> Value {
        let labels: serde_json::Map<String, Value> = self
            .labels
            .iter()
            .map(|(key, value)| (format!("org.opencontainers.image.{key}"), json!(value)))
            .collect();
        json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "Entrypoint": [self.entrypoint],
                "User": self.user,
                "WorkingDir": "/",
                "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
            "history": [{"created_by": "cargo xtask images"}],
        })
    }

    fn index(&self, manifest: &Blob) -> Value {
        let tag = self.name.rsplit(':').next();
        let mut descriptor = manifest.descriptor();
        descriptor["platform"] = json!({"architecture": architecture(), "os": "linux"});
        // containerd and its command line take the name from the first, others from the second.
        descriptor["annotations"] = json!({
            "io.containerd.image.name": self.name,
            "org.opencontainers.image.ref.name": tag,
        });
        json!({
            "schemaVersion": 2,
            "mediaType": media_type("index.v1+json"),
            "manifests": [descriptor],
        })
    }

    fn docker_manifest(&self, config: &Blob, layer: &Blob) -> Value {
        json!([{"Config": config.path(), "RepoTags": [self.name], "Layers": [layer.path()]}])
    }
}

impl Blob {
    fn new(kind: &'static str, bytes: Vec<u8>) -> Self {
        Self { kind, digest: digest(&bytes), bytes }
    }

    fn json(kind: &'static str, value: &Value) -> Self {
        Self::new(kind, value.to_string().into_bytes())
    }

    fn descriptor(&self) -> Value {
        json!({
            "mediaType": media_type(self.kind),
            "digest": self.digest,
            "size": self.bytes.len(),
        })
    }

    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replace(':', "/"))
    }

    fn file(self) -> File {
        File { path: self.path(), mode: 0o644, content: self.bytes }
    }
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"))
}

fn media_type(kind: &str) -> String {
    format!("application/vnd.oci.image.{kind}")
}

/// The architecture that the programs were built for, in Go's words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn text(path: &str, value: &Value) -> File {
    File { path: path.to_owned(), mode: 0o644, content: value.to_string().into_bytes() }
}

/// The files of the image and the folders they are in, in the order of their paths.
fn layer(files: &[File]) -> Result<Vec<u8>> {
    let mut sorted: Vec<&File> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let folders: BTreeSet<&Path> = files
        .iter()
        .flat_map(|file| Path::new(&file.path).ancestors().skip(1))
        .filter(|folder| folder.parent().is_some())
        .collect();
    let mut builder = Builder::new(Vec::new());
    for folder in folders {
        append(&mut builder, folder, EntryType::Directory, 0o755, &[])?;
    }
    for file in sorted {
        append(&mut builder, Path::new(&file.path), EntryType::Regular, file.mode, &file.content)?;
    }
    Ok(builder.into_inner()?)
}

fn tar(files: &[File]) -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for file in files {
        append(&mut builder, Path::new(&file.path), EntryType::Regular, file.mode, &file.content)?;
    }
    Ok(builder.into_inner()?)
}

fn append(
    builder: &mut Builder<Vec<u8>>,
    path: &Path,
    kind: EntryType,
    mode: u32,
    content: &[u8],
) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let relative = path.strip_prefix("/").unwrap_or(path);
    builder
        .append_data(&mut header, relative, content)
        .with_context(|| format!("{} into an archive", path.display()))
}

#[cfg(test)]
mod tests;
