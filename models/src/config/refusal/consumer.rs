//! `ConsumerConfig.postProcessParsedConfig` and what a consumer's parts check when they are made.

use super::{Findings, common_client};
use crate::config::effective::Values;

/// Corrects a consumer's values as Kafka does and finds what it refuses.
pub fn consumer(values: &mut Values, findings: &mut Findings) {
    common_client(values, findings);
    automatic_commit(values, findings);
    group_protocol(values, findings);
    group(values, findings);
    heartbeat(values, findings);
}

/// A group's id can be left out, but not be empty (`ClassicKafkaConsumer`'s constructor,
/// `AsyncKafkaConsumer.initializeGroupMetadata`). Kafka has trimmed it by then.
fn group(values: &Values, findings: &mut Findings) {
    const GROUP: &str = "group.id";
    if !values.is_set(GROUP) || !values.text(GROUP).trim().is_empty() {
        return;
    }
    let class = match values.text("group.protocol").eq_ignore_ascii_case("classic") {
        true => "ClassicKafkaConsumer",
        false => "AsyncKafkaConsumer",
    };
    findings.refuse(
        values,
        "InvalidGroupIdException",
        class,
        &[GROUP],
        "The configured group.id should not be an empty string or whitespace",
    );
}

fn automatic_commit(values: &mut Values, findings: &mut Findings) {
    const AUTO_COMMIT: &str = "enable.auto.commit";
    if values.is_set("group.id") {
        return;
    }
    if !values.is_set(AUTO_COMMIT) {
        values.derive(AUTO_COMMIT, "false".to_string(), "there is no group.id");
    } else if values.boolean(AUTO_COMMIT) {
        findings.refuse(
            values,
            "InvalidConfigurationException",
            "ConsumerConfig",
            &[AUTO_COMMIT, "group.id"],
            "enable.auto.commit cannot be set to true when default group id (null) is used",
        );
    }
}

fn group_protocol(values: &Values, findings: &mut Findings) {
    const ONLY_SHARE: [&str; 2] = ["share.acknowledgement.mode", "share.acquire.mode"];
    let classic = values.text("group.protocol").eq_ignore_ascii_case("classic");
    let own: &[&'static str] = if classic {
        &["group.remote.assignor"]
    } else {
        &[
            "partition.assignment.strategy",
            "heartbeat.interval.ms",
            "session.timeout.ms",
        ]
    };
    let wrong: Vec<&'static str> = own
        .iter()
        .copied()
        .chain(ONLY_SHARE)
        .filter(|name| values.is_set(name) && !values.get(name).shown().is_empty())
        .collect();
    if !wrong.is_empty() {
        let protocol = if classic { "CLASSIC" } else { "CONSUMER" };
        let reason = format!(
            "{} cannot be set when group.protocol={protocol}",
            wrong.join(", ")
        );
        findings.refuse(values, "ConfigException", "ConsumerConfig", &wrong, reason);
    }
}

fn heartbeat(values: &Values, findings: &mut Findings) {
    const HEARTBEAT: &str = "heartbeat.interval.ms";
    const SESSION: &str = "session.timeout.ms";
    let classic = values.text("group.protocol").eq_ignore_ascii_case("classic");
    if classic && values.is_set("group.id") && values.whole(HEARTBEAT) >= values.whole(SESSION) {
        findings.refuse(
            values,
            "IllegalArgumentException",
            "Heartbeat",
            &[HEARTBEAT, SESSION],
            "Heartbeat must be set lower than the session timeout",
        );
    }
}
