//! From files, scenario and command line to what every node and client runs with.

mod builder;
mod given;
mod groups;
mod sizes;
mod topics;

pub use builder::{Cluster, SettingsBuilder};
use topics::Servers;

use super::catalogue::{Machinery, Scope, Treatment};
use super::effective::Values;
use super::features::{ALIKE_FROM, Features, METADATA_VERSION};
use super::problem::{ConfigError, Refusal, Warning};
use super::refusal::{self, Findings};
use super::report::{Note, Noted};
use super::synonyms;
use super::value::Value;
use super::view::{
    BrokerSettings, ControllerSettings, GroupSettings, MemberSettings, ProducerSettings, ReaderSettings,
    TopicSettings,
};

/// One topic's settings, as each role resolves them: topic override, cluster-wide value, the node's own
/// file, default.
#[derive(Clone, Debug)]
pub struct ResolvedTopic {
    /// Its name; none for any topic without overrides, such as the internal ones.
    pub name: Option<String>,
    /// What brokers act by: appends, acks, segments, retention.
    pub by_brokers: TopicSettings,
    /// What controllers act by: elections, eligible leader replicas.
    pub by_controllers: TopicSettings,
}

/// One group's own settings.
#[derive(Clone, Debug)]
pub struct ResolvedGroup {
    /// Its name.
    pub name: String,
    /// What its coordinator goes by.
    pub settings: GroupSettings,
}

/// One client's settings.
#[derive(Clone, Debug)]
pub struct ResolvedClient<T> {
    /// Its name in the scenario.
    pub name: Option<String>,
    /// What it runs with.
    pub settings: T,
}

/// What counts.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// Every broker.
    pub broker: BrokerSettings,
    /// Every controller.
    pub controller: ControllerSettings,
    /// In the order of [`Cluster::topics`].
    pub topics: Vec<ResolvedTopic>,
    /// Any other topic.
    pub other_topics: ResolvedTopic,
    /// In the order of [`Cluster::producers`]; at least one.
    pub producers: Vec<ResolvedClient<ProducerSettings>>,
    /// In the order of [`Cluster::consumers`]; at least one.
    pub readers: Vec<ResolvedClient<ReaderSettings>>,
    /// The same consumers as members of groups; none without groups.
    pub members: Vec<ResolvedClient<MemberSettings>>,
    /// Groups that have settings of their own; what brokers say counts for the others.
    pub groups: Vec<ResolvedGroup>,
    /// The finalized features.
    pub features: Features,
    /// The cluster-wide `min.insync.replicas` that exists with eligible leader replicas.
    pub cluster_min_insync_replicas: Option<u32>,
    /// Every effective value with its origin: broker, controller, topics (as those see them who act by a setting:
    /// brokers by most, controllers by `unclean.leader.election.enable`), producers, consumers, groups with settings of their own.
    pub values: Vec<Values>,
    /// What was set and does not simply count: replaced, inert, neutral, at its default, accepted.
    pub noted: Vec<Noted>,
    /// What a user should know.
    pub warnings: Vec<Warning>,
    /// Why Kafka would not start so; the first is the one it would show.
    pub refusals: Vec<Refusal>,
}

/// One resolution under way.
struct Work<'a> {
    builder: &'a SettingsBuilder,
    errors: Vec<ConfigError>,
    findings: Findings,
    noted: Vec<Noted>,
}

