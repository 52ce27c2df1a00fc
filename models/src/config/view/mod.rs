//! What the models read: one struct per role, with fields named after Kafka's settings.

mod broker;
mod controller;
mod group;
mod kinds;
mod member;
mod producer;
mod reader;
mod topic;

use std::sync::Arc;

use ktrial_sim::Duration;

pub use broker::BrokerSettings;
pub use controller::ControllerSettings;
pub use group::GroupSettings;
pub use kinds::{
    Acks, AssignmentStrategies, CleanupPolicy, Compression, GroupProtocol, IsolationLevel,
    MetadataRecoveryStrategy, MigrationPolicy, Millionths, Partitioner, RebalanceProtocols, ReplicaSelector,
    ServerAssignors, TimestampType,
};
pub use member::MemberSettings;
pub use producer::ProducerSettings;
pub use reader::ReaderSettings;
pub use topic::TopicSettings;

use super::effective::Effective;
use super::value::Value;

/// Declares a view: `field: Type` reads the setting of that name with dots for the underscores.
macro_rules! settings_view {
    (
        $(#[$about:meta])*
        $view:ident of $scope:expr;
        $($(#[$field_about:meta])* $field:ident: $kind:ty,)*
    ) => {
        $(#[$about])*
        pub struct $view {
            $($(#[$field_about])* pub $field: $kind,)*
        }

        impl $view {
            /// The names of the settings behind the fields, with `_` for `.`, in their order.
            pub const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

            /// Reads the values that count; what the models cannot run with goes to `errors`, and the
            /// default takes its place.
            pub(in crate::config) fn from_values(
                values: &$crate::config::effective::Values,
                errors: &mut Vec<$crate::config::ConfigError>,
            ) -> Self {
                let defaults = $crate::config::effective::Values::defaults($scope);
                $view {
                    $($field: $crate::config::view::read(
                        values.field(stringify!($field)),
                        defaults.field(stringify!($field)),
                        errors,
                    ),)*
                }
            }
        }

        impl Default for $view {
            /// Kafka's defaults.
            fn default() -> Self {
                let defaults = $crate::config::effective::Values::defaults($scope);
                let mut errors = Vec::new();
                let view = Self::from_values(&defaults, &mut errors);
                assert!(errors.is_empty(), "{errors:?}");
                view
            }
        }
    };
}
use settings_view;

/// A type that a field of a view can have.
trait FromSetting: Sized {
    /// What the models can run with, for the error message.
    const ACCEPTS: &'static str;

    /// None if the models cannot run with the value.
    fn from_setting(effective: &Effective) -> Option<Self>;
}

fn read<T: FromSetting>(
    effective: &Effective,
    default: &Effective,
    errors: &mut Vec<super::ConfigError>,
) -> T {
    T::from_setting(effective).unwrap_or_else(|| {
        errors.push(super::ConfigError::about(
            &effective.origin,
            format!(
                "{}={}: ktrial does not model this value",
                effective.setting.name,
                effective.shown()
            ),
            format!("give {}", T::ACCEPTS),
        ));
        T::from_setting(default).expect("the models run with every default")
    })
}

fn whole(effective: &Effective) -> Option<i64> {
    match effective.value {
        Value::Whole(number) => Some(number),
        _ => None,
    }
}

impl FromSetting for Duration {
    const ACCEPTS: &'static str = "a time that is not negative";

    /// The unit is the last word of the name.
    fn from_setting(effective: &Effective) -> Option<Self> {
        let number = u64::try_from(whole(effective)?).ok()?;
        match effective.setting.name.rsplit('.').next() {
            Some("ms") => Some(Duration::millis(number)),
            Some("seconds") => Some(Duration::secs(number)),
            Some("minutes") => Some(Duration::secs(60).saturating_mul(number)),
            unit => unreachable!("no unit {unit:?}"),
        }
    }
}

impl FromSetting for Option<Duration> {
    const ACCEPTS: &'static str = "a time";

    /// Negative or null means no limit.
    fn from_setting(effective: &Effective) -> Option<Self> {
        Some(Duration::from_setting(effective))
    }
}

impl FromSetting for u32 {
    const ACCEPTS: &'static str = "a number that is not negative";

    fn from_setting(effective: &Effective) -> Option<Self> {
        u32::try_from(whole(effective)?).ok()
    }
}

impl FromSetting for u64 {
    const ACCEPTS: &'static str = "a number that is not negative";

    fn from_setting(effective: &Effective) -> Option<Self> {
        u64::try_from(whole(effective)?).ok()
    }
}

impl FromSetting for Option<u32> {
    const ACCEPTS: &'static str = "a number";

    fn from_setting(effective: &Effective) -> Option<Self> {
        Some(u32::from_setting(effective))
    }
}

impl FromSetting for Option<u64> {
    const ACCEPTS: &'static str = "a number";

    /// Negative or null means no limit.
    fn from_setting(effective: &Effective) -> Option<Self> {
        Some(u64::from_setting(effective))
    }
}

impl FromSetting for bool {
    const ACCEPTS: &'static str = "true or false";

    fn from_setting(effective: &Effective) -> Option<Self> {
        match effective.value {
            Value::Boolean(value) => Some(value),
            _ => None,
        }
    }
}

impl FromSetting for Option<Arc<str>> {
    const ACCEPTS: &'static str = "a text";

    /// Empty means none.
    fn from_setting(effective: &Effective) -> Option<Self> {
        match &effective.value {
            Value::Text(text) if !text.is_empty() => Some(Some(text.as_str().into())),
            _ => Some(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::catalogue::Scope;

    #[test]
    fn defaults_are_those_of_4_3() {
        let broker = BrokerSettings::default();
        assert_eq!(broker.replica_lag_time_max_ms, Duration::secs(30));
        assert_eq!(broker.num_io_threads, 8);
        assert_eq!(broker.log_flush_scheduler_interval_ms, Duration::FOREVER);
        assert_eq!(broker.queued_max_request_bytes, None);
        let controller = ControllerSettings::default();
        assert_eq!(
            controller.leader_imbalance_check_interval_seconds,
            Duration::secs(300)
        );
        assert_eq!(controller.controller_quorum_fetch_timeout_ms, Duration::secs(2));
        let topic = TopicSettings::default();
        assert_eq!(
            (topic.min_insync_replicas, topic.unclean_leader_election_enable),
            (1, false)
        );
        assert_eq!(
            (topic.flush_messages, topic.flush_ms),
            (i64::MAX as u64, Duration::FOREVER)
        );
        assert_eq!(topic.retention_bytes, None);
        let producer = ProducerSettings::default();
        assert_eq!((producer.acks, producer.enable_idempotence), (Acks::All, true));
        assert_eq!(
            (producer.linger_ms, producer.batch_size),
            (Duration::millis(5), 16384)
        );
        let reader = ReaderSettings::default();
        assert_eq!(reader.isolation_level, IsolationLevel::ReadUncommitted);
        assert_eq!(reader.client_rack, None);
    }

    #[test]
    fn every_field_is_named_after_a_setting_that_its_role_reads() {
        let views = [
            (Scope::Broker, BrokerSettings::FIELDS),
            (Scope::Controller, ControllerSettings::FIELDS),
            (Scope::Topic, TopicSettings::FIELDS),
            (Scope::Producer, ProducerSettings::FIELDS),
            (Scope::Consumer, ReaderSettings::FIELDS),
            (Scope::Group, GroupSettings::FIELDS),
        ];
        for (scope, fields) in views {
            for field in fields {
                let setting = scope.setting(&field.replace('_', ".")).expect(field);
                assert!(
                    scope.reads(setting),
                    "a {} does not read {}",
                    scope.word(),
                    setting.name
                );
            }
        }
    }
}
