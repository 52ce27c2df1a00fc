//! The settings that decide what Kafka promises, with their origins.

use ktrial_models::config::catalogue::Scope;
use ktrial_scenarios::Arm;
use serde::Serialize;

/// A setting as it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecidingSetting {
    /// Whose: `producer p1`, `topic orders`, `broker`.
    pub of: String,
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Where it comes from.
    pub from: String,
}

const DECIDING: [(Scope, &[&str]); 3] = [
    (
        Scope::Producer,
        &["acks", "enable.idempotence", "retries", "delivery.timeout.ms"],
    ),
    (
        Scope::Topic,
        &[
            "min.insync.replicas",
            "unclean.leader.election.enable",
            "flush.messages",
        ],
    ),
    (Scope::Broker, &["replica.lag.time.max.ms"]),
];

/// All of them.
pub fn deciding(arm: &Arm) -> Vec<DecidingSetting> {
    let mut settings = Vec::new();
    for (scope, names) in DECIDING {
        let of_scope =
            arm.settings.values.iter().filter(|values| {
                values.scope == scope && (scope == Scope::Broker || values.instance.is_some())
            });
        for values in of_scope {
            let mut of = scope.word().to_owned();
            if let Some(instance) = &values.instance {
                of.extend([" ", instance]);
            }
            for name in names {
                if let Some(effective) = values.find(name) {
                    settings.push(DecidingSetting {
                        of: of.clone(),
                        name: effective.setting.name,
                        value: effective.shown().to_owned(),
                        from: effective.origin.to_string(),
                    });
                }
            }
        }
    }
    let level = arm.resolved.cluster.features.eligible_leader_replicas;
    settings.push(DecidingSetting {
        of: "cluster".to_owned(),
        name: "eligible.leader.replicas.version",
        value: level.to_string(),
        from: "the scenario's features".to_owned(),
    });
    settings
}
