//! Which settings of a server's file stand in for a topic's (`ServerTopicConfigSynonyms`).

use super::effective::Values;
use super::value::Value;

const MINUTE: i64 = 60 * 1_000;
const HOUR: i64 = 60 * MINUTE;

/// A server's name for a topic setting, and what its value is multiplied by.
pub type Synonym = (&'static str, i64);

/// Topic setting and server settings; of several the first that is not null counts.
const SYNONYMS: [(&str, &[Synonym]); 28] = [
    ("cleanup.policy", &[("log.cleanup.policy", 1)]),
    ("compression.gzip.level", &[("compression.gzip.level", 1)]),
    ("compression.lz4.level", &[("compression.lz4.level", 1)]),
    ("compression.type", &[("compression.type", 1)]),
    ("compression.zstd.level", &[("compression.zstd.level", 1)]),
    ("delete.retention.ms", &[("log.cleaner.delete.retention.ms", 1)]),
    ("file.delete.delay.ms", &[("log.segment.delete.delay.ms", 1)]),
    ("flush.messages", &[("log.flush.interval.messages", 1)]),
    (
        "flush.ms",
        &[
            ("log.flush.interval.ms", 1),
            ("log.flush.scheduler.interval.ms", 1),
        ],
    ),
    ("index.interval.bytes", &[("log.index.interval.bytes", 1)]),
    ("local.retention.bytes", &[("log.local.retention.bytes", 1)]),
    ("local.retention.ms", &[("log.local.retention.ms", 1)]),
    (
        "max.compaction.lag.ms",
        &[("log.cleaner.max.compaction.lag.ms", 1)],
    ),
    ("max.message.bytes", &[("message.max.bytes", 1)]),
    (
        "message.timestamp.after.max.ms",
        &[("log.message.timestamp.after.max.ms", 1)],
    ),
    (
        "message.timestamp.before.max.ms",
        &[("log.message.timestamp.before.max.ms", 1)],
    ),
    ("message.timestamp.type", &[("log.message.timestamp.type", 1)]),
    (
        "min.cleanable.dirty.ratio",
        &[("log.cleaner.min.cleanable.ratio", 1)],
    ),
    (
        "min.compaction.lag.ms",
        &[("log.cleaner.min.compaction.lag.ms", 1)],
    ),
    ("min.insync.replicas", &[("min.insync.replicas", 1)]),
    ("preallocate", &[("log.preallocate", 1)]),
    ("retention.bytes", &[("log.retention.bytes", 1)]),
    (
        "retention.ms",
        &[
            ("log.retention.ms", 1),
            ("log.retention.minutes", MINUTE),
            ("log.retention.hours", HOUR),
        ],
    ),
    ("segment.bytes", &[("log.segment.bytes", 1)]),
    ("segment.index.bytes", &[("log.index.size.max.bytes", 1)]),
    (
        "segment.jitter.ms",
        &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR)],
    ),
    ("segment.ms", &[("log.roll.ms", 1), ("log.roll.hours", HOUR)]),
    (
        "unclean.leader.election.enable",
        &[("unclean.leader.election.enable", 1)],
    ),
];

/// The server settings that stand in for a topic setting, the strongest first; none for a few.
pub fn of(topic_setting: &str) -> &'static [Synonym] {
    SYNONYMS
        .iter()
        .find(|(name, _)| *name == topic_setting)
        .map_or(&[], |(_, synonyms)| synonyms)
}

/// Settings that do not count because a finer unit of the same was set too, each with that one.
pub(super) fn overruled(server: &Values) -> Vec<(&'static str, &'static str)> {
    let mut overruled = Vec::new();
    for (_, synonyms) in SYNONYMS {
        let units = synonyms.iter().any(|(_, factor)| *factor > 1);
        let mut set = synonyms
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| server.is_set(name));
        if let Some(counts) = set.next().filter(|_| units) {
            overruled.extend(set.map(|loses| (loses, counts)));
        }
    }
    overruled
}

/// What a server's own file says for a topic setting: the server's setting that decides, and the value as
/// a topic would write it. None if there is no synonym.
pub(super) fn from_server(server: &Values, topic_setting: &str) -> Option<(&'static str, String)> {
    let synonyms = of(topic_setting);
    let (name, factor) = synonyms
        .iter()
        .find(|(name, _)| server.get(name).value != Value::Null)
        .or(synonyms.last())?;
    let entry = server.get(name);
    let text = match entry.value {
        // KafkaConfig.logRetentionTimeMillis: whatever is negative means for ever.
        Value::Whole(number) if topic_setting == "retention.ms" && number < 0 => "-1".to_string(),
        Value::Whole(number) => number.saturating_mul(*factor).to_string(),
        _ => entry.shown().to_string(),
    };
    Some((name, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::catalogue::Scope;
    use crate::config::place::Origin;
    use crate::config::value;

    fn put(values: &mut Values, name: &str, text: &'static str) {
        let parsed = value::parse(Scope::Broker.setting(name).expect("known"), text).expect("valid");
        values.put(name, text.into(), parsed, Origin::SetOption(text.into()));
    }

    #[test]
    fn every_synonym_names_settings_of_both_scopes() {
        for (topic, synonyms) in SYNONYMS {
            assert!(Scope::Topic.setting(topic).is_some(), "{topic}");
            for (server, _) in synonyms {
                assert!(Scope::Broker.setting(server).is_some(), "{server}");
            }
        }
    }

    #[test]
    fn defaults_of_topics_and_of_their_synonyms_agree() {
        let server = Values::defaults(Scope::Broker);
        for (topic, _) in SYNONYMS {
            let setting = Scope::Topic.setting(topic).expect("known");
            let (_, text) = from_server(&server, topic).expect("a synonym");
            let ours = Values::defaults(Scope::Topic).get(topic).value.clone();
            assert_eq!(value::parse(setting, &text), Ok(ours), "{topic}");
        }
    }

    #[test]
    fn the_finer_unit_wins_whichever_line_comes_last() {
        let mut server = Values::defaults(Scope::Broker);
        put(&mut server, "log.retention.minutes", "2");
        put(&mut server, "log.retention.hours", "5");
        assert_eq!(
            from_server(&server, "retention.ms"),
            Some(("log.retention.minutes", "120000".into()))
        );
        let overruled = [("log.retention.hours", "log.retention.minutes")];
        assert_eq!(super::overruled(&server), overruled);
        put(&mut server, "log.retention.ms", "-7");
        assert_eq!(
            from_server(&server, "retention.ms"),
            Some(("log.retention.ms", "-1".into()))
        );
    }

    #[test]
    fn without_a_flush_interval_the_schedulers_counts() {
        let mut server = Values::defaults(Scope::Broker);
        put(&mut server, "log.flush.scheduler.interval.ms", "3000");
        let decided = from_server(&server, "flush.ms");
        assert_eq!(decided, Some(("log.flush.scheduler.interval.ms", "3000".into())));
        put(&mut server, "log.flush.interval.ms", "500");
        assert_eq!(
            from_server(&server, "flush.ms"),
            Some(("log.flush.interval.ms", "500".into()))
        );
    }
}
