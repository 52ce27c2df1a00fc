//! What holds for topics: override, cluster-wide value, the node's own file, default.

use std::borrow::Cow;

use super::{ResolvedTopic, Work};
use crate::config::catalogue::Scope;
use crate::config::effective::Values;
use crate::config::place::Origin;
use crate::config::problem::Refusal;
use crate::config::refusal;
use crate::config::synonyms;
use crate::config::value::{self, Invalid, Value};
use crate::config::view::TopicSettings;

const UNCLEAN: &str = "unclean.leader.election.enable";

/// What the settings of topics fall back to.
pub(super) struct Servers<'a> {
    pub(super) broker: &'a Values,
    pub(super) controller: &'a Values,
    pub(super) cluster_wide: Option<&'a (String, Origin)>,
}

impl Work<'_> {
    /// With eligible leader replicas a cluster-wide `min.insync.replicas` exists from the first moment,
    /// from the file of the first active controller (`ActivationRecordsGenerator`).
    pub(super) fn cluster_wide(&mut self, broker: &Values, controller: &Values) -> Option<(String, Origin)> {
        const MIN_ISR: &str = "min.insync.replicas";
        let differs =
            |name: &str| broker.is_set(name) && broker.get(name).value != controller.get(name).value;
        if differs(UNCLEAN) {
            let message = format!(
                "{UNCLEAN}={} in the brokers' settings has no effect: controllers elect, and theirs say {}",
                broker.get(UNCLEAN).shown(),
                controller.get(UNCLEAN).shown()
            );
            self.findings.warn(broker, &[UNCLEAN], message);
        }
        if !self.builder.cluster.features.eligible_leader_replicas() {
            return None;
        }
        if differs(MIN_ISR) {
            let message = format!(
                "{MIN_ISR}={} in the brokers' settings has no effect with eligible.leader.replicas.version=1: \
                 the first active controller writes {} as the cluster-wide value, from its own settings \
                 (KIP-966); set it there or per topic",
                broker.get(MIN_ISR).shown(),
                controller.get(MIN_ISR).shown()
            );
            self.findings.warn(broker, &[MIN_ISR], message);
        }
        let from = controller.get(MIN_ISR);
        Some((from.shown().to_string(), from.origin.clone()))
    }

    pub(super) fn topic(&mut self, servers: &Servers<'_>, name: Option<&str>) -> (ResolvedTopic, Values) {
        let mut seen = self.topic_defaults(servers.broker, servers.cluster_wide);
        let mut by_controllers = self.topic_defaults(servers.controller, servers.cluster_wide);
        seen.instance = name.map(str::to_string);
        by_controllers.instance = seen.instance.clone();
        if name.is_some() {
            let overrides = |work: &Self| {
                let mut given = work.given(Scope::Topic, name);
                for given in &mut given {
                    given.origin = Origin::TopicOverride(Box::new(given.origin.clone()));
                }
                given
            };
            let refused_before = self.findings.refusals.len();
            let noted_before = self.noted.len();
            let given = overrides(self);
            self.put_all(&mut by_controllers, given);
            // The same again for the brokers' view; what was wrong has been said.
            self.findings.refusals.truncate(refused_before);
            self.noted.truncate(noted_before);
            let given = overrides(self);
            self.put_all(&mut seen, given);
            let tiering = servers.controller.boolean("remote.log.storage.system.enable");
            refusal::topic(&by_controllers, tiering, &mut self.findings);
            self.note_overrides(&seen);
        }
        let by_brokers = TopicSettings::from_values(&seen, &mut self.errors);
        // Nobody but controllers acts by it (`ReplicationControlManager`, `ConfigurationControlManager
        // .uncleanLeaderElectionEnabledForTopic`): what brokers resolve has no effect, so theirs is what counts.
        // The min.insync.replicas of elections is the same for both, as it is written cluster-wide.
        seen.take_over(UNCLEAN, &by_controllers);
        let topic = ResolvedTopic {
            name: name.map(str::to_string),
            by_brokers,
            by_controllers: TopicSettings::from_values(&by_controllers, &mut self.errors),
        };
        (topic, seen)
    }

    fn note_overrides(&mut self, seen: &Values) {
        let mut own = Values::defaults(Scope::Topic);
        own.instance = seen.instance.clone();
        for entry in seen
            .iter()
            .filter(|entry| matches!(entry.origin, Origin::TopicOverride(_)))
        {
            let text = entry.text.clone().unwrap_or_default();
            own.put(
                entry.setting.name,
                text,
                entry.value.clone(),
                entry.origin.clone(),
            );
        }
        self.note(&own);
    }

    /// What a role resolves for a topic without overrides.
    fn topic_defaults(&mut self, server: &Values, cluster_wide: Option<&(String, Origin)>) -> Values {
        let mut topic = Values::defaults(Scope::Topic);
        for setting in Scope::Topic.settings() {
            let Some((name, text)) = synonyms::from_server(server, setting.name) else {
                continue;
            };
            let origin = server.get(name).origin.clone();
            if !origin.is_set() {
                continue;
            }
            match value::parse(setting, &text) {
                Ok(parsed) => topic.put(setting.name, text.into(), parsed, origin),
                Err(Invalid::Kafka(reason) | Invalid::Here(reason)) => {
                    // KafkaConfig may take what the broker's own LogConfig does not.
                    let known = |refusal: &Refusal| refusal.settings.iter().any(|(one, ..)| *one == name);
                    if self.findings.refusals.iter().any(known) {
                        continue;
                    }
                    let settings = vec![(server.get(name).setting.name, text, origin)];
                    self.findings.refusals.push(Refusal {
                        scope: server.scope,
                        instance: None,
                        exception: "ConfigException",
                        class: "LogConfig",
                        reason,
                        settings,
                    });
                }
            }
        }
        if let Some((text, from)) = cluster_wide {
            let number = text.parse().expect("a value that was parsed before");
            let origin = Origin::ClusterDynamic {
                from: Box::new(from.clone()),
            };
            topic.put(
                "min.insync.replicas",
                Cow::Owned(text.clone()),
                Value::Whole(number),
                origin,
            );
        }
        topic
    }
}
