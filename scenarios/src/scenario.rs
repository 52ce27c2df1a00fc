//! A scenario: a cluster, its clients and what happens to them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ktrial_models::config::catalogue::Scope;
use ktrial_models::config::{
    self, Cluster, ConfigError, Features, Origin, Place, Refusal, Resolution, SettingsBuilder, nearest,
};
use ktrial_models::cuts;
use ktrial_models::ids::{ServerId, Servers};
use ktrial_models::mutation::Mutations;
use ktrial_models::specification::{
    Capacity, ClusterSpecification, FeatureLevels, Groups, ProducerSpecification, ReaderSpecification,
    ServerSpecification, TopicSpecification,
};
use ktrial_sim::{Duration, Link};

use crate::assertion::{self, Assertions};
use crate::claim::{CounterArm, Shows};
use crate::fault::Faults;
use crate::fault_file::FaultReader;
pub use crate::file::ClaimFile as Claim;
use crate::file::{
    CounterFile, FaultFile, ProducerFile, RandomFile, ReaderFile, ScenarioFile, SettingsMap, Text, TopicFile,
};
use crate::input::read_file;
use crate::places::Places;
use crate::resolved::{FaultPlan, Resolved};
use crate::role::Mention;
use crate::script::{Action, Script, message_kinds};
use crate::span::{Span, parse_duration, parse_span};
use crate::workload::Workload;

