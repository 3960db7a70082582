//! Writes the image of the pause container as an OCI archive: nothing is pulled from anywhere.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const OCI: &str = "application/vnd.oci.image";

/// Writes an image that consists of the one static `program` to `archive`, under the name `image`.
pub(crate) fn write(archive: &Path, image: &str, program: &Path) -> Result<()> {
    let name = program.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    pack(File::create(archive)?, image, &name, &fs::read(program)?)?;
    Ok(())
}

fn pack<W: Write>(archive: W, image: &str, name: &str, program: &[u8]) -> Result<W> {
    let mut layer = tar::Builder::new(Vec::new());
    append(&mut layer, name, 0o755, program)?;
    let layer = layer.into_inner()?;
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {"Entrypoint": [format!("/{name}")], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": format!("{OCI}.manifest.v1+json"),
        "config": descriptor("config.v1+json", &config),
        "layers": [descriptor("layer.v1.tar", &layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    let mut entry = descriptor("manifest.v1+json", &manifest);
    entry["annotations"] = json!({"io.containerd.image.name": image});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();

    let mut archive = tar::Builder::new(archive);
    append(&mut archive, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    append(&mut archive, "index.json", 0o644, index.as_bytes())?;
    for blob in [&config, &manifest, &layer] {
        append(&mut archive, &digest(blob).replace("sha256:", "blobs/sha256/"), 0o644, blob)?;
    }
    Ok(archive.into_inner()?)
}

fn append<W: Write>(tar: &mut tar::Builder<W>, name: &str, mode: u32, data: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(data.len() as u64);
    header.set_mode(mode);
    Ok(tar.append_data(&mut header, name, data)?)
}

fn descriptor(kind: &str, blob: &[u8]) -> Value {
    json!({"mediaType": format!("{OCI}.{kind}"), "digest": digest(blob), "size": blob.len()})
}

fn digest(blob: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(blob)))
}

/// Bytes as two digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// This machine's architecture as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::Read as _;

    use super::*;

    fn files(archive: &[u8]) -> HashMap<String, Vec<u8>> {
        let mut files = HashMap::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut data = Vec::new();
            entry.read_to_end(&mut data).unwrap();
            files.insert(entry.path().unwrap().display().to_string(), data);
        }
        files
    }

    #[test]
    fn an_image_leads_from_its_name_to_its_program_by_digests() {
        let archive = pack(Vec::new(), "localhost/x:1", "x", b"program").unwrap();
        let files = files(&archive);
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            let blob = &files[&format!("blobs/sha256/{}", &digest["sha256:".len()..])];
            assert_eq!(super::digest(blob), digest);
            assert_eq!(descriptor["size"], blob.len());
            blob.clone()
        };
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let entry = &index["manifests"][0];
        assert_eq!(entry["annotations"]["io.containerd.image.name"], "localhost/x:1");
        let manifest: Value = serde_json::from_slice(&blob(entry)).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        assert_eq!(config["config"]["Entrypoint"], json!(["/x"]));
        let layer = blob(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"], json!([digest(&layer)]));
        assert_eq!(super::tests::files(&layer)["x"], b"program");
    }

    #[test]
    fn the_same_program_gives_the_same_archive() {
        let archive = || pack(Vec::new(), "localhost/x:1", "x", b"program").unwrap();
        assert_eq!(archive(), archive());
    }
}
