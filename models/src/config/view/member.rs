//! What a consumer of a group runs with besides what every consumer does.

use std::sync::Arc;

use ktrial_sim::Duration;

use super::{AssignmentStrategies, GroupProtocol, settings_view};
use crate::config::catalogue::Scope;

settings_view! {
    /// The settings of a consumer's membership in a group (`ConsumerConfig`, `GroupRebalanceConfig`).
    #[derive(Clone, Debug, PartialEq, Eq)]
    MemberSettings of Scope::Consumer;

    /// The protocol between members and coordinator.
    group_protocol: GroupProtocol,
    /// Without a heartbeat for this long the coordinator throws a member out.
    session_timeout_ms: Duration,
    /// Between two heartbeats.
    heartbeat_interval_ms: Duration,
    /// Between two calls of `poll`; longer: the member leaves. Also how long a rebalance waits for members.
    max_poll_interval_ms: Duration,
    /// Whether positions are committed without the application.
    enable_auto_commit: bool,
    /// How often.
    auto_commit_interval_ms: Duration,
    /// How partitions are divided, the preferred strategy first.
    partition_assignment_strategy: AssignmentStrategies,
    /// Which of the coordinator's assignors the group shall use, with the consumer protocol.
    group_remote_assignor: Option<Arc<str>>,
    /// A static member's id (KIP-345).
    group_instance_id: Option<Arc<str>>,
}