impl Work<'_> {
    fn resolve(&mut self) -> Resolution {
        let cluster = &self.builder.cluster;
        self.files_and_features();
        let broker = self.server(Scope::Broker);
        let controller = match cluster.combined {
            true => broker.as_seen_by(Scope::Controller),
            false => self.server(Scope::Controller),
        };
        self.sizes(&broker);
        refusal::heartbeat_against_session(&broker, &controller, &mut self.findings);
        let cluster_wide = self.cluster_wide(&broker, &controller);

        let mut values = vec![broker.clone(), controller.clone()];
        let servers = Servers {
            broker: &broker,
            controller: &controller,
            cluster_wide: cluster_wide.as_ref(),
        };
        let mut topics = Vec::new();
        for name in &cluster.topics {
            let (topic, seen) = self.topic(&servers, Some(name));
            topics.push(topic);
            values.push(seen);
        }
        let (other_topics, seen) = self.topic(&servers, None);
        values.push(seen);
        let producers = self.clients(
            Scope::Producer,
            &cluster.producers,
            refusal::producer,
            &mut values,
        );
        let producers = self.views(producers, ProducerSettings::from_values);
        let readers = self.clients(
            Scope::Consumer,
            &cluster.consumers,
            refusal::consumer,
            &mut values,
        );
        let members = match cluster.reaches.contains(&Machinery::Groups) {
            true => self.views(readers.clone(), MemberSettings::from_values),
            false => Vec::new(),
        };
        let readers = self.views(readers, ReaderSettings::from_values);
        let mut groups = Vec::new();
        for name in &cluster.groups {
            if let Some((group, own)) = self.group(&broker, name) {
                groups.push(group);
                values.push(own);
            }
        }
        self.leftover_permissions();

        Resolution {
            broker: BrokerSettings::from_values(&broker, &mut self.errors),
            controller: ControllerSettings::from_values(&controller, &mut self.errors),
            topics,
            other_topics,
            producers,
            readers,
            members,
            groups,
            features: cluster.features,
            cluster_min_insync_replicas: cluster_wide.and_then(|(text, _)| text.parse().ok()),
            values,
            noted: std::mem::take(&mut self.noted),
            warnings: std::mem::take(&mut self.findings.warnings),
            refusals: std::mem::take(&mut self.findings.refusals),
        }
    }

    fn files_and_features(&mut self) {
        for (_, file) in &self.builder.files {
            for lost in file.duplicates() {
                let message = format!("{} is given again below, and the last one counts", lost.key);
                self.findings.warnings.push(Warning {
                    place: Some(lost.key_place.clone()),
                    message,
                });
            }
        }
        if self.builder.cluster.combined {
            let server = |scope| self.builder.files.iter().find(|(known, _)| *known == scope);
            if let (Some((_, broker)), Some((_, controller))) =
                (server(Scope::Broker), server(Scope::Controller))
            {
                self.errors.push(ConfigError::anywhere(
                    format!(
                        "combined mode reads one file, and here are {} and {}",
                        broker.path, controller.path
                    ),
                    "give one of them, or let the scenario have dedicated controllers",
                ));
            }
        }
        for inline in &self.builder.inline {
            if let Some(name) = &inline.instance
                && let Err(error) = self.builder.known_instance(inline.scope, name)
            {
                self.errors.push(ConfigError {
                    place: Some(inline.place.clone()),
                    ..error
                });
            }
        }
        let features = self.builder.cluster.features;
        if features.act_as_before() && !self.builder.accepted.iter().any(|name| name == METADATA_VERSION) {
            let message = format!(
                "{METADATA_VERSION} {}: what servers do otherwise below {ALIKE_FROM} is not modelled, the trial would \
                 run as with 4.3-IV0",
                features.metadata_version
            );
            let remedy =
                format!("take a later one, or accept that with --allow-unmodelled {METADATA_VERSION}");
            self.errors
                .push(ConfigError::anywhere(message, remedy).acceptable(METADATA_VERSION));
        }
        for reason in self.builder.cluster.features.contradictions() {
            self.findings.refusals.push(Refusal {
                scope: Scope::Controller,
                instance: None,
                exception: "IllegalArgumentException",
                class: "Feature",
                reason,
                settings: Vec::new(),
            });
        }
    }

    fn server(&mut self, scope: Scope) -> Values {
        let combined = self.builder.cluster.combined;
        let given = self.given(scope, None);
        let mut values = self.fill(scope, None, given);
        refusal::server(&values, combined, &mut self.findings);
        if scope == Scope::Broker {
            refusal::broker_log_defaults(&values, &mut self.findings);
        }
        self.static_voters(&values);
        self.what_does_not_count(&values);
        self.note(&values);
        for setting in scope.settings() {
            if let Treatment::Replaced { by } = setting.treatment {
                values.replace(setting.name, by);
            }
        }
        values
    }

    /// What a file says and the node does not do.
    fn what_does_not_count(&mut self, values: &Values) {
        for (loses, counts) in synonyms::overruled(values) {
            let message = format!("{loses} does not count, because {counts} is set too");
            self.findings.warn(values, &[loses], message);
        }
        const DIRECTORIES: &str = "log.dirs";
        if let Value::List(directories) = &values.get(DIRECTORIES).value
            && directories.len() > 1
        {
            let message = format!(
                "{} log directories: a simulated node has one disk, which fails as a whole",
                directories.len()
            );
            self.findings.warn(values, &[DIRECTORIES], message);
        }
    }

    /// Files that list the voters come from a cluster formatted with `kraft.version` 0
    /// (`Formatter.effectiveKRaftFeatureLevel`), which loses more when a controller loses its disk.
    fn static_voters(&mut self, values: &Values) {
        const VOTERS: &str = "controller.quorum.voters";
        if values.is_set(VOTERS) && self.builder.cluster.features.kraft_version > 0 {
            let message = format!(
                "{VOTERS}: a cluster that lists its voters runs with kraft.version 0, the scenario has 1; \
                 set the feature in the scenario if yours does"
            );
            self.findings.warn(values, &[VOTERS], message);
        }
    }

    fn clients(
        &mut self,
        scope: Scope,
        names: &[String],
        check: fn(&mut Values, &mut Findings),
        all: &mut Vec<Values>,
    ) -> Vec<Values> {
        let names: Vec<Option<&str>> = match names {
            [] => vec![None],
            names => names.iter().map(|name| Some(name.as_str())).collect(),
        };
        let mut clients = Vec::new();
        for name in names {
            let given = self.given(scope, name);
            let mut values = self.fill(scope, name, given);
            check(&mut values, &mut self.findings);
            self.note(&values);
            for setting in scope.settings() {
                if let Treatment::Replaced { by } = setting.treatment {
                    values.replace(setting.name, by);
                }
            }
            all.push(values.clone());
            clients.push(values);
        }
        clients
    }

    fn views<T>(
        &mut self,
        clients: Vec<Values>,
        view: fn(&Values, &mut Vec<ConfigError>) -> T,
    ) -> Vec<ResolvedClient<T>> {
        let errors = &mut self.errors;
        let resolve = |values: Values| {
            let settings = view(&values, errors);
            ResolvedClient {
                name: values.instance,
                settings,
            }
        };
        clients.into_iter().map(resolve).collect()
    }

    fn leftover_permissions(&mut self) {
        for name in &self.builder.accepted {
            let used = self
                .noted
                .iter()
                .any(|noted| noted.name == *name && noted.note == Note::Accepted)
                || name == METADATA_VERSION && self.builder.cluster.features.act_as_before();
            if !used {
                let message = format!("--allow-unmodelled {name}: nothing sets it to anything unmodelled");
                self.findings.warnings.push(Warning { place: None, message });
            }
        }
    }
}
