//! A scenario: a cluster, its clients and what happens to them.

mod mentions;
mod reader;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ktrial_models::config::catalogue::Scope;
use ktrial_models::config::{ConfigError, Features, Origin, Place, Refusal, Resolution, SettingsBuilder};
use ktrial_models::ids::Servers;
use ktrial_models::mutation::Mutations;
use ktrial_models::specification::{
    Capacity, ClusterSpecification, FeatureLevels, Groups, ProducerSpecification, ReaderSpecification,
    ServerSpecification, TopicSpecification,
};
use ktrial_sim::{Duration, Link};

use self::reader::Reader;
use crate::assertion::Assertions;
use crate::claim::{CounterArm, Shows};
use crate::consumers::{self, DeclaredConsumers};
use crate::fault::Faults;
pub use crate::file::ClaimFile as Claim;
use crate::file::ScenarioFile;
use crate::places::Places;
use crate::resolved::{FaultPlan, Resolved};
use crate::span::Span;
use crate::workload::Workload;

/// A scenario as read, before settings are resolved.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// What it is about.
    pub about: String,
    /// The claim it puts on trial.
    pub claim: Option<Claim>,
    /// What its trials show.
    pub shows: Vec<Shows>,
    /// The arm in which they show something else.
    pub counter: Option<CounterArm>,
    /// The arms it declares, by name: it is compared in them.
    pub arms: Vec<String>,
    /// Arms it is meant to be compared in.
    pub vary: Vec<String>,
    /// What `ktrial test` asserts of it.
    pub assertions: Assertions,
    /// How long the clients work while faults happen.
    pub duration: Duration,
    idle: Span,
    quiesce: Duration,
    heal: Option<Duration>,
    servers: Vec<ServerSpecification>,
    racks: Vec<String>,
    features: Features,
    capacity: Capacity,
    link: Link,
    topics: Vec<Topic>,
    producers: Vec<(String, u16, Workload)>,
    readers: Vec<(String, Vec<u16>, Option<u16>)>,
    consumers: Vec<DeclaredConsumers>,
    faults: Arc<Faults>,
    settings: SettingsBuilder,
    mutations: Mutations,
    sources: Sources,
}

/// What a scenario was read from: enough to read it again where its files are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The scenario as messages name it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The property files that count, by scope.
    pub files: Vec<(Scope, PropertyFile)>,
    /// Which of its arms it is; none: as it is without them.
    pub arm: Option<String>,
    /// `--set` assignments.
    pub assignments: Vec<String>,
    /// `--allow-unmodelled` names.
    pub allow_unmodelled: Vec<String>,
}

/// A property file's name and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyFile {
    /// As messages name it.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Topic {
    name: String,
    partitions: u32,
    replication_factor: u16,
    assignment: Option<Vec<Servers>>,
}

/// What the command line adds to a scenario.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Property files by scope, in place of what the scenario includes.
    pub files: Vec<(Scope, PathBuf)>,
    /// Property files whose content is known; these come before `files`.
    pub contents: Vec<(Scope, PropertyFile)>,
    /// Which of its arms is wanted.
    pub arm: Option<String>,
    /// `--set` assignments.
    pub assignments: Vec<String>,
    /// `--allow-unmodelled` names.
    pub allow_unmodelled: Vec<String>,
}

/// A scenario with resolved settings, or what Kafka itself refuses about them.
#[derive(Clone, Debug)]
pub struct Arm {
    /// All effective values with their origins, warnings, refusals.
    pub settings: Resolution,
    /// What trials run with, unless refused.
    pub resolved: Arc<Resolved>,
}

impl Arm {
    /// Why Kafka would not start like this.
    pub fn refusals(&self) -> &[Refusal] {
        &self.settings.refusals
    }
}

impl Scenario {
    /// Reads a scenario. `path` names it in messages; includes are relative to `directory`.
    ///
    /// # Errors
    /// Everything that is wrong with it, with place and remedy.
    pub fn read(
        path: &str,
        text: &str,
        directory: &Path,
        overrides: &Overrides,
    ) -> Result<Scenario, Vec<ConfigError>> {
        let places = Places::new(path);
        let file: ScenarioFile = places.read(text).map_err(|error| vec![error])?;
        let sources = Sources {
            name: path.to_owned(),
            text: text.to_owned(),
            files: Vec::new(),
            arm: overrides.arm.clone(),
            assignments: overrides.assignments.clone(),
            allow_unmodelled: overrides.allow_unmodelled.clone(),
        };
        Reader {
            places,
            errors: Vec::new(),
            sources,
            duration: Duration::ZERO,
        }
        .scenario(file, directory, overrides)
    }

    /// The scenario with further assignments, as an arm of a comparison has them.
    ///
    /// # Errors
    /// Assignments that mean nothing, settings that are not known or not modelled.
    pub fn arm(&self, assignments: &[String]) -> Result<Arm, Vec<ConfigError>> {
        let mut builder = self.settings.clone();
        for assignment in assignments {
            builder.set(assignment).map_err(|error| vec![error])?;
        }
        let settings = builder.resolve()?;
        let members = &settings.members[self.first_member()..];
        if let Some((message, remedy)) = consumers::instances_in_doubt(&self.consumers, members) {
            return Err(vec![ConfigError::anywhere(message, remedy)]);
        }
        let resolved = Arc::new(self.resolved(&settings));
        Ok(Arm { settings, resolved })
    }

