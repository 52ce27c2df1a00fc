//! `KafkaConfig.validateValues` and the checks of the configurations it holds. What it says about listeners
//! and voters does not apply: those are replaced.

use super::Findings;
use super::groups::groups;
use crate::config::catalogue::Scope;
use crate::config::effective::Values;
use crate::config::value::Value;

const ILLEGAL: &str = "IllegalArgumentException";

/// Finds what Kafka refuses in a server's values. `combined`: one process in both roles.
/// In Kafka's order: the first finding is the one Kafka would show.
pub fn server(values: &Values, combined: bool, findings: &mut Findings) {
    groups(values, findings);
    identity(values, findings);
    log_times(values, findings);
    cleaner(values, findings);
    replication(values, findings);
    if values.scope == Scope::Broker && !combined && values.boolean("controller.quorum.auto.join.enable") {
        findings.refuse(
            values,
            ILLEGAL,
            "KafkaConfig",
            &["controller.quorum.auto.join.enable"],
            "controller.quorum.auto.join.enable is only supported when process.roles contains the \
             'controller' role",
        );
    }
    listeners(values, findings);
    sockets(values, findings);
}

/// Only a line in the log, for settings of two files: the broker's heartbeat and the controller's session.
pub fn heartbeat_against_session(broker: &Values, controller: &Values, findings: &mut Findings) {
    let heartbeat = broker.whole("broker.heartbeat.interval.ms");
    let session = controller.whole("broker.session.timeout.ms");
    if heartbeat.saturating_mul(2) > session {
        let message = format!(
            "broker.heartbeat.interval.ms ({heartbeat}) is more than half of broker.session.timeout.ms \
             ({session}): Kafka logs an error and starts; one late heartbeat fences a broker"
        );
        let name = "broker.heartbeat.interval.ms";
        let values = if broker.is_set(name) { broker } else { controller };
        findings.warn(values, &[name, "broker.session.timeout.ms"], message);
    }
}

fn identity(values: &Values, findings: &mut Findings) {
    // Both are replaced, but Kafka would not start with such a file.
    let number = |name: &str| match values.get(name).value {
        Value::Whole(number) if number >= 0 => Some(number),
        _ => None,
    };
    if let (Some(node), Some(broker)) = (number("node.id"), number("broker.id"))
        && node != broker
    {
        findings.refuse(
            values,
            "ConfigException",
            "KafkaConfig",
            &["node.id", "broker.id"],
            "You must set `node.id` to the same value as `broker.id`",
        );
    }
}

fn listeners(values: &Values, findings: &mut Findings) {
    if values.get("inter.broker.listener.name").value != Value::Null
        && !values.get("security.inter.broker.protocol").is_default_origin()
    {
        findings.refuse(
            values,
            "ConfigException",
            "AbstractKafkaConfig",
            &["inter.broker.listener.name", "security.inter.broker.protocol"],
            "Only one of inter.broker.listener.name and security.inter.broker.protocol should be set",
        );
    }
    if values.get("advertised.listeners").shown().contains("://0.0.0.0:") {
        findings.refuse(
            values,
            ILLEGAL,
            "KafkaConfig",
            &["advertised.listeners"],
            "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address",
        );
    }
}

fn log_times(values: &Values, findings: &mut Findings) {
    if values.whole_or_null("log.roll.ms").is_some_and(|roll| roll < 1) {
        let reason = "log.roll.ms must be greater than or equal to 1";
        findings.refuse(values, ILLEGAL, "KafkaConfig", &["log.roll.ms"], reason);
    }
    if values
        .whole_or_null("log.roll.jitter.ms")
        .is_some_and(|jitter| jitter < 0)
    {
        let reason = "log.roll.jitter.ms must be greater than or equal to 0";
        findings.refuse(values, ILLEGAL, "KafkaConfig", &["log.roll.jitter.ms"], reason);
    }
    let names = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"];
    let decides = names
        .into_iter()
        .find_map(|name| Some((name, values.whole_or_null(name)?)));
    if let Some((name, 0)) = decides {
        let reason = "log.retention.ms must be unlimited (-1) or, greater than or equal to 1";
        findings.refuse(values, ILLEGAL, "KafkaConfig", &[name], reason);
    }
}

fn cleaner(values: &Values, findings: &mut Findings) {
    const BUFFER: &str = "log.cleaner.dedupe.buffer.size";
    const THREADS: &str = "log.cleaner.threads";
    let threads = values.whole(THREADS);
    if threads == 0 {
        // The range allows zero, the check below divides by it.
        findings.refuse(
            values,
            "ArithmeticException",
            "KafkaConfig",
            &[THREADS],
            "/ by zero",
        );
    } else if values.whole(BUFFER) / threads <= 1024 * 1024 {
        let reason = "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread";
        findings.refuse(values, ILLEGAL, "KafkaConfig", &[BUFFER, THREADS], reason);
    }
}

fn replication(values: &Values, findings: &mut Findings) {
    const WAIT: &str = "replica.fetch.wait.max.ms";
    for (other, reason) in [
        (
            "replica.socket.timeout.ms",
            "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent \
             unnecessary socket timeouts",
        ),
        (
            "replica.lag.time.max.ms",
            "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to \
             prevent frequent changes in ISR",
        ),
    ] {
        if values.whole(WAIT) > values.whole(other) {
            findings.refuse(values, ILLEGAL, "KafkaConfig", &[WAIT, other], reason);
        }
    }
}

fn sockets(values: &Values, findings: &mut Findings) {
    const QUEUED: &str = "queued.max.request.bytes";
    const LARGEST: &str = "socket.request.max.bytes";
    let queued = values.whole(QUEUED);
    if queued > 0 && queued < values.whole(LARGEST) {
        let reason = "queued.max.request.bytes must be larger or equal to socket.request.max.bytes";
        findings.refuse(values, ILLEGAL, "KafkaConfig", &[QUEUED, LARGEST], reason);
    }
    const PER_IP: &str = "max.connections.per.ip";
    const OVERRIDES: &str = "max.connections.per.ip.overrides";
    if values.whole(PER_IP) == 0 && values.text(OVERRIDES).is_empty() {
        let reason = "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides \
                      property is set";
        findings.refuse(values, ILLEGAL, "KafkaConfig", &[PER_IP, OVERRIDES], reason);
    }
    const DELAY: &str = "connection.failed.authentication.delay.ms";
    const IDLE: &str = "connections.max.idle.ms";
    let (delay, idle) = (values.whole(DELAY), values.whole(IDLE));
    if idle >= 0 && delay >= idle {
        let reason = format!(
            "{DELAY}={delay} should always be less than {IDLE}={idle} to prevent failed authentication \
             responses from timing out"
        );
        findings.refuse(values, ILLEGAL, "KafkaConfig", &[DELAY, IDLE], reason);
    }
}
