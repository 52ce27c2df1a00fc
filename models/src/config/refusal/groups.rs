//! `GroupCoordinatorConfig` and `ShareGroupConfig` check themselves in every server, groups or not.

use super::Findings;
use crate::config::effective::Values;
use crate::config::value::Value;
use Relation::{AtLeast, AtMost, Below};

/// What the left setting must be, against the right one.
#[derive(Clone, Copy)]
enum Relation {
    AtLeast,
    AtMost,
    Below,
}

/// A setting, what it must be, and against which other one.
type Rule = (&'static str, Relation, &'static str);

/// `GroupCoordinatorConfig`, up to the check of the share assignors.
const CONSUMER_AND_SHARE: [Rule; 17] = [
    (
        "group.consumer.max.heartbeat.interval.ms",
        AtLeast,
        "group.consumer.min.heartbeat.interval.ms",
    ),
    (
        "group.consumer.heartbeat.interval.ms",
        AtLeast,
        "group.consumer.min.heartbeat.interval.ms",
    ),
    (
        "group.consumer.heartbeat.interval.ms",
        AtMost,
        "group.consumer.max.heartbeat.interval.ms",
    ),
    (
        "group.consumer.max.session.timeout.ms",
        AtLeast,
        "group.consumer.min.session.timeout.ms",
    ),
    (
        "group.consumer.session.timeout.ms",
        AtLeast,
        "group.consumer.min.session.timeout.ms",
    ),
    (
        "group.consumer.session.timeout.ms",
        AtMost,
        "group.consumer.max.session.timeout.ms",
    ),
    (
        "group.consumer.heartbeat.interval.ms",
        Below,
        "group.consumer.session.timeout.ms",
    ),
    (
        "group.consumer.max.assignment.interval.ms",
        AtLeast,
        "group.consumer.min.assignment.interval.ms",
    ),
    (
        "group.consumer.assignment.interval.ms",
        AtLeast,
        "group.consumer.min.assignment.interval.ms",
    ),
    (
        "group.consumer.assignment.interval.ms",
        AtMost,
        "group.consumer.max.assignment.interval.ms",
    ),
    (
        "group.share.max.heartbeat.interval.ms",
        AtLeast,
        "group.share.min.heartbeat.interval.ms",
    ),
    (
        "group.share.heartbeat.interval.ms",
        AtLeast,
        "group.share.min.heartbeat.interval.ms",
    ),
    (
        "group.share.heartbeat.interval.ms",
        AtMost,
        "group.share.max.heartbeat.interval.ms",
    ),
    (
        "group.share.max.session.timeout.ms",
        AtLeast,
        "group.share.min.session.timeout.ms",
    ),
    (
        "group.share.session.timeout.ms",
        AtLeast,
        "group.share.min.session.timeout.ms",
    ),
    (
        "group.share.session.timeout.ms",
        AtMost,
        "group.share.max.session.timeout.ms",
    ),
    (
        "group.share.heartbeat.interval.ms",
        Below,
        "group.share.session.timeout.ms",
    ),
];

/// `GroupCoordinatorConfig`, the rest.
const SHARE_AND_STREAMS: [Rule; 14] = [
    (
        "group.share.max.assignment.interval.ms",
        AtLeast,
        "group.share.min.assignment.interval.ms",
    ),
    (
        "group.share.assignment.interval.ms",
        AtLeast,
        "group.share.min.assignment.interval.ms",
    ),
    (
        "group.share.assignment.interval.ms",
        AtMost,
        "group.share.max.assignment.interval.ms",
    ),
    (
        "group.streams.max.heartbeat.interval.ms",
        AtLeast,
        "group.streams.min.heartbeat.interval.ms",
    ),
    (
        "group.streams.heartbeat.interval.ms",
        AtLeast,
        "group.streams.min.heartbeat.interval.ms",
    ),
    (
        "group.streams.heartbeat.interval.ms",
        AtMost,
        "group.streams.max.heartbeat.interval.ms",
    ),
    (
        "group.streams.max.session.timeout.ms",
        AtLeast,
        "group.streams.min.session.timeout.ms",
    ),
    (
        "group.streams.session.timeout.ms",
        AtLeast,
        "group.streams.min.session.timeout.ms",
    ),
    (
        "group.streams.session.timeout.ms",
        AtMost,
        "group.streams.max.session.timeout.ms",
    ),
    (
        "group.streams.heartbeat.interval.ms",
        Below,
        "group.streams.session.timeout.ms",
    ),
    (
        "group.streams.max.assignment.interval.ms",
        AtLeast,
        "group.streams.min.assignment.interval.ms",
    ),
    (
        "group.streams.assignment.interval.ms",
        AtLeast,
        "group.streams.min.assignment.interval.ms",
    ),
    (
        "group.streams.assignment.interval.ms",
        AtMost,
        "group.streams.max.assignment.interval.ms",
    ),
    (
        "group.streams.num.standby.replicas",
        AtMost,
        "group.streams.max.standby.replicas",
    ),
];

/// `ShareGroupConfig`.
const SHARE: [Rule; 7] = [
    (
        "group.share.max.delivery.count.limit",
        AtLeast,
        "group.share.delivery.count.limit",
    ),
    (
        "group.share.delivery.count.limit",
        AtLeast,
        "group.share.min.delivery.count.limit",
    ),
    (
        "group.share.max.partition.max.record.locks",
        AtLeast,
        "group.share.partition.max.record.locks",
    ),
    (
        "group.share.partition.max.record.locks",
        AtLeast,
        "group.share.min.partition.max.record.locks",
    ),
    (
        "group.share.record.lock.duration.ms",
        AtLeast,
        "group.share.min.record.lock.duration.ms",
    ),
    (
        "group.share.max.record.lock.duration.ms",
        AtLeast,
        "group.share.record.lock.duration.ms",
    ),
    ("group.share.max.share.sessions", AtLeast, "group.share.max.size"),
];

