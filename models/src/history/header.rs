//! The first line of a history: where it comes from and the settings in force.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The name of the format.
pub const SCHEMA: &str = "ktrial.history/1";

/// Settings by Kafka's names; numbers and booleans as they are written.
pub type Settings = BTreeMap<String, String>;

/// Where a history comes from, and which settings were given (not their defaults).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Header {
    /// What made it: `kafka 4.3.1`, `ktrial 0.1.0`.
    pub source: String,
    /// Each topic's `partitions`, `replication.factor` and overrides.
    #[serde(deserialize_with = "nested")]
    pub topics: BTreeMap<String, Settings>,
    /// Finalized features where they are known, such as `eligible.leader.replicas.version`.
    #[serde(deserialize_with = "scalars")]
    pub features: Settings,
    /// What brokers and controllers were given.
    #[serde(deserialize_with = "scalars")]
    pub broker: Settings,
    /// What producers were given.
    #[serde(deserialize_with = "scalars")]
    pub producer: Settings,
    /// What consumers were given.
    #[serde(deserialize_with = "scalars")]
    pub consumer: Settings,
    /// What the recorder was told to run: how many clients, rates.
    #[serde(deserialize_with = "scalars")]
    pub clients: Settings,
}

/// Only the name of the schema.
#[derive(Deserialize)]
pub(super) struct Schema {
    pub(super) schema: Option<String>,
}

impl Header {
    /// The number of partitions of a topic, if the header tells it.
    pub fn partitions(&self, topic: &str) -> Option<u32> {
        self.topics.get(topic)?.get("partitions")?.parse().ok()
    }

    /// The header as its line, without the end of line.
    pub fn to_json(&self) -> String {
        let mut object = Map::new();
        object.insert("schema".into(), SCHEMA.into());
        object.insert("source".into(), self.source.as_str().into());
        let topics = self
            .topics
            .iter()
            .map(|(name, topic)| (name.clone(), object_of(topic)));
        object.insert("topics".into(), Value::Object(topics.collect()));
        if !self.features.is_empty() {
            object.insert("features".into(), object_of(&self.features));
        }
        for (name, settings) in [
            ("broker", &self.broker),
            ("producer", &self.producer),
            ("consumer", &self.consumer),
            ("clients", &self.clients),
        ] {
            object.insert(name.into(), object_of(settings));
        }
        Value::Object(object).to_string()
    }
}

/// Settings as an object: counts that the format writes as numbers, everything else as text.
fn object_of(settings: &Settings) -> Value {
    let value = |name: &str, text: &str| match (name, text.parse::<u32>()) {
        ("partitions" | "replication.factor", Ok(number)) if number.to_string() == text => number.into(),
        _ => Value::from(text),
    };
    Value::Object(
        settings
            .iter()
            .map(|(name, text)| (name.clone(), value(name, text)))
            .collect(),
    )
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn scalars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Settings, D::Error> {
    let values = BTreeMap::<String, Value>::deserialize(deserializer)?;
    Ok(values
        .into_iter()
        .map(|(name, value)| (name, text_of(value)))
        .collect())
}

fn nested<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Settings>, D::Error> {
    let topics = BTreeMap::<String, BTreeMap<String, Value>>::deserialize(deserializer)?;
    let settings = |values: BTreeMap<String, Value>| {
        values
            .into_iter()
            .map(|(name, value)| (name, text_of(value)))
            .collect()
    };
    Ok(topics
        .into_iter()
        .map(|(topic, values)| (topic, settings(values)))
        .collect())
}
