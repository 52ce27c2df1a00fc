//! Names of topics and machines: what Kafka takes, and what faults can tell apart.

use serde_saphyr::Spanned;

use ktrial_models::specification::ServerSpecification;

use super::Reader;
use crate::consumers::DeclaredConsumers;
use crate::file::ScenarioFile;
use crate::resolved::{OPERATOR, server_names};
use crate::role::Role;

/// The longest name of a topic, in characters.
const LONGEST_TOPIC: usize = 249;
/// Topics that brokers and controllers make themselves.
const INTERNAL_TOPICS: [&str; 4] = [
    "__cluster_metadata",
    "__consumer_offsets",
    "__share_group_state",
    "__transaction_state",
];

impl Reader {
    /// Kafka must take the names of topics, no two of them may collide in names of metrics, and every machine has a
    /// name of its own.
    pub(super) fn names(
        &mut self,
        file: &ScenarioFile,
        servers: &[ServerSpecification],
        consumers: &[DeclaredConsumers],
    ) {
        for (name, topic) in &file.topics {
            if let Some(wrong) = wrong_topic(name) {
                let remedy =
                    "Kafka refuses it (InvalidTopicException): 1 to 249 of a-z, A-Z, 0-9, `.`, `_` and `-`";
                self.refuse(topic, format!("topic {name:?}: {wrong}"), remedy);
            } else if INTERNAL_TOPICS.contains(&name.as_str()) {
                self.refuse(
                    topic,
                    format!("topic {name}: Kafka makes it itself"),
                    "leave it out",
                );
            }
            let mut before = file.topics.iter().take_while(|(other, _)| *other < name);
            let collides = |(other, _): &(&String, _)| other.replace('.', "_") == name.replace('.', "_");
            if let Some((other, _)) = before.find(collides) {
                let message = format!("topic {name} collides with topic {other}");
                let remedy = "Kafka refuses it (InvalidTopicException), since `.` and `_` are one in names of metrics: \
                              use only one of them";
                self.refuse(topic, message, remedy);
            }
        }
        let mut known = server_names(servers);
        known.push(OPERATOR.to_owned());
        for (name, producer) in &file.producers {
            self.machine("producer", name, name, producer, &mut known);
        }
        for (name, reader) in &file.readers {
            self.machine("reader", name, name, reader, &mut known);
        }
        for one in consumers {
            let Some(declared) = file.consumers.get(&one.name) else {
                continue;
            };
            for name in one.names() {
                self.machine("consumer", &one.name, &name, declared, &mut known);
            }
        }
    }

    fn machine<T>(
        &mut self,
        what: &str,
        declared: &str,
        name: &str,
        place: &Spanned<T>,
        known: &mut Vec<String>,
    ) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let number = if name == declared {
            String::new()
        } else {
            format!(" (one of the {declared}s, which are numbered)")
        };
        if name.is_empty() || !name.chars().all(plain) {
            let remedy = "give it a name of letters, digits, `-`, `_` and `.`, so that faults can name it";
            self.refuse(place, format!("{what} {name:?}: no name of a machine"), remedy);
        } else if Role::parse(name) != Ok(Role::Node(name.to_owned())) {
            let message = format!("{what} {name}: this word means machines of a kind");
            self.refuse(
                place,
                message,
                "give it another name, so that faults can tell which is meant",
            );
        } else if known.iter().any(|other| other == name) {
            let message = format!("{what} {name}{number}: another machine has this name");
            let remedy =
                "give each its own: brokers are b1, b2 ..., controllers c1, c2 ..., and `operator` is taken";
            self.refuse(place, message, remedy);
        }
        known.push(name.to_owned());
    }
}

/// What is wrong with a topic's name (`Topic.validate`).
fn wrong_topic(name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match name {
        "" => Some("an empty name"),
        "." | ".." => Some("a name of dots only"),
        name if !name.chars().all(plain) => Some("a character that is no letter, digit, `.`, `_` or `-`"),
        name if name.len() > LONGEST_TOPIC => Some("a name that is too long"),
        _ => None,
    }
}