    /// The counter-arm of a claim, if there is one.
    ///
    /// # Errors
    /// As [`Scenario::arm`].
    pub fn counter_arm(&self) -> Option<Result<Arm, Vec<ConfigError>>> {
        let counter = self.counter.as_ref()?;
        let assignments: Vec<String> = counter.assignment.iter().cloned().collect();
        Some(self.as_counter_arm().arm(&assignments))
    }

    fn as_counter_arm(&self) -> Self {
        let mut scenario = self.clone();
        let Some(counter) = &self.counter else {
            return scenario;
        };
        if let Some(faults) = &counter.faults {
            scenario.faults = Arc::clone(faults);
        }
        if let Some(consumers) = &counter.consumers {
            scenario.consumers.clone_from(consumers);
        }
        scenario
    }

    /// The same scenario with deliberate deviations from Kafka, for testing the judges.
    pub fn mutated(mut self, mutations: Mutations) -> Self {
        self.mutations = mutations;
        self
    }

    /// What it was read from.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The same scenario without faults.
    pub fn without_faults(mut self) -> Self {
        self.faults = Arc::new(Faults::default());
        self
    }

    /// Without groups nobody is a member; else members stand behind the readers, as consumers do.
    fn first_member(&self) -> usize {
        match self.consumers.is_empty() {
            true => 0,
            false => self.readers.len(),
        }
    }

    fn resolved(&self, settings: &Resolution) -> Resolved {
        let topics = self.topics.iter().zip(&settings.topics).map(|(topic, resolved)| {
            let name = resolved.name.as_deref();
            let of_topic = |setting: &str| {
                settings
                    .values
                    .iter()
                    .find(|values| values.scope == Scope::Topic && values.instance.as_deref() == name)
                    .and_then(|values| values.find(setting))
                    .is_some_and(|effective| matches!(effective.origin, Origin::TopicOverride(_)))
            };
            TopicSpecification {
                name: topic.name.clone(),
                partitions: topic.partitions,
                replication_factor: topic.replication_factor,
                assignment: topic.assignment.clone(),
                min_insync_replicas: of_topic("min.insync.replicas")
                    .then_some(resolved.by_brokers.min_insync_replicas),
                unclean_leader_election_enable: of_topic("unclean.leader.election.enable")
                    .then_some(resolved.by_controllers.unclean_leader_election_enable),
                settings: resolved.by_brokers,
            }
        });
        let first = self.first_member();
        let members = &settings.members[first..];
        let names = consumers::groups(&self.consumers);
        let groups = Groups {
            clients: consumers::clients(&self.consumers, members),
            configs: consumers::configs(&names, &settings.groups),
            ..Groups::new(names, &settings.broker, settings.other_topics.by_brokers)
        };
        let cluster = Arc::new(ClusterSpecification {
            servers: self.servers.clone(),
            topics: topics.collect(),
            groups,
            features: FeatureLevels {
                eligible_leader_replicas: self.features.eligible_leader_replicas_version.into(),
                kraft: self.features.kraft_version.into(),
                transaction: self.features.transaction_version.into(),
                group: self.features.group_version.into(),
            },
            broker: settings.broker,
            controller: settings.controller,
            capacity: self.capacity,
            mutations: self.mutations,
        });
        let bootstrap: Servers = self
            .servers
            .iter()
            .filter(|server| server.broker)
            .map(|server| server.id)
            .collect();
        let producers =
            self.producers
                .iter()
                .zip(&settings.producers)
                .map(|((name, topic, workload), resolved)| {
                    let specification = ProducerSpecification {
                        name: name.clone(),
                        settings: resolved.settings.clone(),
                        topic: *topic,
                        bootstrap: bootstrap.clone(),
                        workload: Arc::new([]),
                    };
                    (specification, workload.clone())
                });
        let consumers = consumers::specifications(
            &self.consumers,
            &settings.readers[first..],
            members,
            &settings.producers[self.producers.len()..],
            &cluster.groups,
            &bootstrap,
        );
        let readers = self
            .readers
            .iter()
            .zip(&settings.readers)
            .map(|((name, topics, rack), resolved)| ReaderSpecification {
                name: name.clone(),
                settings: resolved.settings.clone(),
                rack: *rack,
                topics: topics.clone(),
                bootstrap: bootstrap.clone(),
            });
        Resolved {
            scenario: self.name.clone(),
            cluster,
            producers: producers.collect(),
            readers: readers.collect(),
            consumers,
            idle_consumers: consumers::idle(&self.consumers),
            starts: consumers::starts(&self.consumers),
            racks: self.racks.clone(),
            link: self.link,
            idle: self.idle,
            duration: self.duration,
            quiesce: self.quiesce,
            heal: self.heal,
            faults: FaultPlan::Drawn(Arc::clone(&self.faults)),
        }
    }
}
