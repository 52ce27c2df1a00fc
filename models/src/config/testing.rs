//! From the text of settings to a role's view, for tests of what a setting does. A setting that is not modelled is
//! refused here as it is for users, so such a test also shows that the catalogue lets the setting through.

use super::{
    Cluster, Features, ProducerSettings, ReaderSettings, Resolution, SettingsBuilder, TopicSettings,
};

/// What counts if `settings` (`name=value`, separated by blanks) are set for a scope.
fn resolve(scope: &str, settings: &str) -> Resolution {
    let mut builder = SettingsBuilder::new(Cluster {
        features: Features::default(),
        topics: vec!["topic".to_owned()],
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
