//! From files, scenario and command line to what every node and client runs with.

use std::borrow::Cow;
use std::sync::Arc;

use super::assignment::{Assignment, Target};
use super::catalogue::{Kind, Machinery, Scope};
use super::effective::Values;
use super::features::Features;
use super::nearest::nearest;
use super::place::{Origin, Place};
use super::problem::{ConfigError, Refusal, Warning};
use super::properties::PropertiesFile;
use super::refusal::{self, Findings};
use super::report::{Note, Noted, classify};
use super::synonyms;
use super::unknown;
use super::value::{self, Invalid, Value};
use super::view::{BrokerSettings, ControllerSettings, ProducerSettings, ReaderSettings, TopicSettings};

/// What the scenario says about the cluster, as far as settings depend on it.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Whether one process is broker and controller.
    pub combined: bool,
    /// The finalized features.
    pub features: Features,
    /// Machinery that something in the scenario uses.
    pub reaches: Vec<Machinery>,
    /// Names of the topics.
    pub topics: Vec<String>,
    /// Names of the producers; none: one without a name.
    pub producers: Vec<String>,
    /// Names of the readers; none: one without a name.
    pub consumers: Vec<String>,
}

/// Gathers what was said; [`SettingsBuilder::resolve`] decides what counts. Cloned for each arm of a
/// comparison.
#[derive(Clone, Debug, Default)]
pub struct SettingsBuilder {
    cluster: Cluster,
    files: Vec<(Scope, PropertiesFile)>,
    inline: Vec<Inline>,
    assignments: Vec<Assignment>,
    accepted: Vec<String>,
}

/// A value written in the scenario.
#[derive(Clone, Debug)]
struct Inline {
    scope: Scope,
    instance: Option<String>,
    name: String,
    value: String,
    place: Place,
}

/// One value that somebody gave.
struct Given {
    name: String,
    value: String,
    origin: Origin,
}

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
    /// The finalized features.
    pub features: Features,
    /// The cluster-wide `min.insync.replicas` that exists with eligible leader replicas.
    pub cluster_min_insync_replicas: Option<u32>,
    /// Every effective value with its origin: broker, controller, topics (as brokers see them), producers,
    /// consumers.
    pub values: Vec<Values>,
    /// What was set and does not simply count: replaced, inert, neutral, at its default, accepted.
    pub noted: Vec<Noted>,
    /// What a user should know.
    pub warnings: Vec<Warning>,
    /// Why Kafka would not start so; the first is the one it would show.
    pub refusals: Vec<Refusal>,
}

impl SettingsBuilder {
    /// For a cluster as the scenario describes it.
    pub fn new(cluster: Cluster) -> Self {
        SettingsBuilder {
            cluster,
            ..SettingsBuilder::default()
        }
    }

    /// The file of every node, topic or client of a scope.
    ///
    /// # Errors
    /// There is one already, or its `process.roles` says that it is for the other role.
    pub fn file(&mut self, scope: Scope, file: PropertiesFile) -> Result<&mut Self, ConfigError> {
        let word = scope.word();
        if let Some((_, first)) = self.files.iter().find(|(known, _)| *known == scope) {
            let message = format!("a second {word} file, {} after {}", file.path, first.path);
            return Err(ConfigError::anywhere(
                message,
                format!("give one file for each {word}"),
            ));
        }
        let roles = file.effective().find(|entry| entry.key == "process.roles");
        if let Some(roles) = roles.filter(|_| matches!(scope, Scope::Broker | Scope::Controller))
            && !roles.value.split(',').any(|role| value::trim(role) == word)
        {
            return Err(ConfigError::at(
                &roles.value_place,
                format!(
                    "process.roles={}: this file is not for a {word}",
                    value::trim(&roles.value)
                ),
                "give the file of the right role",
            ));
        }
        self.files.push((scope, file));
        Ok(self)
    }

