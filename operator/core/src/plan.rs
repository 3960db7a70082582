//! A plan is a value: steps that print readably, with no meaningful choice left to whoever executes them.

use std::fmt;
use std::marker::PhantomData;

use crate::Lag;
use ringcache_api::Document;
use ringcache_api::admin::Settings;
use serde::{Deserialize, Serialize};

use crate::Template;

/// State of a plan that nobody has checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft;
/// State of a plan that [`check`](crate::check()) has passed: the only one that may be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked;

/// What to do now, in order. Executing it does not finish the operation: observe and plan again.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan<S = Draft> {
    operation: Operation,
    steps: Vec<Step>,
    notes: Vec<Note>,
    lag: Lag,
    #[serde(skip)]
    state: PhantomData<S>,
}

impl Plan<Draft> {
    /// A plan of anybody's making. Only a checked one can be executed.
    pub fn new(operation: Operation, steps: Vec<Step>, notes: Vec<Note>) -> Self {
        Self { operation, steps, notes, lag: Lag::default(), state: PhantomData }
    }

    /// The plan, with how the nodes are behind what is wanted.
    pub(crate) fn with_lag(mut self, lag: Lag) -> Self {
        self.notes.extend(lag.notes());
        Self { lag, ..self }
    }

    /// Only for `check`, after it has found nothing.
    pub(crate) fn into_checked(self) -> Plan<Checked> {
        let Self { operation, steps, notes, lag, state: PhantomData } = self;
        Plan { operation, steps, notes, lag, state: PhantomData }
    }
}

impl<S> Plan<S> {
    /// What is being carried out.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The steps. A failed `PushDocument` or `Configure` need not keep the others back; any other failure ends the run.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What it waits for, and warnings.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// How the nodes are behind what is wanted, whether or not this plan mends it.
    pub fn lag(&self) -> &Lag {
        &self.lag
    }

    /// Whether something is under way that no event announces, so that it is worth observing again soon.
    pub fn poll_soon(&self) -> bool {
        self.operation != Operation::Steady
    }

    /// The nodes that take part, where the plan does nothing but wait for others that cannot start.
    pub fn going_on_without(&self) -> Option<usize> {
        let there = self.notes.iter().find_map(|note| match note {
            Note::Missing { nodes, .. } => Some(*nodes),
            Note::Text(_) | Note::SlotsToGo(_) => None,
        });
        let is_moving = self.notes.iter().any(|note| matches!(note, Note::SlotsToGo(_)));
        there.filter(|_| !is_moving && self.document().is_none())
    }

    /// The document that it writes.
    pub fn document(&self) -> Option<&Document> {
        self.steps.iter().find_map(|step| match step {
            Step::WriteDocument { document } => Some(document),
            _ => None,
        })
    }
}

impl<S> fmt::Display for Plan<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation.kind(), self.operation)?;
        for step in &self.steps {
            write!(f, "\n- {step}")?;
        }
        for note in &self.notes {
            write!(f, "\n  ({note})")?;
        }
        Ok(())
    }
}

/// What a plan carries out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// There is no ring yet.
    Create {
        /// Nodes wanted.
        nodes: usize,
    },
    /// More nodes, or new ones are receiving their share.
    ScaleOut {
        /// Nodes that hold slots or receive them to stay.
        from: usize,
        /// Nodes wanted.
        to: usize,
    },
    /// Fewer nodes, or leaving ones are handing over.
    ScaleIn {
        /// Nodes that are members.
        from: usize,
        /// Nodes wanted.
        to: usize,
    },
    /// Nodes are replaced, one at a time, by ones of the wanted template, or on hosts that stay.
    Roll {
        /// Members still to be replaced.
        outdated: usize,
        /// Nodes wanted.
        nodes: usize,
    },
    /// Somebody else told members to end, such as an eviction does: others take their places.
    Replace {
        /// Their names.
        ending: Vec<String>,
    },
    /// Members are dead.
    Repair {
        /// Their names.
        lost: Vec<String>,
    },
    /// The document is lost, or older than what nodes hold.
    Restore,
    /// Everything is said; the nodes are adopting or handing over slots, or have yet to hear of it.
    Converge,
    /// Nodes that are no longer needed go, or settings are passed on.
    TidyUp,
    /// The cluster is being deleted.
    Delete,
    /// Nothing to do.
    Steady,
}

