//! Tells what happened, once: events for the user, and the status for whoever asks.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use ringcache_api::CacheCluster;
use ringcache_api::status::CacheClusterStatus;
use ringcache_operator_core::autoscaling::Report;
use ringcache_operator_core::{
    Checked, Held, InForce, Observed, ObservedNode, Outcome, Plan, Planned, Violation, check, plan,
    status,
};

use super::dir::StateDir;
use crate::clock;

/// Now, as Kubernetes writes it.
pub(super) fn time() -> Time {
    let seconds = clock::since_1970().as_secs().cast_signed();
    Time(Timestamp::from_second(seconds).unwrap_or_default())
}

/// What was planned; `None` = there is no spec to go by.
pub(super) type PlanResult = Option<Result<Plan<Checked>, Vec<Violation>>>;

/// What follows from an observation.
pub(super) fn plan_for(in_force: &Result<InForce, Held>, observed: &Observed) -> PlanResult {
    let intent = &in_force.as_ref().ok()?.intent;
    Some(check(plan(intent, observed), intent, observed))
}

/// The status that follows from an observation and what was planned.
pub(super) fn status_of(
    planned: &PlanResult,
    in_force: &Result<InForce, Held>,
    observed: &Observed,
    autoscaling: Option<&Report>,
    previous: Option<&CacheClusterStatus>,
) -> CacheClusterStatus {
    let planned = match planned {
        Some(Ok(plan)) => Planned::Plan(plan),
        Some(Err(violations)) => Planned::Refused(violations),
        None => Planned::Nothing,
    };
    let held = in_force.as_ref().map_or_else(Some, |in_force| in_force.held.as_ref());
    let outcome = Outcome { held, autoscaling, ..Outcome::new(planned) };
    status(outcome, observed, previous, &time())
}

/// What was said and written so far, to say and write only what is new.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    /// The resource as last reported, and whether it could be written.
    reported: Option<CacheCluster>,
    is_written: bool,
    /// Uids of the nodes that have answered: whether they do now.
    answering: HashMap<String, bool>,
    /// Troubles that last: said when they come, and again only after they have gone.
    troubles: HashSet<String>,
}

impl Reporter {
    /// Goes on where an earlier `up` ended.
    pub(super) fn new(dir: &StateDir) -> Self {
        // A report that cannot be read only costs the times of its conditions.
        Self { reported: dir.reported().ok().flatten(), is_written: true, ..Self::default() }
    }

    /// The status as last reported.
    pub(super) fn status(&self) -> Option<&CacheClusterStatus> {
        self.reported.as_ref()?.status.as_ref()
    }

    /// Writes the resource with its status, if anything in it is new or could not be written before.
    pub(super) fn write(
        &mut self,
        dir: &StateDir,
        cluster: &CacheCluster,
        status: CacheClusterStatus,
    ) -> Result<()> {
        let cluster = CacheCluster { status: Some(status), ..cluster.clone() };
        if self.is_written && self.reported.as_ref() == Some(&cluster) {
            return Ok(());
        }
        // Kept also if it cannot be written: its conditions have changed now, not when there is room again.
        self.is_written = false;
        dir.write_reported(self.reported.insert(cluster))?;
        self.is_written = true;
        Ok(())
    }

    /// Nodes that have stopped answering, or answer again.
    pub(super) fn answers(&mut self, observed: &Observed) -> Vec<String> {
        self.answering.retain(|uid, _| observed.nodes.iter().any(|node| node.uid == *uid));
        let mut events = Vec::new();
        for node in observed.nodes.iter().filter(|node| is_expected(node)) {
            let ObservedNode { name, uid, .. } = node;
            let answers = observed.state(node).is_some();
            let before = self.answering.get(uid).copied();
            match (before, answers) {
                (Some(true), false) => events.push(format!("{name} does not answer")),
                (Some(false), true) => events.push(format!("{name} answers again")),
                _ => {}
            }
            if answers || before.is_some() {
                self.answering.insert(uid.clone(), answers);
            }
        }
        events
    }

    /// Those of the troubles of this run that the last one did not have, or that they are over.
    pub(super) fn troubles(&mut self, now: Vec<String>) -> Vec<String> {
        let before = std::mem::take(&mut self.troubles);
        if now.is_empty() && !before.is_empty() {
            return vec!["nothing fails any more".to_owned()];
        }
        now.into_iter()
            .filter(|trouble| self.troubles.insert(trouble.clone()) && !before.contains(trouble))
            .collect()
    }
}

