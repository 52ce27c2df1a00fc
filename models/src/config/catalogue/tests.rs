//! The tables against what Kafka's ConfigDefs hold.

use super::*;
use crate::config::value;

#[test]
fn the_catalogue_has_as_many_entries_as_kafkas_config_defs() {
    // Counted from the ConfigDefs of the released 4.3.0 classes.
    let scopes = [
        Scope::Broker,
        Scope::Topic,
        Scope::Producer,
        Scope::Consumer,
        Scope::Group,
    ];
    let counts = scopes.map(|scope| scope.settings().len());
    assert_eq!(counts, [360, 34, 113, 116, 17]);
}

#[test]
fn the_catalogue_has_as_many_entries_as_each_of_kafkas_server_classes() {
    let classes = [
        ("AddPartitionsToTxnConfig", 2),
        ("BrokerSecurityConfigs", 74),
        ("CleanerConfig", 11),
        ("DelegationTokenManagerConfigs", 4),
        ("GroupCoordinatorConfig", 56),
        ("KRaftConfigs", 10),
        ("MetadataLogConfig", 11),
        ("MetricConfigs", 7),
        ("QuorumConfig", 11),
        ("QuotaConfig", 9),
        ("RemoteLogManagerConfig", 31),
        ("ReplicationConfigs", 23),
        ("ServerConfigs", 23),
        ("ServerLogConfigs", 34),
        ("ShareCoordinatorConfig", 13),
        ("ShareGroupConfig", 12),
        ("SocketServerConfigs", 16),
        ("TransactionLogConfig", 8),
        ("TransactionStateManagerConfig", 5),
    ];
    for (class, count) in classes {
        let ours = Scope::Broker
            .settings()
            .iter()
            .filter(|setting| setting.class == class)
            .count();
        assert_eq!(ours, count, "{class}");
    }
}

#[test]
fn names_are_sorted_and_given_once() {
    for scope in Scope::ALL {
        for pair in scope.settings().windows(2) {
            assert!(
                pair[0].name < pair[1].name,
                "{} and {}",
                pair[0].name,
                pair[1].name
            );
        }
    }
}

#[test]
fn every_default_passes_its_own_validator() {
    for scope in Scope::ALL {
        for setting in scope.settings() {
            if let Fallback::Text(text) = setting.default {
                value::parse(setting, text).unwrap_or_else(|e| panic!("{}: {e:?}", setting.name));
            }
        }
    }
}

#[test]
fn every_treatment_says_why() {
    for setting in Scope::ALL.into_iter().flat_map(Scope::settings) {
        match setting.treatment {
            Treatment::Modelled { test: reason, .. }
            | Treatment::Neutral { reason }
            | Treatment::Replaced { by: reason } => assert!(!reason.is_empty(), "{}", setting.name),
            Treatment::Inert { .. } | Treatment::Unmodelled => {}
        }
    }
}

#[test]
fn what_kafka_requires_is_given_by_the_scenario_or_needs_no_value() {
    for setting in Scope::ALL.into_iter().flat_map(Scope::settings) {
        if setting.default == Fallback::Required {
            let ours = matches!(
                setting.treatment,
                Treatment::Replaced { .. } | Treatment::Neutral { .. }
            );
            assert!(ours, "{}", setting.name);
        }
    }
}

#[test]
fn defaults_of_protocol_notes_hold() {
    let text = |scope: Scope, name: &str| scope.setting(name).map(|setting| setting.default);
    assert_eq!(text(Scope::Producer, "linger.ms"), Some(Fallback::Text("5")));
    assert_eq!(
        text(Scope::Broker, "replica.lag.time.max.ms"),
        Some(Fallback::Text("30000"))
    );
    assert_eq!(
        text(Scope::Broker, "num.recovery.threads.per.data.dir"),
        Some(Fallback::Text("2"))
    );
    assert_eq!(text(Scope::Broker, "log.flush.interval.ms"), Some(Fallback::Null));
    assert_eq!(
        text(Scope::Topic, "max.message.bytes"),
        Some(Fallback::Text("1048588"))
    );
    assert_eq!(
        text(Scope::Consumer, "fetch.max.bytes"),
        Some(Fallback::Text("52428800"))
    );
}
