//! `LogConfig.validate` for topics, `LogConfig.validateBrokerLogConfigValues` for what a broker's file says.

use super::Findings;
use crate::config::effective::Values;

/// What the controller refuses when a topic is created with these values. `tiering`: whether
/// `remote.log.storage.system.enable` is on.
pub fn topic(values: &Values, tiering: bool, findings: &mut Findings) {
    compaction_lags(values, "min.compaction.lag.ms", "max.compaction.lag.ms", findings);
    const REMOTE: &str = "remote.storage.enable";
    if values.boolean(REMOTE) && !tiering {
        findings.refuse(
            values,
            "ConfigException",
            "LogConfig",
            &[REMOTE],
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote \
             log storage",
        );
    }
}

/// What a broker refuses when its log manager starts.
pub fn broker_log_defaults(values: &Values, findings: &mut Findings) {
    compaction_lags(
        values,
        "log.cleaner.min.compaction.lag.ms",
        "log.cleaner.max.compaction.lag.ms",
        findings,
    );
}

fn compaction_lags(values: &Values, least: &'static str, most: &'static str, findings: &mut Findings) {
    let (from, to) = (values.whole(least), values.whole(most));
    if from > to {
        let reason = format!(
            "conflict topic config setting min.compaction.lag.ms ({from}) > max.compaction.lag.ms ({to})"
        );
        findings.refuse(
            values,
            "InvalidConfigurationException",
            "LogConfig",
            &[least, most],
            reason,
        );
    }
}
