//! `report`: an archive for whoever is to help, without anything that a cache holds or that a pod is told in confidence.

mod archive;
mod clean;
mod nodes;
mod objects;
mod operators;
mod output;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ringcache_operator::Clock;
use ringcache_show::report::{LEFT_OUT, json, text};
use serde_json::{Value, json as object};
use tokio::signal::ctrl_c;
use tokio::time::timeout;

use self::archive::{Archive, Keep};
use self::clean::Cleaner;
use self::output::Output;
use crate::args::Report;
use crate::look::one;
use crate::output::{Plain, plain};
use crate::proxy::{Proxy, words};
use crate::verbs::Answer;

/// Longest wait for one answer of the API server: what does not come is missing, and the rest is not.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was read, before anything is taken out of it.
#[derive(Debug)]
enum Content {
    /// An object of Kubernetes.
    Object(Value),
    /// What a node says, with its keys hashed.
    Answer(Value),
    /// A log, of which the end says most, or metrics.
    Text(String, Keep),
}

/// A file to be, or what is not there and why.
#[derive(Debug)]
enum Part {
    /// Of some it is known from the start that only a part is there.
    File {
        path: String,
        what: String,
        content: Content,
        is_cut: bool,
    },
    Missing {
        what: String,
        why: String,
    },
}

impl Part {
    fn missing(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Missing { what: what.into(), why: why.into() }
    }

    fn object(path: impl Into<String>, what: impl Into<String>, object: Value) -> Self {
        let (path, what) = (path.into(), what.into());
        Self::File { path, what, content: Content::Object(object), is_cut: false }
    }
}

/// Writes an archive, and says what is in it. Who interrupts it is left without half of one.
pub(crate) async fn write(asked: &Report, proxy: &Proxy, clock: &Clock) -> Result<Answer> {
    tokio::select! {
        interrupted = ctrl_c() => {
            interrupted.context("waiting for Ctrl-C")?;
            bail!("interrupted, so there is no archive")
        }
        written = written(asked, proxy, clock) => written,
    }
}

async fn written(asked: &Report, proxy: &Proxy, clock: &Clock) -> Result<Answer> {
    // Whoever cannot have a file need not wait for what would be in it.
    let named = asked.output_file.as_deref().map(Output::create).transpose()?;
    let name = one(proxy, asked.which.cluster.as_deref()).await?;
    let now = clock.now();
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    let folder = format!("ringcache-{}-{name}-{time}", proxy.namespace());
    let output = match named {
        Some(output) => output,
        None => Output::create(&PathBuf::from(format!("{folder}.tar.gz")))?,
    };

    let mut salt = [0; 32];
    getrandom::fill(&mut salt).context("a random salt")?;
    let mut cleaner = Cleaner::new(salt);
    let parts = read(proxy, &name, &cleaner).await?;
    let archive = archived(parts, &mut cleaner)?;
    if archive.entries.is_empty() {
        let why = archive.missing.first().map(|missing| missing.why.as_str()).unwrap_or_default();
        bail!("nothing could be read, so there is no archive: {why}");
    }

    let (entries, missing) = (&archive.entries, &archive.missing);
    let contents = || {
        let mut contents = json(entries, missing);
        contents["namespace"] = proxy.namespace().into();
        contents["name"] = name.as_str().into();
        contents["time"] = now.to_string().into();
        contents["pluginVersion"] = env!("CARGO_PKG_VERSION").into();
        contents
    };
    let table = text(entries, missing);
    let about = [
        ("README.txt", format!("A report about `{name}` of {now}.\n\n{LEFT_OUT}\n{table}")),
        ("contents.json", Plain::Json.write(&contents())?),
    ];
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let packed = archive.packed(&folder, seconds, &about).context("packing the archive")?;
    let path = output.write(&packed)?;

    let written = path.display();
    let shown = plain(
        asked.which.output,
        || format!("{table}\n{LEFT_OUT}\n{written}: {} bytes\n", packed.len()),
        || {
            let mut contents = contents();
            contents["archive"] = object!({ "path": path, "bytes": packed.len() });
            contents
        },
    )?;
    Ok(Answer { text: shown, is_good: true })
}

/// Everything that can be read.
async fn read(proxy: &Proxy, name: &str, cleaner: &Cleaner) -> Result<Vec<Part>> {
    let objects::Found { mut parts, pods } = objects::read(proxy, name).await?;
    // Where there is no room for all, logs say more than one node of many.
    parts.extend(operators::read(proxy).await);
    parts.extend(nodes::read(proxy, &pods, cleaner).await);
    Ok(parts)
}

/// Takes out first, from everything, what must not stand anywhere.
fn archived(mut parts: Vec<Part>, cleaner: &mut Cleaner) -> Result<Archive> {
    for part in &mut parts {
        if let Part::File { content: Content::Object(object), .. } = part {
            cleaner.object(object);
        }
    }
    let mut archive = Archive::default();
    for part in parts {
        match part {
            Part::Missing { what, why } => archive.lacks(&what, &cleaner.wipe(&why)),
            Part::File { path, what, content, is_cut } => {
                let (text, keep) = match content {
                    Content::Object(mut object) => {
                        cleaner.wipe_all(&mut object);
                        (Plain::Yaml.write(&object)?, Keep::Beginning)
                    }
                    Content::Answer(mut answer) => {
                        cleaner.wipe_all(&mut answer);
                        (Plain::Json.write(&answer)?, Keep::Beginning)
                    }
                    Content::Text(text, keep) => (cleaner.wipe(&text), keep),
                };
                archive.add(&path, &what, &text, keep, is_cut);
            }
        }
    }
    Ok(archive)
}

/// What the API server answers; or why it does not, as people read it.
async fn asked<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(words(&error)),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
