//! What nodes held when they answered last, so that people can be told how much was lost with one that ended too early.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ringcache_api::status::LostEntries;
use ringcache_operator_core::Observed;
use ringcache_operator_core::losses::Loss;

/// How many entries nodes had when they answered last, by the uid of their pods.
#[derive(Debug, Default)]
pub(crate) struct Holdings(HashMap<String, u64>);

impl Holdings {
    /// Remembers what the nodes say, and what members said that have vanished since: their loss may have yet to be told.
    pub(crate) fn note(&mut self, observed: &Observed) {
        let members = observed.stored().into_iter().flat_map(|document| &document.members);
        let members: Vec<&str> = members.map(|member| member.uid.uid()).collect();
        self.0.retain(|uid, _| members.contains(&uid.as_str()));
        let answers = observed.nodes.iter().filter_map(|node| Some((node, node.state.as_ref()?)));
        self.0.extend(answers.map(|(node, state)| (node.uid.clone(), state.stats.entries)));
    }

    /// The loss with what is known of it.
    pub(crate) fn lost(&self, loss: &Loss<'_>, at: Time) -> LostEntries {
        let Loss { members, slots } = loss;
        let entries: Option<u64> = members.iter().map(|m| self.0.get(m.uid.uid())).sum();
        LostEntries {
            at,
            nodes: members.iter().map(|member| member.name.clone()).collect(),
            slots: i32::try_from(*slots).unwrap_or(i32::MAX),
            entries: entries.and_then(|entries| i64::try_from(entries).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use ringcache_operator_core::losses::in_words;

    use super::*;
    use crate::objects::ring;
    use crate::observe::fixture::{
        CLUSTER_PATH, FakeApi, FakeNodes, answer, cluster, context, document, hosts, observe_web,
        running,
    };

    #[tokio::test]
    async fn entries_are_told_as_of_the_last_answer_although_the_node_has_vanished_since() {
        let (api, nodes) = (FakeApi::default(), FakeNodes::default());
        let stored = document(3, &["web-0", "web-1"]);
        api.put(CLUSTER_PATH, cluster("{nodes: 2}"));
        api.put("configmaps/web-ring", ring::ring(&cluster("{}"), &stored));
        for (name, ip) in [("web-0", "10.0.0.1"), ("web-1", "10.0.0.2")] {
            api.put(&format!("pods/{name}"), running(name, ip));
            let mut state = answer(name);
            state.stats.entries = 1234;
            nodes.states.lock().unwrap().insert(ip.to_owned(), state);
        }
        let context = context(&api, &nodes, hosts([]));
        let look = async || observe_web(&context).await.unwrap().unwrap().observed;
        let (mut holdings, before) = (Holdings::default(), look().await);
        let loss = Loss { members: vec![&stored.members[1]], slots: 7 };
        let tell = |holdings: &Holdings| in_words(&holdings.lost(&loss, context.clock.time()));
        let unknown = "web-1 ended with 7 slots and an unknown number of entries";
        assert_eq!(tell(&holdings), unknown);
        holdings.note(&before);
        api.remove("pods/web-1");
        holdings.note(&look().await);
        let known = "web-1 ended with 7 slots and 1234 entries when last asked";
        assert_eq!(tell(&holdings), known);
        api.put("configmaps/web-ring", ring::ring(&cluster("{}"), &document(4, &["web-0"])));
        holdings.note(&look().await);
        assert_eq!(tell(&holdings), unknown, "what is told is forgotten");
    }
}
