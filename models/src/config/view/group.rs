//! What a coordinator goes by for one group.

use ktrial_sim::Duration;

use super::{BrokerSettings, settings_view};
use crate::config::catalogue::Scope;

settings_view! {
    /// The settings of a group of the consumer protocol (`GroupConfig`): its own, or what brokers say for all.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    GroupSettings of Scope::Group;

    /// Without a heartbeat for this long the coordinator throws a member out.
    consumer_session_timeout_ms: Duration,
    /// What members are told to let pass between two heartbeats.
    consumer_heartbeat_interval_ms: Duration,
    /// The least time between two assignments; zero: none.
    consumer_assignment_interval_ms: Duration,
}

impl GroupSettings {
    /// What counts for a group without settings of its own.
    pub fn of_all(broker: &BrokerSettings) -> Self {
        GroupSettings {
            consumer_session_timeout_ms: broker.group_consumer_session_timeout_ms,
            consumer_heartbeat_interval_ms: broker.group_consumer_heartbeat_interval_ms,
            consumer_assignment_interval_ms: broker.group_consumer_assignment_interval_ms,
        }
    }
}
