//! The published JSON Schemas (`reports/schemas/`) say what the code says. Their structure is written by hand; the keys of
//! each object are held to those of the reader here, and the lists of names that the code has (settings, invariants,
//! faults ...) are filled in from it: `KTRIAL_RENEW_GOLDEN=1 cargo test --package ktrial-scenarios --lib schema` writes
//! them. That scenarios and results match the schemas is tested in `tests/schemas.rs` of the command.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ktrial_models::config::Features;
use ktrial_models::config::catalogue::{Fallback, Scope};
use ktrial_models::cuts;
use ktrial_models::invariants::{Exposure, Invariant};
use ktrial_models::protocol::api;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor, value::Error};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value, json};

use crate::assertion::Measure;
use crate::consumer_file::{ConductFile, ConsumerFile};
use crate::fault::FaultKind;
use crate::file::{
    ArmFile, ClaimFile, ClusterFile, CounterFile, FaultFile, IncludeFile, NetworkFile, ProducerFile,
    RandomFile, ReaderFile, ScenarioFile, ScopedSettings, TopicFile,
};
use crate::groups::{GroupCounts, SinkCounts};
use crate::suite::{ProfileFile, ProfilesFile};
use crate::sweep::{FindingLine, SweepHeader, TrialLine};

/// Learns what keys or words a type reads, and reads nothing.
struct Keys(Vec<&'static str>);

impl<'de> Deserializer<'de> for &mut Keys {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0 = fields.to_vec();
        Err(Error::custom("these are all"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0 = variants.to_vec();
        Err(Error::custom("these are all"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not an object"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

fn keys<T: DeserializeOwned>() -> BTreeSet<String> {
    let mut keys = Keys(Vec::new());
    assert!(T::deserialize(&mut keys).is_err() && !keys.0.is_empty());
    keys.0.into_iter().map(str::to_owned).collect()
}

fn path(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/schemas");
    root.join(format!("{name}.schema.json"))
}

fn schema(name: &str) -> Value {
    let text = std::fs::read_to_string(path(name)).expect("the schema is there");
    serde_json::from_str(&text).expect("the schema is JSON")
}

/// The keys of the object at `pointer`, which allows no others.
fn published(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let object = schema.pointer(pointer).expect(pointer);
    assert_eq!(object["additionalProperties"], json!(false), "{pointer}");
    let properties = object["properties"].as_object().expect(pointer);
    properties.keys().cloned().collect()
}

#[test]
fn a_scenario_has_the_keys_that_its_schema_has() {
    let schema = schema("scenario");
    let mut assertions: BTreeSet<String> = Measure::NAMES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assertions.insert("invariants".to_owned());
    for (pointer, keys) in [
        ("", keys::<ScenarioFile>()),
        ("/$defs/claim", keys::<ClaimFile>()),
        ("/$defs/counter", keys::<CounterFile>()),
        ("/$defs/arm", keys::<ArmFile>()),
        ("/$defs/cluster", keys::<ClusterFile>()),
        ("/$defs/network", keys::<NetworkFile>()),
        ("/$defs/include", keys::<IncludeFile>()),
        ("/$defs/scoped_settings", keys::<ScopedSettings>()),
        ("/$defs/topic", keys::<TopicFile>()),
        ("/$defs/producer", keys::<ProducerFile>()),
        ("/$defs/reader", keys::<ReaderFile>()),
        ("/$defs/consumers", keys::<ConsumerFile>()),
        ("/$defs/conduct", keys::<ConductFile>()),
        ("/$defs/fault", keys::<FaultFile>()),
        ("/$defs/random", keys::<RandomFile>()),
        ("/$defs/assertions", assertions),
    ] {
        assert_eq!(published(&schema, pointer), keys, "{pointer}");
    }
}

#[test]
fn profiles_have_the_keys_that_their_schema_has() {
    let schema = schema("profiles");
    assert_eq!(published(&schema, ""), keys::<ProfilesFile>());
    let profile = "/properties/profiles/additionalProperties";
    assert_eq!(published(&schema, profile), keys::<ProfileFile>());
}

#[test]
fn results_have_the_keys_that_their_schema_has() {
    let schema = schema("results");
    assert_eq!(published(&schema, "/$defs/trial"), keys::<TrialLine>());
    assert_eq!(published(&schema, "/$defs/finding"), keys::<FindingLine>());
    assert_eq!(published(&schema, "/$defs/groups"), keys::<GroupCounts>());
    let sink = "/$defs/groups/properties/sink";
    assert_eq!(published(&schema, sink), keys::<SinkCounts>());
    assert_eq!(published(&schema, "/$defs/header"), keys::<SweepHeader>());
}

fn settings(scope: Scope) -> Value {
    let properties = scope.settings().iter().map(|setting| {
        let default = match setting.default {
            Fallback::Required => "Required by Kafka.".to_owned(),
            Fallback::Null => "Default: null.".to_owned(),
            Fallback::Text(text) => format!("Default: {text}"),
        };
        let value = json!({"$ref": "#/$defs/value", "description": default});
        (setting.name.to_owned(), value)
    });
    let mut object = json!({
        "type": "object",
        "properties": properties.collect::<Map<_, _>>(),
        "additionalProperties": false,
    });
    // What Kafka reads although no ConfigDef lists it (`config/unknown.rs` in the models).
    let dynamic = match scope {
        Scope::Topic | Scope::Group => return object,
        Scope::Broker | Scope::Controller => {
            "^(listener\\.name|config\\.providers|metrics\\.context|metrics\\.jmx|rlmm\\.config|rsm\\.config|kafka\\.csv\\.metrics)\\."
        }
        Scope::Producer | Scope::Consumer => "^(config\\.providers|metrics\\.context|metrics\\.jmx)\\.",
    };
    object["patternProperties"] = json!({ dynamic: {"$ref": "#/$defs/value"} });
    object
}

/// What the error for a name that nobody has proposes instead.
fn features() -> Vec<String> {
    let error = Features::default().set("qqqqqqqqqqqqqq", "1").unwrap_err();
    let names = error
        .remedy
        .strip_prefix("give one of ")
        .expect("it lists them all");
    names.split(", ").map(str::to_owned).collect()
}

/// The schemas with every list that comes from the code.
fn filled() -> Vec<(&'static str, Value)> {
    let ids: Vec<&str> = Invariant::ALL.iter().map(|invariant| invariant.id()).collect();
    let names = Invariant::ALL.iter().map(|invariant| invariant.name());
    let either: Vec<&str> = ids.iter().copied().chain(names).collect();
    let kinds = api::NAMES.iter().map(|name| (*name).to_owned());
    let answers = api::NAMES.iter().map(|name| format!("{name}Response"));
    let exposures = keys::<Exposure>();
    let mut scenario = schema("scenario");
    let lists = [
        ("message_kind", json!(kinds.chain(answers).collect::<Vec<_>>())),
        (
            "cut",
            json!(cuts::NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>()),
        ),
        ("fault_kind", json!(FaultKind::NAMES.map(|(name, _)| name))),
        ("invariant", json!(either)),
        ("feature", json!(features())),
    ];
    for (name, list) in lists {
        scenario["$defs"][name]["enum"] = list;
    }
    for (name, scope) in [
        ("server_settings", Scope::Broker),
        ("topic_settings", Scope::Topic),
        ("producer_settings", Scope::Producer),
        ("consumer_settings", Scope::Consumer),
        ("group_settings", Scope::Group),
    ] {
        scenario["$defs"][name] = settings(scope);
    }
    let mut all = vec![("scenario", scenario), ("profiles", schema("profiles"))];
    for name in ["results", "compare", "run", "agree", "test"] {
        let mut schema = schema(name);
        if let Some(list) = schema.pointer_mut("/$defs/invariant/enum") {
            *list = json!(ids);
        }
        if let Some(list) = schema.pointer_mut("/$defs/exposure/enum") {
            *list = json!(exposures);
        }
        all.push((name, schema));
    }
    all
}

#[test]
fn lists_of_names_in_the_schemas_are_those_of_the_code() {
    let renew = std::env::var_os("KTRIAL_RENEW_GOLDEN").is_some();
    for (name, schema) in filled() {
        let (path, text) = (path(name), format!("{schema:#}\n"));
        if renew {
            std::fs::write(&path, &text).expect("the schema can be written");
        }
        let published = std::fs::read_to_string(&path).expect("the schema is there");
        assert!(
            published == text,
            "{name}.schema.json: KTRIAL_RENEW_GOLDEN=1 writes its lists anew"
        );
    }
}