    /// A value written in the scenario, for all of a scope or for one topic or client.
    pub fn inline(
        &mut self,
        scope: Scope,
        instance: Option<&str>,
        name: &str,
        value: &str,
        place: Place,
    ) -> &mut Self {
        let instance = instance.map(str::to_string);
        self.inline.push(Inline {
            scope,
            instance,
            name: name.to_string(),
            value: value.to_string(),
            place,
        });
        self
    }

    /// `--set NAME=VALUE`; stronger than everything else, and among themselves the narrower, then the later.
    ///
    /// # Errors
    /// See [`Assignment::parse`]; also a topic or client that the scenario does not have.
    pub fn set(&mut self, text: &str) -> Result<&mut Self, ConfigError> {
        let assignment = Assignment::parse(text)?;
        if let Target::Instance(scope, name) = &assignment.target {
            self.known_instance(*scope, name)?;
        }
        self.assignments.push(assignment);
        Ok(self)
    }

    /// `--allow-unmodelled NAME`.
    pub fn allow_unmodelled(&mut self, name: &str) -> &mut Self {
        self.accepted.push(name.to_string());
        self
    }

    fn known_instance(&self, scope: Scope, name: &str) -> Result<(), ConfigError> {
        let known = match scope {
            Scope::Topic => &self.cluster.topics,
            Scope::Producer => &self.cluster.producers,
            Scope::Consumer => &self.cluster.consumers,
            Scope::Broker | Scope::Controller => return Ok(()),
        };
        if known.iter().any(|one| one == name) {
            return Ok(());
        }
        let message = format!("no {} {name} in the scenario", scope.word());
        let remedy = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => format!(
                "the scenario has {}",
                if known.is_empty() { "none" } else { "others" }
            ),
        };
        Err(ConfigError::anywhere(message, remedy))
    }

    /// Decides.
    ///
    /// # Errors
    /// All bad input at once: unknown names, trailing comments, values that ktrial cannot run, settings
    /// that are not modelled and not accepted. What Kafka refuses is no error but in
    /// [`Resolution::refusals`].
    pub fn resolve(&self) -> Result<Resolution, Vec<ConfigError>> {
        let mut work = Work {
            builder: self,
            errors: Vec::new(),
            findings: Findings::none(),
            noted: Vec::new(),
        };
        let resolution = work.resolve();
        if work.errors.is_empty() {
            Ok(resolution)
        } else {
            Err(work.errors)
        }
    }
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
        let readers = self.views(readers, ReaderSettings::from_values);
        self.leftover_permissions();

        Resolution {
            broker: BrokerSettings::from_values(&broker, &mut self.errors),
            controller: ControllerSettings::from_values(&controller, &mut self.errors),
            topics,
            other_topics,
            producers,
            readers,
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

    /// The file that serves a role: its own; in combined mode whichever there is; and a file for both
    /// roles also serves dedicated controllers.
    fn server_file(&self, scope: Scope) -> Option<&PropertiesFile> {
        let of = |scope| {
            self.builder
                .files
                .iter()
                .find(|(known, _)| *known == scope)
                .map(|(_, file)| file)
        };
        let other = match scope {
            Scope::Broker => Scope::Controller,
            _ => Scope::Broker,
        };
        of(scope).or_else(|| {
            of(other).filter(|file| {
                self.builder.cluster.combined
                    || file.effective().any(|entry| {
                        entry.key == "process.roles"
                            && entry
                                .value
                                .split(',')
                                .any(|role| value::trim(role) == scope.word())
                    })
            })
        })
    }

    fn server(&mut self, scope: Scope) -> Values {
        let combined = self.builder.cluster.combined;
        let given = self.given(scope, None);
        let mut values = self.fill(scope, None, given);
        refusal::server(&values, combined, &mut self.findings);
        if scope == Scope::Broker {
            refusal::broker_log_defaults(&values, &mut self.findings);
        }
        self.note(&values);
        for setting in scope.settings() {
            if let super::catalogue::Treatment::Replaced { by } = setting.treatment {
                values.replace(setting.name, by);
            }
        }
        values
    }

    /// Everything given for a scope (and a topic or client of it), the weakest first.
    fn given(&self, scope: Scope, instance: Option<&str>) -> Vec<Given> {
        let both_roles = self.builder.cluster.combined && matches!(scope, Scope::Broker | Scope::Controller);
        let role = |wanted: Scope| {
            wanted == scope || both_roles && matches!(wanted, Scope::Broker | Scope::Controller)
        };
        let file = match scope {
            Scope::Broker | Scope::Controller => self.server_file(scope),
            _ => self
                .builder
                .files
                .iter()
                .find(|(known, _)| *known == scope)
                .map(|(_, file)| file),
        };
        let mut given = Vec::new();
        for entry in file.into_iter().flat_map(PropertiesFile::effective) {
            let origin = Origin::File(entry.value_place.clone());
            given.push(Given {
                name: entry.key.clone(),
                value: entry.value.clone(),
                origin,
            });
        }
        for for_one in [false, true] {
            for inline in &self.builder.inline {
                let fits = match &inline.instance {
                    None => !for_one,
                    Some(name) => for_one && instance == Some(name),
                };
                if role(inline.scope) && fits {
                    let origin = Origin::ScenarioInline(inline.place.clone());
                    given.push(Given {
                        name: inline.name.clone(),
                        value: inline.value.clone(),
                        origin,
                    });
                }
            }
        }
        for narrowness in 0..=2 {
            for set in self
                .builder
                .assignments
                .iter()
                .filter(|set| set.narrowness() == narrowness)
            {
                let other = if scope == Scope::Broker {
                    Scope::Controller
                } else {
                    Scope::Broker
                };
                if set.means(scope, instance) || both_roles && set.means(other, instance) {
                    let origin = Origin::SetOption(set.text.clone());
                    given.push(Given {
                        name: set.name.clone(),
                        value: set.value.clone(),
                        origin,
                    });
                }
            }
        }
        given
    }

    fn fill(&mut self, scope: Scope, instance: Option<&str>, given: Vec<Given>) -> Values {
        let mut values = Values::defaults(scope);
        values.instance = instance.map(str::to_string);
        self.put_all(&mut values, given);
        values
    }

    fn put_all(&mut self, values: &mut Values, given: Vec<Given>) {
        let providers = given
            .iter()
            .any(|given| given.name == "config.providers" && !value::trim(&given.value).is_empty());
        for given in given {
            let Some(setting) = values.scope.setting(&given.name) else {
                self.unknown_name(values, given);
                continue;
            };
            if let Some(error) = trailing_comment(setting.kind, &given) {
                self.errors.push(error);
                continue;
            }
            if providers && given.value.contains("${") && setting.kind != Kind::Password {
                self.errors.push(ConfigError::about(
                    &given.origin,
                    format!(
                        "{}={}: Kafka asks a config provider for this value",
                        given.name, given.value
                    ),
                    "write the value itself; ktrial runs no config providers",
                ));
                continue;
            }
            match value::parse(setting, &given.value) {
                Ok(parsed) => values.put(setting.name, Cow::Owned(given.value), parsed, given.origin),
                Err(Invalid::Here(message)) => {
                    self.errors.push(ConfigError::about(&given.origin, message, ""));
                }
                Err(Invalid::Kafka(reason)) => self.findings.refusals.push(Refusal {
                    scope: values.scope,
                    instance: values.instance.clone(),
                    exception: values.scope.exception(),
                    class: "ConfigDef",
                    reason,
                    settings: vec![(setting.name, value::trim(&given.value).to_string(), given.origin)],
                }),
            }
        }
    }

    fn unknown_name(&mut self, values: &Values, given: Given) {
        let note = match unknown::harmless(values.scope, &given.name) {
            Some(reason) => Note::Neutral(reason),
            None if self.builder.accepted.contains(&given.name) => Note::Accepted,
            None => {
                let (message, remedy) = unknown::explain(values.scope, &given.name);
                self.errors
                    .push(ConfigError::about(&given.origin, message, remedy));
                return;
            }
        };
        self.noted.push(Noted {
            scope: values.scope,
            instance: values.instance.clone(),
            name: given.name,
            value: value::trim(&given.value).to_string(),
            origin: given.origin,
            note,
        });
    }

    /// Lists what was set and does not simply count; an unmodelled setting stops the run here.
    fn note(&mut self, values: &Values) {
        let cluster = &self.builder.cluster;
        for entry in values.iter().filter(|entry| entry.origin.is_set()) {
            let name = entry.setting.name;
            let accepted = self.builder.accepted.iter().any(|accepted| accepted == name);
            let Some(note) = classify(values.scope, cluster.combined, entry, &cluster.reaches, accepted)
            else {
                continue;
            };
            if note == Note::Unmodelled {
                self.errors.push(ConfigError::about(
                    &entry.origin,
                    format!(
                        "{name}={} is not modelled: results would not show what it does",
                        entry.shown()
                    ),
                    format!("take it out, or accept that with --allow-unmodelled {name}"),
                ));
                continue;
            }
            self.noted.push(Noted {
                scope: values.scope,
                instance: values.instance.clone(),
                name: name.to_string(),
                value: entry.shown().to_string(),
                origin: entry.origin.clone(),
                note,
            });
        }
    }

    /// With eligible leader replicas a cluster-wide `min.insync.replicas` exists from the first moment,
    /// from the file of the first active controller (`ActivationRecordsGenerator`).
    fn cluster_wide(&mut self, broker: &Values, controller: &Values) -> Option<(String, Origin)> {
        const MIN_ISR: &str = "min.insync.replicas";
        const UNCLEAN: &str = "unclean.leader.election.enable";
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

    fn topic(&mut self, servers: &Servers<'_>, name: Option<&str>) -> (ResolvedTopic, Values) {
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
        let topic = ResolvedTopic {
            name: name.map(str::to_string),
            by_brokers: TopicSettings::from_values(&seen, &mut self.errors),
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
                if let super::catalogue::Treatment::Replaced { by } = setting.treatment {
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
                .any(|noted| noted.name == *name && noted.note == Note::Accepted);
            if !used {
                let message = format!("--allow-unmodelled {name}: nothing sets it to anything unmodelled");
                self.findings.warnings.push(Warning { place: None, message });
            }
        }
    }
}

/// What the settings of topics fall back to.
struct Servers<'a> {
    broker: &'a Values,
    controller: &'a Values,
    cluster_wide: Option<&'a (String, Origin)>,
}

/// Java knows no comments behind a value.
fn trailing_comment(kind: Kind, given: &Given) -> Option<ConfigError> {
    let in_file = match &given.origin {
        Origin::TopicOverride(inner) => matches!(**inner, Origin::File(_)),
        origin => matches!(origin, Origin::File(_)),
    };
    if !in_file || kind == Kind::Password {
        return None;
    }
    let at = [" #", "\t#", " !", "\t!"]
        .into_iter()
        .filter_map(|mark| given.value.find(mark))
        .min()?;
    let comment: Arc<str> = given.value[at..].trim_start().into();
    let then = match kind {
        Kind::String | Kind::List | Kind::Class | Kind::Password => "Kafka would take it literally",
        _ => "Kafka would refuse the value",
    };
    let value = &given.value[..at];
    Some(ConfigError::about(
        &given.origin,
        format!(
            "{}: java.util.Properties makes \"{comment}\" part of the value, and {then}",
            given.name
        ),
        format!(
            "put the comment on a line of its own and leave {}={value}",
            given.name
        ),
    ))
}
