use std::collections::BTreeMap;
use std::io::Read;

use super::*;

const NAME: &str = "localhost/some-program:1.2.3";

fn files() -> Vec<File> {
    let file = |path: &str, mode, content: &str| File {
        path: path.to_owned(),
        mode,
        content: content.into(),
    };
    vec![
        file("/some-program", 0o755, "program"),
        file("/etc/passwd", 0o644, "nonroot"),
        file("/lib/some/libc.so.6", 0o755, "library"),
    ]
}

fn image(files: &[File]) -> (Vec<u8>, String) {
    let labels = ["title", "version", "licenses", "source"];
    let labels = labels.map(|key| (key, format!("its {key}")));
    let image = Image { name: NAME, entrypoint: "/some-program", user: "65532", labels, files };
    image.archive().unwrap()
}

/// Content and mode of each file, `None` for a folder.
fn unpack(tar: &[u8]) -> BTreeMap<String, (Option<Vec<u8>>, u32)> {
    let mut unpacked = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        assert_eq!(header.mtime().unwrap(), 0, "a time of its own");
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let content = header.entry_type().is_file().then_some(content);
        assert_eq!(unpacked.insert(path, (content, header.mode().unwrap())), None);
    }
    unpacked
}

/// What a descriptor points at, found and checked as a container engine would.
fn resolve(
    files: &BTreeMap<String, (Option<Vec<u8>>, u32)>,
    descriptor: &Value,
    kind: &str,
) -> Vec<u8> {
    assert_eq!(descriptor["mediaType"], format!("application/vnd.oci.image.{kind}"));
    let digest = descriptor["digest"].as_str().unwrap();
    let bytes = files[&format!("blobs/{}", digest.replace(':', "/"))].0.clone().unwrap();
    assert_eq!(descriptor["size"], bytes.len());
    assert_eq!(digest, super::digest(&bytes));
    bytes
}

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn an_engine_finds_name_program_user_and_files_by_their_digests() {
    let (archive, digest) = image(&files());
    let outer = unpack(&archive);
    assert_eq!(parse(outer["oci-layout"].0.as_ref().unwrap())["imageLayoutVersion"], "1.0.0");

    let index = parse(outer["index.json"].0.as_ref().unwrap());
    let descriptor = &index["manifests"][0];
    assert_eq!(descriptor["digest"], digest);
    assert_eq!(descriptor["annotations"]["io.containerd.image.name"], NAME);
    assert_eq!(descriptor["annotations"]["org.opencontainers.image.ref.name"], "1.2.3");
    assert_eq!(descriptor["platform"]["os"], "linux");

    let manifest = parse(&resolve(&outer, descriptor, "manifest.v1+json"));
    let config = parse(&resolve(&outer, &manifest["config"], "config.v1+json"));
    assert_eq!(config["config"]["Entrypoint"], json!(["/some-program"]));
    assert_eq!(config["config"]["User"], "65532");
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.version"], "its version");
    assert_eq!(labels.as_object().unwrap().len(), 4);
    assert_eq!(config["rootfs"]["diff_ids"], json!([manifest["layers"][0]["digest"]]));

    let layer = unpack(&resolve(&outer, &manifest["layers"][0], "layer.v1.tar"));
    let modes: Vec<(&str, u32)> = layer.iter().map(|(path, (_, mode))| (&**path, *mode)).collect();
    assert_eq!(
        modes,
        [
            ("etc", 0o755),
            ("etc/passwd", 0o644),
            ("lib", 0o755),
            ("lib/some", 0o755),
            ("lib/some/libc.so.6", 0o755),
            ("some-program", 0o755),
        ]
    );
    assert_eq!(layer["some-program"].0.as_deref(), Some("program".as_bytes()));

    let docker = parse(outer["manifest.json"].0.as_ref().unwrap());
    assert_eq!(docker[0]["RepoTags"], json!([NAME]));
    for path in [&docker[0]["Config"], &docker[0]["Layers"][0]] {
        assert!(outer.contains_key(path.as_str().unwrap()), "{path}");
    }
}

#[test]
fn the_same_files_make_the_same_bytes_in_whichever_order_they_come() {
    let mut reversed = files();
    reversed.reverse();
    assert_eq!(image(&files()), image(&reversed));
}

#[test]
fn another_content_is_another_digest() {
    let mut changed = files();
    changed[0].content.push(b'!');
    assert_ne!(image(&files()).1, image(&changed).1);
}

#[test]
fn digests_are_sha256_in_hexadecimal_digits() {
    let of_nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(digest(b""), of_nothing);
}
