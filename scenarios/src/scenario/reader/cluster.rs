//! The cluster: servers, features, topics, what machines and links can do.

use ktrial_models::config::{self, ConfigError, Features};
use ktrial_models::ids::ServerId;
use ktrial_models::specification::{Capacity, ServerSpecification};
use ktrial_sim::{Duration, Link};

use super::Reader;
use crate::file::{ScenarioFile, Text, TopicFile};
use crate::scenario::Topic;
use crate::span::{Span, parse_duration, parse_span};

/// Servers a scenario can have, brokers and controllers together: what the judges keep in one word of bits.
const MOST_SERVERS: u16 = 127;
/// Partitions a scenario can have, over all topics.
const MOST_PARTITIONS: u32 = 100_000;

impl Reader {
    pub(super) fn servers(&mut self, file: &ScenarioFile) -> Vec<ServerSpecification> {
        let cluster = &file.cluster;
        let (brokers, controllers) = (cluster.brokers.value, cluster.controllers.value);
        if brokers == 0 {
            self.refuse(&cluster.brokers, "a cluster without brokers", "give at least one");
        }
        if controllers == 0 {
            self.refuse(
                &cluster.controllers,
                "a cluster without controllers",
                "give at least one, or `combined: true` with as many of the brokers",
            );
        }
        if brokers.saturating_add(controllers) > MOST_SERVERS {
            let culprit = if brokers > controllers {
                &cluster.brokers
            } else {
                &cluster.controllers
            };
            self.refuse(
                culprit,
                format!("{} servers", culprit.value),
                "a scenario can have at most 127, brokers and controllers together",
            );
            return Vec::new();
        }
        if cluster.combined && controllers > brokers {
            self.refuse(
                &cluster.controllers,
                "more controllers than brokers in combined mode",
                "the first brokers are also the controllers",
            );
        }
        let dedicated = if cluster.combined { 0 } else { controllers };
        let racks = cluster.racks.len() as u16;
        (1..=brokers + dedicated)
            .map(|id| ServerSpecification {
                id: ServerId(id),
                broker: id <= brokers,
                controller: if cluster.combined {
                    id <= controllers
                } else {
                    id > brokers
                },
                rack: (racks > 0 && id <= brokers).then(|| (id - 1) % racks.max(1)),
            })
            .collect()
    }

    pub(super) fn features(&mut self, file: &ScenarioFile) -> Features {
        let mut features = Features::default();
        if let Some(release) = file
            .cluster
            .release
            .as_ref()
            .filter(|release| release.value != config::RELEASE)
        {
            self.refuse(
                release,
                format!("brokers of release {} are not modelled", release.value),
                "only 4.3 is; a cluster that came from an older release is `profile: upgraded`",
            );
        }
        if let Some(profile) = &file.cluster.profile {
            match Features::profile(&profile.value) {
                Ok(profile) => features = profile,
                Err(error) => self.refuse(profile, error.message, &error.remedy),
            }
        }
        for (name, level) in file.cluster.features.iter() {
            if let Err(error) = features.set(&name.value, &level.value) {
                self.refuse(level, error.message, &error.remedy);
            }
        }
        features
    }

    pub(super) fn topics(&mut self, file: &ScenarioFile) -> Vec<Topic> {
        let brokers = file.cluster.brokers.value;
        let mut total = 0u32;
        if file.topics.is_empty() {
            self.errors.push(ConfigError::at(
                &self.places.top(),
                "no topics",
                "declare at least one under `topics`",
            ));
        }
        let mut topics = Vec::new();
        for (name, topic) in &file.topics {
            let TopicFile {
                partitions,
                replication_factor,
                assignment,
                ..
            } = &topic.value;
            if partitions.value == 0 {
                self.refuse(
                    partitions,
                    format!("topic {name} with zero partitions"),
                    "Kafka refuses it (INVALID_PARTITIONS): give at least one",
                );
            }
            total = total.saturating_add(partitions.value);
            if total > MOST_PARTITIONS {
                self.refuse(
                    partitions,
                    "too many partitions",
                    "a scenario can have at most 100000",
                );
                return topics;
            }
            if replication_factor.value == 0 || replication_factor.value > brokers {
                let message = format!(
                    "topic {name}: replication.factor {} with {brokers} brokers",
                    replication_factor.value
                );
                self.refuse(
                    replication_factor,
                    message,
                    "Kafka refuses it (INVALID_REPLICATION_FACTOR): at least 1, at most one replica a broker",
                );
            }
            if let Some(assignment) = assignment {
                let fits = assignment.len() == partitions.value as usize
                    && assignment.iter().all(|replicas| {
                        let distinct = (1..replicas.len()).all(|at| !replicas[..at].contains(&replicas[at]));
                        distinct
                            && !replicas.is_empty()
                            && replicas.iter().all(|id| (1..=brokers).contains(id))
                    });
                if !fits {
                    self.refuse(
                        topic,
                        format!("topic {name}: the assignment does not fit"),
                        "give each partition a list of distinct broker ids",
                    );
                }
            }
            topics.push(Topic {
                name: name.clone(),
                partitions: partitions.value,
                replication_factor: replication_factor.value,
                assignment: assignment.as_ref().map(|partitions| {
                    partitions
                        .iter()
                        .map(|replicas| replicas.iter().map(|id| ServerId(*id)).collect())
                        .collect()
                }),
            });
        }
        topics
    }

    pub(super) fn capacity(&mut self, file: &ScenarioFile) -> Capacity {
        let default = Capacity::default();
        let mut range = |text: &Option<Text>, (least, most): (Duration, Duration)| {
            let span = self.read(text, Span { least, most }, parse_span);
            (span.least, span.most)
        };
        Capacity {
            process_start: range(&file.cluster.process_start, default.process_start),
            process_end: range(&file.cluster.process_end, default.process_end),
            flush: range(&file.cluster.flush, default.flush),
            client_start: range(&file.cluster.client_start, default.client_start),
            ..default
        }
    }

    pub(super) fn link(&mut self, file: &ScenarioFile) -> Link {
        let default = Link::default();
        let most = Duration(default.latency.0 + default.spread.0);
        let latency = self.read(
            &file.network.latency,
            Span {
                least: default.latency,
                most,
            },
            parse_span,
        );
        let measured = &file.network.smoothed_round_trip;
        Link {
            smoothed_round_trip: self.read(measured, default.smoothed_round_trip, parse_duration),
            latency: latency.least,
            spread: Duration(latency.most.0 - latency.least.0),
            congestion_window: file
                .network
                .congestion_window
                .unwrap_or(default.congestion_window),
            bytes_per_microsecond: file.network.bytes_per_microsecond,
            ..default
        }
    }
}