/// Servers a scenario can have, brokers and controllers together: what the judges keep in one word of bits.
const MOST_SERVERS: u16 = 127;
/// Partitions a scenario can have, over all topics.
const MOST_PARTITIONS: u32 = 100_000;
/// Records a scenario can send, over all producers.
const MOST_RECORDS: u64 = 50_000_000;
/// The longest scenario.
const LONGEST: Duration = Duration::secs(7 * 86_400);
/// More than a cluster takes until its clients start.
const WARM_UP: Duration = Duration::secs(600);

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
    /// Arms it is meant to be compared in.
    pub vary: Vec<String>,
    /// What `ktrial test` asserts of it.
    pub assertions: Assertions,
    /// How long the clients work while faults happen.
    pub duration: Duration,
    idle: Span,
    quiesce: Duration,
    heal: Duration,
    servers: Vec<ServerSpecification>,
    racks: Vec<String>,
    features: Features,
    capacity: Capacity,
    link: Link,
    topics: Vec<Topic>,
    producers: Vec<(String, u16, Workload)>,
    readers: Vec<(String, Vec<u16>, Option<u16>)>,
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
        let file: ScenarioFile = serde_saphyr::from_str(text).map_err(|error| vec![places.syntax(&error)])?;
        let sources = Sources {
            name: path.to_owned(),
            text: text.to_owned(),
            files: Vec::new(),
            assignments: overrides.assignments.clone(),
            allow_unmodelled: overrides.allow_unmodelled.clone(),
        };
        Reader {
            places,
            errors: Vec::new(),
            sources,
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
        Some(self.with_counter_faults().arm(&assignments))
    }

    fn with_counter_faults(&self) -> Self {
        let mut scenario = self.clone();
        if let Some(faults) = self.counter.as_ref().and_then(|counter| counter.faults.as_ref()) {
            scenario.faults = Arc::clone(faults);
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

    /// Whether a script can be carried out in this scenario: it names only what there is.
    ///
    /// # Errors
    /// What it names and what is not there, entry by entry.
    pub fn check_script(&self, script: &Script) -> Result<(), Vec<ConfigError>> {
        let nodes = self.node_names();
        let mut bound: Vec<&str> = Vec::new();
        let mut wrong = Vec::new();
        for (number, entry) in script.entries.iter().enumerate() {
            let mut refuse = |message: String, remedy: String| {
                wrong.push(ConfigError::anywhere(
                    format!("script entry {number}: {message}"),
                    remedy,
                ));
            };
            for role in entry.action.roles() {
                role.mentions(&mut |mention| {
                    if let Some((message, remedy)) = self.check(mention, &nodes, &bound) {
                        refuse(message, remedy);
                    }
                });
            }
            match &entry.action {
                Action::Bind { name, .. } => bound.push(name),
                Action::Hold { kinds, .. } => {
                    if let Err(message) = message_kinds(kinds) {
                        refuse(message, String::new());
                    }
                }
                Action::OpenCut { cut, one_in, .. } if cuts::number(cut).is_none() || *one_in == 0 => {
                    refuse(format!("no cut {cut} that opens once in {one_in}"), String::new());
                }
                _ => {}
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The same scenario without faults.
    pub fn without_faults(mut self) -> Self {
        self.faults = Arc::new(Faults::default());
        self
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
        let cluster = Arc::new(ClusterSpecification {
            servers: self.servers.clone(),
            topics: topics.collect(),
            groups: Groups::new(Vec::new(), &settings.broker, settings.other_topics.by_brokers),
            features: FeatureLevels {
                eligible_leader_replicas: self.features.eligible_leader_replicas_version.into(),
                kraft: self.features.kraft_version.into(),
                transaction: self.features.transaction_version.into(),
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

/// More bytes than the producers of a trial can leave in one partition: every record in a batch of its own, and
/// written four times.
fn most_bytes(producers: &[(String, u16, Workload)], duration: Duration) -> u64 {
    let of = |(_, _, workload): &(String, u16, Workload)| {
        let records =
            (duration.0 / workload.interval.0.max(1)).min(workload.count.map_or(u64::MAX, u64::from));
        records.saturating_mul(4 * (u64::from(workload.bytes) + 100))
    };
    producers.iter().map(of).fold(0, u64::saturating_add)
}

struct Reader {
    places: Places,
    errors: Vec<ConfigError>,
    sources: Sources,
}

impl Reader {
    fn refuse<T>(&mut self, value: &serde_saphyr::Spanned<T>, message: impl Into<String>, remedy: &str) {
        self.errors.push(self.places.error(value, message, remedy));
    }

    fn read<T>(
        &mut self,
        text: &Option<Text>,
        default: T,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(text) = text else { return default };
        match read(&text.value) {
            Ok(value) => value,
            Err(message) => {
                self.refuse(text, message, "");
                default
            }
        }
    }

    fn scenario(
        mut self,
        file: ScenarioFile,
        directory: &Path,
        overrides: &Overrides,
    ) -> Result<Scenario, Vec<ConfigError>> {
        let servers = self.servers(&file);
        let racks = file.cluster.racks.clone();
        let features = self.features(&file);
        let topic_names: Vec<String> = file.topics.keys().cloned().collect();
        let topics = self.topics(&file);
        let producers = self.producers(&file, &topic_names);
        let readers = self.readers(&file, &topic_names, &racks);
        let capacity = self.capacity(&file);
        let link = self.link(&file);
        let duration = self.read(&Some(file.duration.clone()), Duration::ZERO, parse_duration);
        if duration > LONGEST {
            self.refuse(&file.duration, "longer than a week", "give a shorter duration");
        }
        let idle = self.read(&file.cluster.idle, Span::exactly(Duration::ZERO), parse_span);
        let quiesce = self.read(&file.quiesce, Duration::ZERO, parse_duration);
        let heal = self.read(&file.heal, Duration::secs(180), parse_duration);
        self.check_amount(&file, &producers, duration);
        let faults = self.faults(&file.faults, &file.random);
        let mut settings = self.settings(&file, features, directory, overrides, &topic_names);
        let shows = self.shows(&file.shows);
        let place = self.places.of(&file.scenario);
        let assertions = assertion::read(file.assert.as_ref(), &place, &self.places, &mut self.errors);
        let counter = self.counter(&file, &faults, &settings);
        let other = counter.as_ref().and_then(|counter| counter.faults.as_deref());
        let lasts = match faults.move_clocks() || other.is_some_and(Faults::move_clocks) {
            true => LONGEST,
            false => WARM_UP
                .saturating_add(duration)
                .saturating_add(quiesce)
                .saturating_add(heal),
        };
        settings.trial(lasts, most_bytes(&producers, duration));
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let scenario = Scenario {
            name: file.scenario.value,
            place,
            about: file.about.trim().to_owned(),
            claim: file.claim,
            shows,
            counter,
            vary: file.vary.into_iter().map(|text| text.value).collect(),
            assertions,
            duration,
            idle,
            quiesce,
            heal,
            servers,
            racks,
            features,
            capacity,
            link,
            topics,
            producers,
            readers,
            faults: Arc::new(faults),
            settings,
            mutations: Mutations::default(),
            sources: self.sources,
        };
        scenario.check_mentions(&self.places)?;
        scenario.with_counter_faults().check_mentions(&self.places)?;
        Ok(scenario)
    }

    fn servers(&mut self, file: &ScenarioFile) -> Vec<ServerSpecification> {
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

    fn features(&mut self, file: &ScenarioFile) -> Features {
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
        for (name, level) in &file.cluster.features {
            if let Err(error) = features.set(name, &level.value) {
                self.refuse(level, error.message, &error.remedy);
            }
        }
        features
    }

    fn topics(&mut self, file: &ScenarioFile) -> Vec<Topic> {
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

    fn topic_number(&mut self, text: &Text, topics: &[String]) -> u16 {
        if let Some(number) = topics.iter().position(|name| *name == text.value) {
            return number as u16;
        }
        let hint = nearest(&text.value, topics.iter().map(String::as_str))
            .map_or(String::new(), |name| format!("did you mean {name}?"));
        self.refuse(text, format!("no topic {}", text.value), &hint);
        0
    }

    fn client_library(&mut self, client: &Option<Text>) {
        let Some(client) = client else { return };
        if client.value != "java" {
            self.refuse(client, format!("the client {} is not modelled", client.value), "only Kafka's Java client of 4.3 is (`client: java`); librdkafka orders its retries in another way and will be a model of its own");
        }
    }

    fn producers(&mut self, file: &ScenarioFile, topics: &[String]) -> Vec<(String, u16, Workload)> {
        let mut producers = Vec::new();
        for (name, producer) in &file.producers {
            let ProducerFile {
                topic,
                client,
                rate,
                count,
                bytes,
                numbered,
                keys,
                ..
            } = &producer.value;
            self.client_library(client);
            if rate.value == 0 || rate.value > 1_000_000 {
                self.refuse(
                    rate,
                    format!("producer {name}: {} records a second", rate.value),
                    "give a rate from 1 to 1000000",
                );
            }
            let workload = Workload {
                interval: Duration(1_000_000_000 / u64::from(rate.value.max(1))),
                count: *count,
                bytes: *bytes,
                numbered: *numbered,
                keys: *keys,
            };
            producers.push((name.clone(), self.topic_number(topic, topics), workload));
        }
        producers
    }

    fn readers(
        &mut self,
        file: &ScenarioFile,
        topics: &[String],
        racks: &[String],
    ) -> Vec<(String, Vec<u16>, Option<u16>)> {
        let mut readers = Vec::new();
        for (name, reader) in &file.readers {
            let ReaderFile {
                topics: of,
                client,
                rack,
                ..
            } = &reader.value;
            self.client_library(client);
            let of = of.iter().map(|topic| self.topic_number(topic, topics)).collect();
            let rack = rack.as_ref().and_then(|rack| {
                let number = racks.iter().position(|known| *known == rack.value);
                if number.is_none() {
                    self.refuse(
                        rack,
                        format!("no rack {}", rack.value),
                        "name one of cluster.racks",
                    );
                }
                number.map(|number| number as u16)
            });
            readers.push((name.clone(), of, rack));
        }
        readers
    }

    fn capacity(&mut self, file: &ScenarioFile) -> Capacity {
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

    fn link(&mut self, file: &ScenarioFile) -> Link {
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
        Link {
            latency: latency.least,
            spread: Duration(latency.most.0 - latency.least.0),
            bytes_per_microsecond: file.network.bytes_per_microsecond,
            ..default
        }
    }

    fn check_amount(
        &mut self,
        file: &ScenarioFile,
        producers: &[(String, u16, Workload)],
        duration: Duration,
    ) {
        let records: u64 = producers
            .iter()
            .map(|(_, _, workload)| {
                (duration.0 / workload.interval.0.max(1)).min(workload.count.map_or(u64::MAX, u64::from))
            })
            .sum();
        if records > MOST_RECORDS {
            self.refuse(
                &file.duration,
                format!("{records} records"),
                "a trial can send at most 50000000: give lower rates or a shorter duration",
            );
        }
    }

    fn faults(
        &mut self,
        declared: &[serde_saphyr::Spanned<FaultFile>],
        random: &[serde_saphyr::Spanned<RandomFile>],
    ) -> Faults {
        let reader = FaultReader { places: &self.places };
        let mut faults = Faults::default();
        for fault in declared {
            let here = Text {
                value: String::new(),
                referenced: fault.referenced,
                defined: fault.defined,
            };
            match reader.declared(&fault.value, &here) {
                Ok(declared) => faults.declared.extend(declared),
                Err(error) => self.errors.push(error),
            }
        }
        for random in random {
            match reader.random(&random.value) {
                Ok(random) => faults.random.push(random),
                Err(error) => self.errors.push(error),
            }
        }
        faults
    }

    fn shows(&mut self, texts: &[Text]) -> Vec<Shows> {
        let mut shows = Vec::new();
        for text in texts {
            match Shows::parse(&text.value) {
                Ok(shown) => shows.push(shown),
                Err(message) => self.refuse(text, message, ""),
            }
        }
        shows
    }

    /// The counter-arm, which must be one step away: that is what makes it say something.
    fn counter(
        &mut self,
        file: &ScenarioFile,
        faults: &Faults,
        settings: &SettingsBuilder,
    ) -> Option<CounterArm> {
        let here = file.counter.as_ref()?;
        let CounterFile {
            set,
            faults: declared,
            random,
            shows,
        } = &here.value;
        let other = (declared.is_some() || random.is_some()).then(|| {
            self.faults(
                declared.as_deref().unwrap_or(&file.faults),
                random.as_deref().unwrap_or(&file.random),
            )
        });
        let steps = usize::from(set.is_some()) + other.as_ref().map_or(0, |other| faults.differences(other));
        if steps != 1 {
            self.refuse(
                here,
                format!("the counter-arm differs in {steps} settings and faults"),
                "let it differ in one: give `set: NAME=VALUE`, or all `faults` (or `random`) with one entry changed",
            );
        }
        if let Some(set) = set
            && let Err(error) = settings.clone().set(&set.value)
        {
            self.errors.push(error);
        }
        Some(CounterArm {
            assignment: set.as_ref().map(|text| text.value.clone()),
            faults: other.map(Arc::new),
            shows: self.shows(shows),
        })
    }

    fn settings(
        &mut self,
        file: &ScenarioFile,
        features: Features,
        directory: &Path,
        overrides: &Overrides,
        topics: &[String],
    ) -> SettingsBuilder {
        let mut builder = SettingsBuilder::new(Cluster {
            combined: file.cluster.combined,
            features,
            reaches: Vec::new(),
            topics: topics.to_vec(),
            producers: file.producers.keys().cloned().collect(),
            consumers: file.readers.keys().cloned().collect(),
        });
        self.files(&mut builder, file, directory, overrides);
        let scopes: [(Scope, &SettingsMap); 5] = [
            (Scope::Broker, &file.settings.broker),
            (Scope::Controller, &file.settings.controller),
            (Scope::Producer, &file.settings.producer),
            (Scope::Consumer, &file.settings.consumer),
            (Scope::Topic, &file.settings.topic),
        ];
        for (scope, settings) in scopes {
            self.inline(&mut builder, scope, None, settings);
        }
        for (name, topic) in &file.topics {
            self.inline(&mut builder, Scope::Topic, Some(name), &topic.value.config);
        }
        for (name, producer) in &file.producers {
            self.inline(
                &mut builder,
                Scope::Producer,
                Some(name),
                &producer.value.settings,
            );
        }
        for (name, reader) in &file.readers {
            self.inline(&mut builder, Scope::Consumer, Some(name), &reader.value.settings);
        }
        for name in file.accept_unmodelled.iter().chain(&overrides.allow_unmodelled) {
            builder.allow_unmodelled(name);
        }
        for assignment in &overrides.assignments {
            if let Err(error) = builder.set(assignment) {
                self.errors.push(error);
            }
        }
        builder
    }

    fn inline(
        &self,
        builder: &mut SettingsBuilder,
        scope: Scope,
        instance: Option<&str>,
        settings: &SettingsMap,
    ) {
        for (name, value) in settings {
            builder.inline(scope, instance, name, &value.value, self.places.of(value));
        }
    }

    fn files(
        &mut self,
        builder: &mut SettingsBuilder,
        file: &ScenarioFile,
        directory: &Path,
        overrides: &Overrides,
    ) {
        let include = &file.include;
        let included = [
            (Scope::Broker, &include.broker),
            (Scope::Controller, &include.controller),
            (Scope::Producer, &include.producer),
            (Scope::Consumer, &include.consumer),
            (Scope::Topic, &include.topic),
        ];
        for (scope, text) in included {
            let given = overrides
                .files
                .iter()
                .find(|(known, _)| *known == scope)
                .map(|(_, path)| path.clone());
            let path = given
                .clone()
                .or_else(|| text.as_ref().map(|text| directory.join(&text.value)));
            let known = overrides.contents.iter().find(|(known, _)| *known == scope);
            if path.is_none() && known.is_none() {
                continue;
            }
            let path = path.unwrap_or_default();
            let shown = known.map_or_else(|| path.display().to_string(), |(_, file)| file.path.clone());
            let bytes = known.map_or_else(|| read_file(&path), |(_, file)| Ok(file.bytes.clone()));
            let read = bytes.map_err(|error| {
                let message = format!("cannot read {shown}: {error}");
                match text {
                    Some(text) if given.is_none() => {
                        self.places
                            .error(text, message, "paths are relative to the scenario")
                    }
                    _ => ConfigError::anywhere(message, ""),
                }
            });
            let outcome = read
                .and_then(|bytes| {
                    let properties = config::properties::read(&shown, &bytes);
                    let path = shown.clone();
                    self.sources.files.push((scope, PropertyFile { path, bytes }));
                    properties
                })
                .and_then(|properties| builder.file(scope, properties).map(|_| ()));
            if let Err(error) = outcome {
                self.errors.push(error);
            }
        }
    }
}

impl Scenario {
    /// Roles must name nodes, racks, partitions and bindings that exist.
    fn check_mentions(&self, places: &Places) -> Result<(), Vec<ConfigError>> {
        let nodes = self.node_names();
        let mut bound: Vec<&str> = Vec::new();
        let mut wrong = Vec::new();
        let declared = self.faults.declared.iter().map(|fault| &fault.action);
        for action in declared {
            for role in action.roles() {
                role.mentions(&mut |mention| wrong.extend(self.check(mention, &nodes, &bound)));
            }
            if let crate::script::Action::Bind { name, .. } = action {
                bound.push(name);
            }
        }
        for random in &self.faults.random {
            random
                .on
                .mentions(&mut |mention| wrong.extend(self.check(mention, &nodes, &bound)));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(wrong
            .into_iter()
            .map(|(message, remedy)| ConfigError::at(&places.top(), format!("faults: {message}"), remedy))
            .collect())
    }

    fn check(&self, mention: Mention<'_>, nodes: &[String], bound: &[&str]) -> Option<(String, String)> {
        let suggest = |name: &str, names: &mut dyn Iterator<Item = &str>| {
            nearest(name, names).map_or(String::new(), |near| format!("did you mean {near}?"))
        };
        match mention {
            Mention::Node(name) if !nodes.iter().any(|known| known == name) => Some((
                format!("no node {name}"),
                suggest(name, &mut nodes.iter().map(String::as_str)),
            )),
            Mention::Bound(name) if !bound.contains(&name) => Some((
                format!("${name} is not bound by an earlier `let`"),
                suggest(name, &mut bound.iter().copied()),
            )),
            Mention::Rack(name) if !self.racks.iter().any(|known| known == name) => {
                Some((format!("no rack {name}"), "name one of cluster.racks".to_owned()))
            }
            Mention::Partition(partition) => {
                let topic = self.topics.iter().find(|topic| topic.name == partition.topic);
                match topic {
                    Some(topic) if partition.index < topic.partitions => None,
                    _ => Some((
                        format!("no partition {partition}"),
                        "partitions are named TOPIC-NUMBER, from 0".to_owned(),
                    )),
                }
            }
            _ => None,
        }
    }

    /// Names of all nodes, as faults can use them.
    pub fn node_names(&self) -> Vec<String> {
        let (mut brokers, mut controllers) = (0, 0);
        let servers = self.servers.iter().map(|server| {
            let (prefix, count) = if server.broker {
                ("b", &mut brokers)
            } else {
                ("c", &mut controllers)
            };
            *count += 1;
            format!("{prefix}{count}")
        });
        let mut names: Vec<String> = servers.collect();
        names.extend(self.producers.iter().map(|(name, ..)| name.clone()));
        names.extend(self.readers.iter().map(|(name, ..)| name.clone()));
        names
    }
}
