//! Sizes that Kafka takes at their word and no machine could hold: a broker that starts two billion threads dies of it.

use super::Work;
use crate::config::effective::Values;
use crate::config::problem::ConfigError;

/// The most that is simulated of what a broker has as many of as a setting says.
const MOST: [(&str, i64); 5] = [
    ("num.io.threads", 10_000),
    ("num.network.threads", 10_000),
    ("num.recovery.threads.per.data.dir", 10_000),
    ("group.coordinator.threads", 10_000),
    ("offsets.topic.num.partitions", 100_000),
];

impl Work<'_> {
    /// Of the brokers.
    pub(super) fn sizes(&mut self, broker: &Values) {
        for (name, most) in MOST {
            let entry = broker.get(name);
            if broker.whole(name) > most {
                self.errors.push(ConfigError::about(
                    &entry.origin,
                    format!("{name}={}: more than ktrial can hold", entry.shown()),
                    format!("give at most {most}"),
                ));
            }
        }
    }
}
