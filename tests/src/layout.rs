//! What `ringcache up` keeps in its state directory, and a free block of ports for it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result};
use ringcache_api::{Document, Ports};
use ringcache_ring::SlotSet;
use serde::Deserialize;

/// Offsets of the four kinds of ports from the base port, and of the port of the page.
const GROUPS: [u16; 5] = [0, 200, 400, 600, 800];
/// Nodes that a test may have at once, surge and leaving ones included, and one to spare.
const NODES: u16 = 12;
/// Bases to try: below the ephemeral range, so that no outgoing connection sits on a probed port.
const BASES: std::ops::Range<u16> = 11_000..31_000;

/// The record of a started node, `nodes/<name>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NodeRecord {
    /// Name, from the file's name.
    #[serde(skip)]
    pub name: String,
    /// Process id.
    pub pid: u32,
    /// The uid on the node's command line.
    pub uid: String,
    /// Its ports.
    pub ports: Ports,
}

/// The records of a state directory, by name.
pub fn records(dir: &Path) -> Result<Vec<NodeRecord>> {
    let Ok(entries) = fs::read_dir(dir.join("nodes")) else { return Ok(Vec::new()) };
    let mut records = Vec::new();
    for path in entries.filter_map(|e| Some(e.ok()?.path())) {
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        // A record that vanished since the directory was listed belongs to a node that has just been stopped.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let record: NodeRecord =
            serde_json::from_str(&text).with_context(|| format!("{}: {text}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        records.push(NodeRecord { name, ..record });
    }
    records.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(records)
}

/// The ring document of a state directory, if there is one yet; proven whole.
pub fn document(dir: &Path) -> Result<Option<Document>> {
    let Ok(text) = fs::read(dir.join("ring.json")) else { return Ok(None) };
    Ok(Some(Document::parse(&text)?))
}

/// A base port whose block is free on loopback right now.
pub fn free_base_port() -> Result<u16> {
    let span = u32::from(BASES.end - BASES.start);
    let first = std::process::id().wrapping_mul(701) % span;
    (0..span / 700)
        .map(|n| BASES.start + ((first + n * 700) % span) as u16)
        .find(|&base| is_free(base))
        .context("no free block of ports on loopback")
}

fn is_free(base: u16) -> bool {
    let ports = GROUPS.iter().flat_map(|group| (0..NODES).map(move |node| base + group + node));
    ports.map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))).all(|bound| bound.is_ok())
}

/// A hash tag whose slot is one of these.
pub fn tag_of(slots: &SlotSet) -> Option<String> {
    (0..1_000_000)
        .map(|n| format!("tag{n}"))
        .find(|tag| slots.contains(ringcache_ring::key_slot(tag.as_bytes())))
}
