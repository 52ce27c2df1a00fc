//! Names that are in no catalogue, or not in the one they were used in.

use super::catalogue::Scope;
use super::nearest::nearest;

/// Settings of former releases, with what took their place. Sources: Kafka's upgrade notes, KIP-1030,
/// KIP-1041, KIP-937, KIP-833.
const GONE: [(&str, &str); 29] = [
    ("advertised.host.name", "removed in 3.0: use advertised.listeners"),
    ("advertised.port", "removed in 3.0: use advertised.listeners"),
    (
        "auto.include.jmx.reporter",
        "removed in 4.0: see metric.reporters",
    ),
    ("block.on.buffer.full", "removed: see max.block.ms"),
    ("broker.id.generation.enable", "removed in 4.0 with ZooKeeper"),
    ("control.plane.listener.name", "removed in 4.0 with ZooKeeper"),
    ("controlled.shutdown.max.retries", "removed in 4.0 with ZooKeeper"),
    (
        "controlled.shutdown.retry.backoff.ms",
        "removed in 4.0 with ZooKeeper",
    ),
    (
        "delegation.token.master.key",
        "removed in 4.0: use delegation.token.secret.key",
    ),
    ("host.name", "removed in 3.0: use listeners"),
    (
        "inter.broker.protocol.version",
        "removed in 4.0: the feature metadata.version took its place",
    ),
    (
        "leader.imbalance.per.broker.percentage",
        "removed in 4.0: any imbalance is balanced",
    ),
    (
        "log.cleaner.min.cleanable.dirty.ratio",
        "never was: the broker's name is log.cleaner.min.cleanable.ratio",
    ),
    (
        "log.message.downconversion.enable",
        "removed in 4.0 with the old message formats",
    ),
    (
        "log.message.format.version",
        "removed in 4.0 with the old message formats",
    ),
    (
        "log.message.timestamp.difference.max.ms",
        "removed in 4.0: use log.message.timestamp.before.max.ms and .after.max.ms",
    ),
    (
        "message.downconversion.enable",
        "removed in 4.0 with the old message formats",
    ),
    (
        "message.format.version",
        "removed in 4.0 with the old message formats",
    ),
    (
        "message.timestamp.difference.max.ms",
        "removed in 4.0: use message.timestamp.before.max.ms and .after.max.ms",
    ),
    ("metadata.fetch.timeout.ms", "removed: see max.block.ms"),
    ("metrics.jmx.blacklist", "removed in 4.0: use metrics.jmx.exclude"),
    ("metrics.jmx.whitelist", "removed in 4.0: use metrics.jmx.include"),
    ("offsets.commit.required.acks", "removed in 4.0 (KIP-1041)"),
    ("port", "removed in 3.0: use listeners"),
    ("quota.consumer.default", "removed in 3.0: quotas are dynamic"),
    ("quota.producer.default", "removed in 3.0: quotas are dynamic"),
    (
        "replica.lag.max.messages",
        "removed in 0.9: see replica.lag.time.max.ms",
    ),
    ("reserved.broker.max.id", "removed in 4.0 with ZooKeeper"),
    ("timeout.ms", "removed: see request.timeout.ms"),
];

/// Beginnings of names of former releases, with what became of all of them.
const GONE_FAMILIES: [(&str, &str); 2] = [
    ("password.encoder.", "removed in 4.0 with ZooKeeper"),
    ("zookeeper.", "removed in 4.0 with ZooKeeper"),
];

/// What became of a setting of former releases.
fn gone(name: &str) -> Option<&'static str> {
    let alone = GONE.iter().find(|(gone, _)| *gone == name);
    let family = || GONE_FAMILIES.iter().find(|(begins, _)| name.starts_with(begins));
    alone.or_else(family).map(|(_, note)| *note)
}

/// Names that only librdkafka knows (its `CONFIGURATION.md`): the clients of C, Python, Go and .NET.
const LIBRDKAFKA: [&str; 18] = [
    "api.version.request",
    "batch.num.messages",
    "broker.address.ttl",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.partition.eof",
    "fetch.wait.max.ms",
    "log_level",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queued.min.messages",
    "request.required.acks",
    "socket.timeout.ms",
    "statistics.interval.ms",
];

/// Beginnings of names that only other products read: no setting of Kafka was meant.
const VENDORS: [&str; 4] = ["confluent.", "cruise.control.", "schema.registry.", "strimzi."];

/// Names that Kafka's plugins and reporters read although no ConfigDef lists them, and why they do not
/// matter here. A name ends in a dot if anything may follow.
const PLUGINS: [(&str, &str); 8] = [
    (
        "allow.everyone.if.no.acl.found",
        "everybody is authorized on the simulated network",
    ),
    ("config.providers.", "config providers do not run here"),
    ("metrics.context.", "metrics are watched, not reported"),
    ("metrics.jmx.", "metrics are watched, not reported"),
    ("rlmm.config.", "nothing is tiered here"),
    ("rsm.config.", "nothing is tiered here"),
    ("super.users", "everybody is authorized on the simulated network"),
    ("kafka.csv.metrics.", "metrics are watched, not reported"),
];