/// Whether the node should answer: one that has ended, or was told to, need not.
fn is_expected(node: &ObservedNode) -> bool {
    node.phase.is_up()
}

/// Lines to copy, for a cluster that is ready.
pub(super) fn endpoints(
    node: &ObservedNode,
    program: &str,
    spec: &Path,
    is_scaled: bool,
) -> String {
    let scale =
        if is_scaled { "It scales itself: edit `autoscaling:`" } else { "Scale it: edit `nodes:`" };
    let (resp, http) = (node.ports.resp, node.ports.http);
    format!(
        "\nTalk to it, through any node:\n  \
         redis-cli -c -p {resp} set greeting hello\n  \
         curl -X PUT http://127.0.0.1:{http}/cache/greeting -d '{{\"value\":\"hello\"}}'\n  \
         curl http://127.0.0.1:{http}/cache/greeting\n\
         Check every reply under load:\n  \
         {program} verify --seeds 127.0.0.1:{resp}\n\
         Read through it, as applications do:\n  \
         {program} load --seeds 127.0.0.1:{resp}\n\
         {scale} in {}. Ctrl-C stops it.\n",
        spec.display()
    )
}

#[cfg(test)]
mod tests {
    use ringcache_operator_core::Phase;

    use super::*;
    use ringcache_show::fixture::{node, observed};

    #[test]
    fn silence_is_an_event_only_after_an_answer_and_from_a_node_that_should_answer() {
        let mut reporter = Reporter::default();
        let mut web = node("web-0", &[], 0);
        let state = web.state.take();
        let mut said = |node: &ObservedNode| reporter.answers(&observed(None, vec![node.clone()]));
        assert_eq!(said(&web), [""; 0], "it starts");
        web.state.clone_from(&state);
        assert_eq!(said(&web), [""; 0], "it has started");
        web.state = None;
        assert_eq!(said(&web), ["web-0 does not answer"]);
        assert_eq!(said(&web), [""; 0], "said once");
        web.state = state;
        assert_eq!(said(&web), ["web-0 answers again"]);
        (web.phase, web.state) = (Phase::Stopping, None);
        assert_eq!(said(&web), [""; 0], "it was told to");
    }

    #[test]
    fn a_trouble_is_said_again_only_after_it_has_gone() {
        let mut reporter = Reporter::default();
        let mut said =
            |now: &[&str]| reporter.troubles(now.iter().map(ToString::to_string).collect());
        assert_eq!(said(&["a", "a"]), ["a"]);
        assert_eq!(said(&["a", "b"]), ["b"]);
        assert_eq!(said(&["b"]), [""; 0]);
        assert_eq!(said(&["a"]), ["a"]);
        assert_eq!(said(&[]), ["nothing fails any more"]);
        assert_eq!(said(&[]), [""; 0]);
    }

    #[test]
    fn the_status_is_written_only_when_something_in_it_is_new() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::new(temp.path());
        let cluster = CacheCluster::new("web", ringcache_api::CacheClusterSpec::default());
        let mut reporter = Reporter::new(&dir);
        let status = CacheClusterStatus { nodes: 3, ..CacheClusterStatus::default() };
        reporter.write(&dir, &cluster, status.clone()).expect("written");
        assert_eq!(Reporter::new(&dir).status(), Some(&status), "the next `up` goes on from it");

        let file = temp.path().join("status.json");
        std::fs::remove_file(&file).expect("it is there");
        reporter.write(&dir, &cluster, status.clone()).expect("nothing to do");
        assert!(!file.exists(), "an idle cluster writes nothing");
        reporter.write(&dir, &cluster, CacheClusterStatus { nodes: 4, ..status }).expect("written");
        assert!(file.exists());
    }

    #[test]
    fn a_status_that_could_not_be_written_is_written_when_it_can_be() {
        let temp = tempfile::tempdir().expect("a directory");
        let (state, cluster) = (
            temp.path().join("state"),
            CacheCluster::new("web", ringcache_api::CacheClusterSpec::default()),
        );
        let dir = StateDir::new(&state);
        let mut reporter = Reporter::new(&dir);
        let status = CacheClusterStatus { nodes: 3, ..CacheClusterStatus::default() };
        let error = reporter.write(&dir, &cluster, status.clone()).expect_err("no directory");
        assert!(error.to_string().contains("status.json"), "{error}");
        assert_eq!(reporter.status(), Some(&status), "the next status goes on from it");
        std::fs::create_dir(&state).expect("room");
        reporter.write(&dir, &cluster, status.clone()).expect("written");
        assert_eq!(Reporter::new(&dir).status(), Some(&status));
    }
}
