//! A scenario file: YAML 1.2, checked line by line.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::assertion::AssertFile;
use crate::consumer_file::{ConductFile, ConsumerFile};

/// Text with the place where it stands.
pub(crate) type Text = Spanned<String>;

/// Settings as written, in order of their names.
#[derive(Debug, Default)]
pub(crate) struct SettingsMap(BTreeMap<String, (Text, Text)>);

impl SettingsMap {
    /// Names and values, each with its place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Text, &Text)> {
        self.0.values().map(|(name, value)| (name, value))
    }
}

impl<'de> Deserialize<'de> for SettingsMap {
    /// By hand, because derived code forgets the places of keys.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Settings;
        impl<'de> Visitor<'de> for Settings {
            type Value = SettingsMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names of settings with their values")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<SettingsMap, M::Error> {
                let mut settings = SettingsMap::default();
                while let Some((name, value)) = map.next_entry::<Text, Text>()? {
                    settings.0.insert(name.value.clone(), (name, value));
                }
                Ok(settings)
            }
        }
        deserializer.deserialize_map(Settings)
    }
}

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScenarioFile {
    pub(crate) scenario: Text,
    #[serde(default)]
    pub(crate) about: String,
    pub(crate) claim: Option<ClaimFile>,
    #[serde(default)]
    pub(crate) shows: Vec<Text>,
    pub(crate) counter: Option<Spanned<CounterFile>>,
    #[serde(default)]
    pub(crate) arms: BTreeMap<String, Spanned<ArmFile>>,
    #[serde(default)]
    pub(crate) cluster: ClusterFile,
    #[serde(default)]
    pub(crate) network: NetworkFile,
    #[serde(default)]
    pub(crate) include: IncludeFile,
    #[serde(default)]
    pub(crate) settings: ScopedSettings,
    pub(crate) topics: BTreeMap<String, Spanned<TopicFile>>,
    #[serde(default)]
    pub(crate) producers: BTreeMap<String, Spanned<ProducerFile>>,
    #[serde(default)]
    pub(crate) readers: BTreeMap<String, Spanned<ReaderFile>>,
    #[serde(default)]
    pub(crate) consumers: BTreeMap<String, Spanned<ConsumerFile>>,
    #[serde(default)]
    pub(crate) groups: BTreeMap<String, Spanned<GroupFile>>,
    pub(crate) duration: Text,
    pub(crate) quiesce: Option<Text>,
    pub(crate) heal: Option<Text>,
    #[serde(default)]
    pub(crate) faults: Vec<Spanned<FaultFile>>,
    #[serde(default)]
    pub(crate) random: Vec<Spanned<RandomFile>>,
    #[serde(default)]
    pub(crate) vary: Vec<Text>,
    #[serde(default)]
    pub(crate) accept_unmodelled: Vec<String>,
    pub(crate) assert: Option<AssertFile>,
}

impl ScenarioFile {
    /// Consumers that have a producer too, which sends records on.
    pub(crate) fn letters(&self) -> impl Iterator<Item = (&String, &ConsumerFile)> {
        let each = self
            .consumers
            .iter()
            .map(|(name, declared)| (name, &declared.value));
        each.filter(|(_, declared)| declared.dead_letter.is_some())
    }
}

/// A claim of what people say about Kafka.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimFile {
    /// Its number among the claims.
    pub id: String,
    /// What is claimed.
    pub says: String,
    /// What is true.
    pub verdict: String,
    /// A seed that shows it.
    pub seed: u64,
    /// What the counter-arm changes, and what flips.
    pub counter: String,
}

/// The arm beside a claim's: one setting, one fault or one trait of an application apart.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CounterFile {
    pub(crate) set: Option<Text>,
    /// What consumers do otherwise.
    #[serde(default)]
    pub(crate) consumers: ConductFile,
    /// In place of the scenario's.
    pub(crate) faults: Option<Vec<Spanned<FaultFile>>>,
    /// In place of the scenario's.
    pub(crate) random: Option<Vec<Spanned<RandomFile>>>,
    pub(crate) shows: Vec<Text>,
}

/// An arm of a comparison: what differs from the scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArmFile {
    #[serde(default)]
    pub(crate) set: Vec<Text>,
    /// What consumers do otherwise.
    #[serde(default)]
    pub(crate) consumers: ConductFile,
    /// In place of the scenario's.
    pub(crate) faults: Option<Vec<Spanned<FaultFile>>>,
    /// In place of the scenario's.
    pub(crate) random: Option<Vec<Spanned<RandomFile>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClusterFile {
    pub(crate) brokers: Spanned<u16>,
    pub(crate) controllers: Spanned<u16>,
    pub(crate) combined: bool,
    pub(crate) racks: Vec<String>,
    pub(crate) release: Option<Text>,
    pub(crate) profile: Option<Text>,
    pub(crate) features: SettingsMap,
    pub(crate) idle: Option<Text>,
    pub(crate) process_start: Option<Text>,
    pub(crate) process_end: Option<Text>,
    pub(crate) flush: Option<Text>,
    pub(crate) client_start: Option<Text>,
}

