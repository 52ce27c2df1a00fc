//! From the text of settings to a role's view, for tests of what a setting does. A setting that is not modelled is
//! refused here as it is for users, so such a test also shows that the catalogue lets the setting through.

use super::catalogue::Machinery;
use super::{
    Cluster, Features, MemberSettings, ProducerSettings, ReaderSettings, Resolution, SettingsBuilder,
    TopicSettings,
};

/// What counts if `settings` (`name=value`, separated by blanks) are set for a scope.
fn resolve(scope: &str, settings: &str) -> Resolution {
    resolve_with(scope, settings, Vec::new())
}

fn resolve_with(scope: &str, settings: &str, reaches: Vec<Machinery>) -> Resolution {
    let mut builder = SettingsBuilder::new(Cluster {
        features: Features::default(),
        topics: vec!["topic".to_owned()],
        reaches,
        ..Cluster::default()
    });
    for setting in settings.split_whitespace() {
        builder
            .set(&format!("{scope}.{setting}"))
            .unwrap_or_else(|error| panic!("{error}"));
    }
    let resolution = builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(resolution.refusals, [], "{settings}");
    resolution
}

/// A topic with these overrides, as brokers see it.
pub(crate) fn topic(settings: &str) -> TopicSettings {
    resolve("topic", settings).topics[0].by_brokers
}

/// A topic without overrides, as brokers with these settings see it.
pub(crate) fn topic_on_brokers(settings: &str) -> TopicSettings {
    resolve("broker", settings).topics[0].by_brokers
}

/// A producer with these settings.
pub(crate) fn producer(settings: &str) -> ProducerSettings {
    resolve("producer", settings).producers[0].settings.clone()
}

/// A reader with these settings.
pub(crate) fn reader(settings: &str) -> ReaderSettings {
    resolve("consumer", settings).readers[0].settings.clone()
}

/// A consumer of a group with these settings: as a member, and what every consumer has.
pub(crate) fn member(settings: &str) -> (MemberSettings, ReaderSettings) {
    let resolution = resolve_with("consumer", settings, vec![Machinery::Groups]);
    let member = resolution.members[0].settings.clone();
    (member, resolution.readers[0].settings.clone())
}