/// Why a name that is no setting of `scope` does not matter there; none if it does.
pub(super) fn harmless(scope: Scope, name: &str) -> Option<&'static str> {
    let server = matches!(scope, Scope::Broker | Scope::Controller);
    let listener = name
        .strip_prefix("listener.name.")
        .and_then(|rest| rest.split_once('.'));
    if let Some((_, rest)) = listener.filter(|_| server) {
        let suffixes = rest
            .match_indices('.')
            .map(|(at, _)| &rest[at + 1..])
            .chain([rest]);
        let known = suffixes.into_iter().any(|suffix| scope.setting(suffix).is_some());
        return known.then_some("the simulated network connects the nodes");
    }
    if scope == Scope::Topic {
        return None;
    }
    let plugin = PLUGINS.iter().find(|(known, _)| {
        if known.ends_with('.') {
            name.starts_with(known)
        } else {
            name == *known
        }
    });
    plugin.map(|(_, reason)| *reason)
}

/// Message and remedy for a name that is no setting of `scope`.
pub(super) fn explain(scope: Scope, name: &str) -> (String, String) {
    let mut message = format!("no {} setting {name} in Kafka {}", scope.word(), super::RELEASE);
    if let Some(note) = gone(name) {
        message += &format!(" ({note})");
    }
    if matches!(scope, Scope::Producer | Scope::Consumer) && LIBRDKAFKA.contains(&name) {
        let remedy = "ktrial runs the Java client: librdkafka retries in another order";
        return (
            format!("{message}: it is one of librdkafka's"),
            remedy.to_string(),
        );
    }
    message += match scope {
        Scope::Topic => "; Kafka would refuse the topic (InvalidConfigurationException)",
        Scope::Group => "; Kafka would refuse to alter the group (InvalidConfigurationException)",
        _ => "; Kafka would ignore it with a line in its log",
    };
    let elsewhere: Vec<&str> = Scope::ALL
        .into_iter()
        .filter(|other| other.setting(name).is_some())
        .map(Scope::word)
        .collect();
    let names = || scope.settings().iter().map(|setting| setting.name);
    let foreign = VENDORS.iter().any(|begins| name.starts_with(begins));
    let near = match gone(name) {
        Some(_) => None,
        None if foreign => None,
        None => nearest(name, names()),
    };
    let remedy = match (elsewhere.is_empty(), near) {
        (false, _) => {
            format!(
                "it is a setting of a {}: move it there or take it out",
                elsewhere.join(" and of a ")
            )
        }
        (true, Some(near)) => format!("did you mean {near}?"),
        (true, None) => format!(
            "take it out, or, if a class of your own reads it, accept it with --allow-unmodelled {name}"
        ),
    };
    (message, remedy)
}

/// Message and remedy for a name that no scope has.
pub(super) fn explain_everywhere(name: &str) -> (String, String) {
    let mut message = format!("no setting {name} in Kafka {}", super::RELEASE);
    if let Some(note) = gone(name) {
        message += &format!(" ({note})");
    }
    let all = Scope::ALL
        .into_iter()
        .flat_map(Scope::settings)
        .map(|setting| setting.name);
    let remedy = match nearest(name, all) {
        Some(near) => format!("did you mean {near}?"),
        None => "see ktrial list settings".to_string(),
    };
    (message, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_gone_is_in_the_catalogue() {
        for (name, _) in GONE {
            assert!(
                Scope::ALL.into_iter().all(|scope| scope.setting(name).is_none()),
                "{name}"
            );
        }
    }

    #[test]
    fn a_producers_setting_in_a_brokers_file_is_named_as_one() {
        let (message, remedy) = explain(Scope::Broker, "linger.ms");
        assert!(message.contains("no broker setting linger.ms in Kafka 4.3; Kafka would ignore it"));
        assert!(remedy.starts_with("it is a setting of a producer"), "{remedy}");
    }

    #[test]
    fn librdkafkas_own_names_are_refused_by_its_name() {
        let (message, _) = explain(Scope::Producer, "queue.buffering.max.ms");
        assert!(message.ends_with("it is one of librdkafka's"));
        for name in LIBRDKAFKA {
            let java = [Scope::Producer, Scope::Consumer]
                .into_iter()
                .any(|scope| scope.setting(name).is_some());
            assert!(!java, "{name}");
        }
    }

    #[test]
    fn a_setting_of_another_product_can_be_accepted_by_its_name() {
        let name = "confluent.license.topic.replication.factor";
        let (_, remedy) = explain(Scope::Broker, name);
        assert!(
            remedy.ends_with(&format!("accept it with --allow-unmodelled {name}")),
            "{remedy}"
        );
    }

    #[test]
    fn a_typo_is_answered_with_the_nearest_name() {
        let (_, remedy) = explain(Scope::Broker, "replica.lag.max.time.ms");
        assert_eq!(remedy, "did you mean replica.lag.time.max.ms?");
        let (message, _) = explain(Scope::Broker, "zookeeper.connect");
        assert!(message.contains("removed in 4.0 with ZooKeeper"));
        for name in [
            "zookeeper.ssl.crl.enable",
            "password.encoder.secret",
            "controlled.shutdown.max.retries",
        ] {
            assert!(
                explain(Scope::Broker, name)
                    .0
                    .contains("removed in 4.0 with ZooKeeper"),
                "{name}"
            );
        }
    }

    #[test]
    fn settings_of_one_listener_do_not_matter() {
        for name in [
            "listener.name.internal.ssl.keystore.location",
            "listener.name.a.plain.sasl.jaas.config",
        ] {
            assert!(harmless(Scope::Broker, name).is_some(), "{name}");
        }
        assert_eq!(
            harmless(Scope::Broker, "listener.name.internal.ssl.keystore.loction"),
            None
        );
        assert_eq!(
            harmless(Scope::Producer, "listener.name.internal.ssl.keystore.location"),
            None
        );
    }
}
