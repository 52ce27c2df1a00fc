//! The first line of a history: what was given.

use ktrial_models::config::catalogue::Scope;
use ktrial_models::config::{Origin, Values};
use ktrial_models::history::{Header, Settings};
use ktrial_models::specification::TopicSpecification;

use crate::record::ENGINE;
use crate::scenario::Arm;

/// Settings that somebody gave, and those that decide promises whether given or not.
fn given(values: &Values, always: &[&str]) -> Settings {
    values
        .iter()
        .filter(|effective| {
            always.contains(&effective.setting.name)
                || !matches!(effective.origin, Origin::Default { .. } | Origin::Replaced { .. })
        })
        .filter(|effective| effective.text.is_some())
        .map(|effective| (effective.setting.name.to_owned(), effective.shown().to_owned()))
        .collect()
}

/// How many partitions a topic has, and how many replicas its first partition.
pub(crate) fn shape(topic: &TopicSpecification) -> (usize, usize) {
    match &topic.assignment {
        Some(assignment) => {
            let first = assignment.first().map_or(0, |replicas| replicas.as_slice().len());
            (assignment.len(), first)
        }
        None => (topic.partitions as usize, usize::from(topic.replication_factor)),
    }
}

/// What a producer's promises rest on: the header tells these even where they are Kafka's defaults.
const PROMISED_BY: [&str; 5] = [
    "acks",
    "delivery.timeout.ms",
    "enable.idempotence",
    "max.in.flight.requests.per.connection",
    "retries",
];

pub(super) fn header(arm: &Arm) -> Header {
    let resolved = &arm.resolved;
    let of = |scope: Scope| {
        arm.settings
            .values
            .iter()
            .filter(move |values| values.scope == scope)
    };
    let mut header = Header {
        source: ENGINE.to_owned(),
        ..Header::default()
    };
    for topic in &resolved.cluster.topics {
        let values = of(Scope::Topic).find(|values| values.instance.as_deref() == Some(&*topic.name));
        let mut settings: Settings = values
            .into_iter()
            .flat_map(|values| values.iter())
            .filter(|effective| matches!(effective.origin, Origin::TopicOverride(_)))
            .map(|effective| (effective.setting.name.to_owned(), effective.shown().to_owned()))
            .collect();
        let (partitions, replicas) = shape(topic);
        settings.insert("partitions".to_owned(), partitions.to_string());
        settings.insert("replication.factor".to_owned(), replicas.to_string());
        header.topics.insert(topic.name.clone(), settings);
    }
    header.features = arm
        .settings
        .features
        .levels()
        .iter()
        .map(|(name, level)| ((*name).to_owned(), level.to_string()))
        .collect();
    let broker = of(Scope::Broker).next();
    header.broker = broker.map_or_else(Settings::new, |values| given(values, &[]));
    if let Some(minimum) = arm.settings.cluster_min_insync_replicas {
        header
            .broker
            .insert("min.insync.replicas".to_owned(), minimum.to_string());
    }
    header.producer = weakest_producer(arm).map_or_else(Settings::new, |values| given(values, &PROMISED_BY));
    let consumer = of(Scope::Consumer).next();
    header.consumer = consumer.map_or_else(Settings::new, |values| given(values, &[]));
    header.clients = [
        ("producers", resolved.producers.len().to_string()),
        ("readers", resolved.readers.len().to_string()),
        ("consumers", resolved.consumers.len().to_string()),
    ]
    .into_iter()
    .filter(|(name, count)| *name != "consumers" || count != "0")
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    header
}

/// A header has room for the settings of one producer: those of the one that was promised least.
fn weakest_producer(arm: &Arm) -> Option<&Values> {
    let producers = arm
        .settings
        .values
        .iter()
        .filter(|values| values.scope == Scope::Producer);
    let promised = |values: &&Values| {
        let shown = |name| values.find(name).map_or("", |effective| effective.shown());
        let acks = match shown("acks") {
            "0" => 0,
            "1" => 1,
            _ => 2,
        };
        (acks, shown("enable.idempotence") == "true")
    };
    producers.min_by_key(promised)
}
