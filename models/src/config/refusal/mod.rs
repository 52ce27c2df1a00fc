//! What Kafka refuses although every single value is valid, and what it corrects.

mod consumer;
mod groups;
mod producer;
mod server;
mod topic;

pub(super) use consumer::consumer;
pub(super) use groups::group;
pub(super) use producer::producer;
pub(super) use server::{heartbeat_against_session, server};
pub(super) use topic::{broker_log_defaults, topic};

use super::effective::Values;
use super::problem::{Refusal, Warning};

/// Collects what is found about one set of values.
pub(super) struct Findings {
    pub refusals: Vec<Refusal>,
    pub warnings: Vec<Warning>,
}

impl Findings {
    pub fn none() -> Self {
        Findings {
            refusals: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Kafka throws this, because of these settings.
    fn refuse(
        &mut self,
        values: &Values,
        exception: &'static str,
        class: &'static str,
        names: &[&'static str],
        reason: impl Into<String>,
    ) {
        let settings = names
            .iter()
            .map(|name| {
                let entry = values.get(name);
                (*name, entry.shown().to_string(), entry.origin.clone())
            })
            .collect();
        let (scope, instance) = (values.scope, values.instance.clone());
        self.refusals.push(Refusal {
            scope,
            instance,
            exception,
            class,
            reason: reason.into(),
            settings,
        });
    }

    /// Kafka goes on, but the user should know; points at the first of the settings that has a place.
    pub(super) fn warn(&mut self, values: &Values, names: &[&str], message: impl Into<String>) {
        let place = names
            .iter()
            .find_map(|name| values.get(name).origin.place().cloned());
        self.warnings.push(Warning {
            place,
            message: message.into(),
        });
    }
}

/// What all clients have in common (`CommonClientConfigs`): a reconnect back-off that was set alone is no
/// longer exponential, and back-offs above their maximum are constant.
fn common_client(values: &mut Values, findings: &mut Findings) {
    const RECONNECT: &str = "reconnect.backoff.ms";
    const RECONNECT_MAX: &str = "reconnect.backoff.max.ms";
    if values.is_set(RECONNECT) && !values.is_set(RECONNECT_MAX) {
        let text = values.whole(RECONNECT).to_string();
        values.derive(RECONNECT_MAX, text, "reconnect.backoff.ms was set without it");
        findings.warn(
            values,
            &[RECONNECT],
            "reconnect.backoff.ms set without reconnect.backoff.max.ms: Kafka uses it for both, so the \
             pause does not grow",
        );
    }
    for (first, most, what) in [
        ("retry.backoff.ms", "retry.backoff.max.ms", "pause"),
        (
            "socket.connection.setup.timeout.ms",
            "socket.connection.setup.timeout.max.ms",
            "connection set-up time-out",
        ),
    ] {
        if values.whole(first) > values.whole(most) {
            let message = format!(
                "{first} is above {most}: the {what} is always {}",
                values.whole(most)
            );
            findings.warn(values, &[first, most], message);
        }
    }
    if values
        .text("security.protocol")
        .to_ascii_uppercase()
        .starts_with("SASL")
        && values.text("sasl.mechanism").is_empty()
    {
        findings.refuse(
            values,
            "ConfigException",
            "CommonClientConfigs",
            &["security.protocol", "sasl.mechanism"],
            "Invalid value null for configuration sasl.mechanism: When the security.protocol configuration enables SASL, mechanism must be non-null and \
             non-empty string",
        );
    }
}