fn unspanned<T>(value: T) -> Spanned<T> {
    Spanned {
        value,
        referenced: Location::UNKNOWN,
        defined: Location::UNKNOWN,
    }
}

impl Default for ClusterFile {
    fn default() -> Self {
        ClusterFile {
            brokers: unspanned(3),
            controllers: unspanned(3),
            combined: false,
            racks: Vec::new(),
            release: None,
            profile: None,
            features: SettingsMap::default(),
            idle: None,
            process_start: None,
            process_end: None,
            flush: None,
            client_start: None,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NetworkFile {
    pub(crate) latency: Option<Text>,
    pub(crate) smoothed_round_trip: Option<Text>,
    pub(crate) congestion_window: Option<u16>,
    pub(crate) bytes_per_microsecond: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IncludeFile {
    pub(crate) broker: Option<Text>,
    pub(crate) controller: Option<Text>,
    pub(crate) producer: Option<Text>,
    pub(crate) consumer: Option<Text>,
    pub(crate) topic: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScopedSettings {
    pub(crate) broker: SettingsMap,
    pub(crate) controller: SettingsMap,
    pub(crate) producer: SettingsMap,
    pub(crate) consumer: SettingsMap,
    pub(crate) topic: SettingsMap,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicFile {
    #[serde(default = "one")]
    pub(crate) partitions: Spanned<u32>,
    #[serde(rename = "replication.factor", default = "three")]
    pub(crate) replication_factor: Spanned<u16>,
    #[serde(default)]
    pub(crate) assignment: Option<Vec<Vec<u16>>>,
    #[serde(default)]
    pub(crate) config: SettingsMap,
}

fn one() -> Spanned<u32> {
    unspanned(1)
}

fn three() -> Spanned<u16> {
    unspanned(3)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProducerFile {
    pub(crate) topic: Text,
    pub(crate) client: Option<Text>,
    #[serde(default = "hundred")]
    pub(crate) rate: Spanned<u32>,
    pub(crate) count: Option<u32>,
    #[serde(default = "hundred_bytes")]
    pub(crate) bytes: u32,
    #[serde(default)]
    pub(crate) numbered: bool,
    #[serde(default)]
    pub(crate) keys: u32,
    #[serde(default)]
    pub(crate) settings: SettingsMap,
}

fn hundred() -> Spanned<u32> {
    unspanned(100)
}

fn hundred_bytes() -> u32 {
    100
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReaderFile {
    pub(crate) topics: Vec<Text>,
    pub(crate) client: Option<Text>,
    pub(crate) rack: Option<Text>,
    #[serde(default)]
    pub(crate) settings: SettingsMap,
}

/// What is said about a group as such.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupFile {
    pub(crate) config: SettingsMap,
}

/// One fault: exactly one action key, and what belongs to it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FaultFile {
    pub(crate) at: Option<Text>,
    pub(crate) when: Option<Text>,
    pub(crate) after: Option<Text>,
    #[serde(rename = "for")]
    pub(crate) lasting: Option<Text>,
    #[serde(rename = "let")]
    pub(crate) bind: Option<BTreeMap<String, Text>>,
    pub(crate) kill: Option<Text>,
    pub(crate) power_off: Option<Text>,
    pub(crate) unflushed: Option<Text>,
    pub(crate) lose_disk: Option<Text>,
    pub(crate) start: Option<Text>,
    pub(crate) stop: Option<Text>,
    pub(crate) rolling_restart: Option<Text>,
    pub(crate) down: Option<Text>,
    pub(crate) between: Option<Text>,
    pub(crate) pause: Option<Text>,
    pub(crate) resume: Option<Text>,
    pub(crate) cut: Option<Text>,
    pub(crate) mend: Option<Text>,
    pub(crate) mend_all: Option<bool>,
    pub(crate) reset: Option<Text>,
    pub(crate) slow: Option<Text>,
    pub(crate) from: Option<Text>,
    pub(crate) way: Option<Text>,
    pub(crate) latency: Option<Text>,
    pub(crate) hold: Option<Vec<String>>,
    pub(crate) to: Option<Text>,
    pub(crate) skew: Option<Text>,
    pub(crate) drift: Option<Text>,
    pub(crate) by: Option<Text>,
    pub(crate) slow_disk: Option<Text>,
    pub(crate) times: Option<u32>,
    pub(crate) fill_disk: Option<Text>,
    pub(crate) fail_disk: Option<Text>,
    pub(crate) open_cut: Option<Text>,
    pub(crate) on: Option<Text>,
    pub(crate) one_in: Option<u32>,
    pub(crate) longest: Option<Text>,
    pub(crate) elect_unclean: Option<bool>,
    pub(crate) elect_preferred: Option<bool>,
    pub(crate) stall: Option<Text>,
    pub(crate) redeploy: Option<Text>,
    pub(crate) how: Option<Text>,
    pub(crate) scale: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RandomFile {
    pub(crate) faults: Text,
    pub(crate) of: Vec<Text>,
    pub(crate) on: Text,
    pub(crate) within: Text,
    #[serde(rename = "for")]
    pub(crate) lasting: Text,
    pub(crate) apart: Option<Text>,
}