/// A group's setting, and the brokers' that bound it.
type Bounds = (&'static str, Option<&'static str>, Option<&'static str>);

/// In Kafka's order.
const BOUNDS_OF_A_GROUP: [Bounds; 13] = [
    (
        "consumer.heartbeat.interval.ms",
        Some("group.consumer.min.heartbeat.interval.ms"),
        Some("group.consumer.max.heartbeat.interval.ms"),
    ),
    (
        "consumer.session.timeout.ms",
        Some("group.consumer.min.session.timeout.ms"),
        Some("group.consumer.max.session.timeout.ms"),
    ),
    (
        "consumer.assignment.interval.ms",
        Some("group.consumer.min.assignment.interval.ms"),
        Some("group.consumer.max.assignment.interval.ms"),
    ),
    (
        "share.heartbeat.interval.ms",
        Some("group.share.min.heartbeat.interval.ms"),
        Some("group.share.max.heartbeat.interval.ms"),
    ),
    (
        "share.session.timeout.ms",
        Some("group.share.min.session.timeout.ms"),
        Some("group.share.max.session.timeout.ms"),
    ),
    (
        "share.record.lock.duration.ms",
        Some("group.share.min.record.lock.duration.ms"),
        Some("group.share.max.record.lock.duration.ms"),
    ),
    (
        "share.delivery.count.limit",
        Some("group.share.min.delivery.count.limit"),
        Some("group.share.max.delivery.count.limit"),
    ),
    (
        "share.partition.max.record.locks",
        Some("group.share.min.partition.max.record.locks"),
        Some("group.share.max.partition.max.record.locks"),
    ),
    (
        "share.assignment.interval.ms",
        Some("group.share.min.assignment.interval.ms"),
        Some("group.share.max.assignment.interval.ms"),
    ),
    (
        "streams.heartbeat.interval.ms",
        Some("group.streams.min.heartbeat.interval.ms"),
        Some("group.streams.max.heartbeat.interval.ms"),
    ),
    (
        "streams.session.timeout.ms",
        Some("group.streams.min.session.timeout.ms"),
        Some("group.streams.max.session.timeout.ms"),
    ),
    (
        "streams.num.standby.replicas",
        None,
        Some("group.streams.max.standby.replicas"),
    ),
    (
        "streams.assignment.interval.ms",
        Some("group.streams.min.assignment.interval.ms"),
        Some("group.streams.max.assignment.interval.ms"),
    ),
];

/// In Kafka's order.
pub fn groups(values: &Values, findings: &mut Findings) {
    const GROUP: &str = "GroupCoordinatorConfig";
    const ASSIGNORS: &str = "group.share.assignors";
    check(values, GROUP, &CONSUMER_AND_SHARE, findings);
    if let Value::List(assignors) = &values.get(ASSIGNORS).value
        && assignors.len() != 1
    {
        let reason = format!(
            "{ASSIGNORS} must contain exactly one assignor, but found {}",
            assignors.len()
        );
        findings.refuse(values, "IllegalArgumentException", GROUP, &[ASSIGNORS], reason);
    }
    check(values, GROUP, &SHARE_AND_STREAMS, findings);
    check(values, "ShareGroupConfig", &SHARE, findings);
}

/// What a group's own configuration is refused for (`GroupConfig.validateValues`): a value outside of what brokers
/// allow, or a session no longer than the time between two heartbeats. A broker's other settings are checked where it
/// starts.
pub fn group(values: &Values, broker: &Values, findings: &mut Findings) {
    const CLASS: &str = "GroupConfig";
    const EXCEPTION: &str = "InvalidConfigurationException";
    for (name, least, most) in BOUNDS_OF_A_GROUP {
        let value = values.whole(name);
        for (bound, wrong, words) in [
            (
                least,
                least.is_some_and(|least| value < broker.whole(least)),
                "greater than or equal to",
            ),
            (
                most,
                most.is_some_and(|most| value > broker.whole(most)),
                "less than or equal to",
            ),
        ] {
            if let Some(bound) = bound
                && wrong
            {
                let reason = format!("{name} must be {words} {bound} ({})", broker.whole(bound));
                findings.refuse(values, EXCEPTION, CLASS, &[name], reason);
            }
        }
    }
    for (session, heartbeat) in [
        ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"),
        ("share.session.timeout.ms", "share.heartbeat.interval.ms"),
        ("streams.session.timeout.ms", "streams.heartbeat.interval.ms"),
    ] {
        if values.whole(session) <= values.whole(heartbeat) {
            let reason = format!("{session} must be greater than {heartbeat}");
            findings.refuse(values, EXCEPTION, CLASS, &[session, heartbeat], reason);
        }
    }
}

fn check(values: &Values, class: &'static str, rules: &[Rule], findings: &mut Findings) {
    for (left, relation, right) in rules {
        let (a, b) = (values.whole(left), values.whole(right));
        let (holds, words) = match relation {
            AtLeast => (a >= b, "greater than or equal to"),
            AtMost => (a <= b, "less than or equal to"),
            Below => (a < b, "less than"),
        };
        if !holds {
            let reason = format!("{left} must be {words} {right}");
            findings.refuse(values, "IllegalArgumentException", class, &[left, right], reason);
        }
    }
}
