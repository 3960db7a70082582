//! The cache node's image under another name: what an upgrade looks like to the operator.

use std::fs::{self, File};
use std::io::Read as _;

use anyhow::{Context, Result};
use tar::{Archive, Builder, Header};

use crate::world::{VERSION, World, images};

/// Loads the image `localhost/cache-node` under another tag on every node; returns its name.
pub fn cache_node_as(world: &World, tag: &str) -> Result<String> {
    let source = images()?.join("cache-node.tar");
    let name = |tag: &str| format!("localhost/cache-node:{tag}");
    let folder = tempfile::tempdir()?;
    let renamed = folder.path().join("renamed.tar");
    let mut target = Builder::new(File::create(&renamed)?);
    let open = fs::File::open(&source).with_context(|| source.display().to_string())?;
    for entry in Archive::new(open).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        // The name is in the index only: everything else is the same image.
        if path.ends_with("index.json") {
            content = String::from_utf8(content)?.replace(&name(VERSION), &name(tag)).into_bytes();
        }
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        target.append_data(&mut header, path, content.as_slice())?;
    }
    target.into_inner()?;
    world.lab.load(&renamed)?;
    Ok(name(tag))
}
