//! The state of every partition at an instant, as `kafka-topics --describe` prints it.

use ktrial_models::config::Origin;
use ktrial_models::config::catalogue::Scope;
use ktrial_models::ids::{PartitionMap, ServerId};
use ktrial_models::metadata::PartitionRegistration;
use ktrial_models::notes::{ClusterNote, Note};
use ktrial_scenarios::Told;
use ktrial_sim::{Duration, Time};
use serde::Serialize;

use super::lag::{self, DescribedGroups};
use super::words::{Moment, View};

/// All topics at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// When, in microseconds since the clients' start.
    #[serde(rename = "at_us")]
    pub at: Moment,
    /// Whether the trial was over by then; the states are those of its end.
    pub after_the_end: bool,
    /// Topics in the order of the scenario.
    pub topics: Vec<DescribedTopic>,
    /// Groups and their members, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<DescribedGroups>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DescribedTopic {
    /// Its name.
    pub topic: String,
    /// How many replicas each partition has.
    pub replication_factor: u16,
    /// Its overrides, `name=value`.
    pub configs: Vec<String>,
    /// Its partitions.
    pub partitions: Vec<DescribedPartition>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DescribedPartition {
    /// Its number.
    pub partition: u32,
    /// Its leader's id.
    pub leader: Option<u16>,
    /// Ids of its replicas in order of preference.
    pub replicas: Vec<u16>,
    /// Ids of the in-sync replicas.
    pub isr: Vec<u16>,
    /// Ids of the eligible leader replicas; none where the feature is off.
    pub elr: Option<Vec<u16>>,
    /// The last known leader; none where the feature is off.
    pub last_known_elr: Option<Vec<u16>>,
}

/// The states that were committed by `after` the clients' start.
pub fn describe(view: View<'_>, after: Duration) -> Description {
    let trial = &view.detailed.trial;
    let at = trial.clients_started + after;
    let states = committed(view, at);
    let topics = view.arm.resolved.cluster.topics.iter().map(|topic| {
        let values =
            view.arm.settings.values.iter().find(|values| {
                values.scope == Scope::Topic && values.instance.as_deref() == Some(&*topic.name)
            });
        let configs = values.into_iter().flat_map(|values| values.iter());
        let mut partitions: Vec<DescribedPartition> = states
            .iter()
            .filter(|(id, _)| {
                view.partition_name(*id)
                    .is_some_and(|name| name.topic == topic.name)
            })
            .map(|(_, registration)| described(view, registration))
            .collect();
        partitions.sort_by_key(|partition| partition.partition);
        DescribedTopic {
            topic: topic.name.clone(),
            replication_factor: topic.replication_factor,
            configs: configs
                .filter(|effective| matches!(effective.origin, Origin::TopicOverride(_)))
                .map(|effective| format!("{}={}", effective.setting.name, effective.shown()))
                .collect(),
            partitions,
        }
    });
    Description {
        at: Moment::of(at, trial.clients_started),
        after_the_end: at > trial.ended,
        topics: topics.collect(),
        groups: lag::describe(view, after),
    }
}

fn committed(view: View<'_>, until: Time) -> PartitionMap<PartitionRegistration> {
    let mut states: PartitionMap<PartitionRegistration> = PartitionMap::default();
    let told = view.detailed.story.told().iter();
    for (_, told) in told.take_while(|(at, _)| *at <= until) {
        let Told::Note(
            _,
            _,
            Note::Cluster(ClusterNote::Partition {
                partition,
                registration,
                ..
            }),
        ) = told
        else {
            continue;
        };
        let newer = states
            .get(*partition)
            .is_none_or(|known| known.partition_epoch < registration.partition_epoch);
        if newer {
            states.insert(*partition, (**registration).clone());
        }
    }
    states
}

fn described(view: View<'_>, registration: &PartitionRegistration) -> DescribedPartition {
    let ids = |servers: &[ServerId]| servers.iter().map(|server| server.0).collect::<Vec<u16>>();
    let eligible = view.arm.resolved.cluster.features.eligible_leader_replicas > 0;
    DescribedPartition {
        partition: registration.index,
        leader: registration.leader.map(|leader| leader.0),
        replicas: ids(&registration.replicas),
        isr: ids(&registration.isr),
        elr: eligible.then(|| ids(&registration.elr)),
        last_known_elr: eligible.then(|| {
            registration
                .last_known_elr
                .iter()
                .map(|server| server.0)
                .collect()
        }),
    }
}

impl Description {
    /// The lines of `kafka-topics --describe`, fields separated by tabulators as there.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for topic in &self.topics {
            text.push_str(&format!(
                "Topic: {}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}\n",
                topic.topic,
                topic.partitions.len(),
                topic.replication_factor,
                topic.configs.join(",")
            ));
            for partition in &topic.partitions {
                let eligible = |list: &Option<Vec<u16>>| list.as_deref().map_or("N/A".to_owned(), ids);
                text.push_str(&format!(
                    "\tTopic: {}\tPartition: {}\tLeader: {}\tReplicas: {}\tIsr: {}\tElr: {}\tLastKnownElr: {}\n",
                    topic.topic,
                    partition.partition,
                    partition
                        .leader
                        .map_or("none".to_owned(), |leader| leader.to_string()),
                    ids(&partition.replicas),
                    ids(&partition.isr),
                    eligible(&partition.elr),
                    eligible(&partition.last_known_elr)
                ));
            }
        }
        text
    }
}

fn ids(ids: &[u16]) -> String {
    let ids: Vec<String> = ids.iter().map(u16::to_string).collect();
    ids.join(",")
}