impl Operation {
    /// Its name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Create { .. } => "Create",
            Self::ScaleOut { .. } => "ScaleOut",
            Self::ScaleIn { .. } => "ScaleIn",
            Self::Roll { .. } => "Roll",
            Self::Replace { .. } => "Replace",
            Self::Repair { .. } => "Repair",
            Self::Restore => "Restore",
            Self::Converge => "Converge",
            Self::TidyUp => "TidyUp",
            Self::Delete => "Delete",
            Self::Steady => "Steady",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { nodes: 1 } => f.write_str("a ring of 1 node"),
            Self::Create { nodes } => write!(f, "a ring of {nodes} nodes"),
            Self::ScaleOut { from, to } | Self::ScaleIn { from, to } => {
                write!(f, "from {from} to {to} nodes")
            }
            Self::Roll { outdated, nodes } => {
                write!(f, "{outdated} to be replaced of {nodes}, one at a time")
            }
            Self::Replace { ending } => {
                write!(f, "{} told to end by somebody else, and replaced", ending.join(", "))
            }
            Self::Repair { lost } => write!(f, "{} died", lost.join(", ")),
            Self::Restore => {
                f.write_str("the ring document is written again from what the nodes own")
            }
            Self::Converge => f.write_str("slots are on their way to where they should be"),
            Self::TidyUp => f.write_str("what is no longer needed goes, settings are passed on"),
            Self::Delete => f.write_str("all nodes end"),
            Self::Steady => f.write_str("nothing to do"),
        }
    }
}

/// What a plan says besides its steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// What it waits for, or what the user should know beforehand.
    Text(String),
    /// Nodes that are there go on without others, which have been waited for.
    Missing {
        /// Nodes that take part to stay.
        nodes: usize,
        /// Nodes wanted.
        wanted: usize,
    },
    /// So many slots are not where they should be: another number at every look.
    SlotsToGo(usize),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Missing { nodes, wanted } => {
                write!(f, "{nodes} of {wanted} nodes go on without the others")
            }
            Self::SlotsToGo(slots) => {
                write!(f, "{slots} slots are not known to be where they should be")
            }
        }
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Step {
    /// Store this document in place of the one that was observed.
    WriteDocument {
        /// The document, sealed.
        document: Document,
    },
    /// Give a node the stored document.
    PushDocument {
        /// Name of the node.
        name: String,
        /// The platform's uid, as a precondition.
        uid: String,
        /// Epoch of the document meant.
        epoch: u64,
    },
    /// Give a node settings.
    Configure {
        /// Name of the node.
        name: String,
        /// The platform's uid, as a precondition.
        uid: String,
        /// The settings.
        settings: Settings,
    },
    /// Start a node; it takes part once a document admits it.
    StartNode {
        /// Name, free at the time of planning.
        name: String,
        /// What to start.
        template: Template,
        /// Settings from the start.
        settings: Settings,
    },
    /// End a node gracefully, or clear away what is left of one that has ended.
    StopNode {
        /// Name of the node.
        name: String,
        /// The platform's uid, as a precondition.
        uid: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteDocument { document } => {
                write!(f, "write document, epoch {}:", document.epoch)?;
                for member in &document.members {
                    let slots = document.intended(&member.name).len();
                    write!(f, " {} {:?} {slots};", member.name, member.state)?;
                }
                if !document.gone.is_empty() {
                    let gone: Vec<_> = document.gone.iter().map(|g| g.0.as_str()).collect();
                    write!(f, " gone: {}", gone.join(" "))?;
                }
                Ok(())
            }
            Self::PushDocument { name, uid: _, epoch } => write!(f, "push epoch {epoch} to {name}"),
            Self::Configure { name, uid: _, settings } => {
                write!(f, "configure {name}: {}", Ttl(settings))
            }
            Self::StartNode { name, template, settings } => {
                write!(f, "start {name}: {template}, {}", Ttl(settings))
            }
            Self::StopNode { name, uid: _, reason } => write!(f, "stop {name}: {reason}"),
        }
    }
}

/// Settings for readers, by the names that they have in the spec.
struct Ttl<'a>(&'a Settings);

impl fmt::Display for Ttl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { ttl_default_seconds, ttl_jitter_percent } = *self.0;
        write!(f, "ttl.defaultSeconds {ttl_default_seconds}")?;
        match ttl_jitter_percent {
            0 => Ok(()),
            percent => write!(f, ", ttl.jitterPercent {percent}"),
        }
    }
}

/// Bytes for readers: whole mebibytes as `256Mi`, anything else as a number of bytes.
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1 << 20) {
            write!(f, "{}Mi", self.0 >> 20)
        } else {
            write!(f, "{} bytes", self.0)
        }
    }
}
