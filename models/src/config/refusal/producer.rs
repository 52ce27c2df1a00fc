//! `ProducerConfig.postProcessAndValidateIdempotenceConfigs`, `KafkaProducer.configureDeliveryTimeout`.

use super::{Findings, common_client};
use crate::config::effective::Values;

const IDEMPOTENCE: &str = "enable.idempotence";
const IN_FLIGHT: &str = "max.in.flight.requests.per.connection";

/// Corrects a producer's values as Kafka does and finds what it refuses.
pub fn producer(values: &mut Values, findings: &mut Findings) {
    common_client(values, findings);
    idempotence(values, findings);
    transactions(values, findings);
    delivery_timeout(values, findings);
}

fn idempotence(values: &mut Values, findings: &mut Findings) {
    if !values.boolean(IDEMPOTENCE) {
        return;
    }
    let asked_for = values.is_set(IDEMPOTENCE);
    let mut reasons = Vec::new();
    if values.whole("retries") == 0 {
        reasons.push((
            "retries",
            "Must set retries to non-zero when using the idempotent producer",
            "retries is 0",
        ));
    }
    if !matches!(values.text("acks"), "all" | "-1") {
        reasons.push((
            "acks",
            "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee \
             idempotence",
            "acks is not all",
        ));
    }
    for (name, refusal, because) in reasons {
        if asked_for {
            findings.refuse(
                values,
                "ConfigException",
                "ProducerConfig",
                &[name, IDEMPOTENCE],
                refusal,
            );
            continue;
        }
        let message = format!("{because}: Kafka silently turns enable.idempotence off");
        findings.warn(values, &[name], message);
        if values.boolean(IDEMPOTENCE) {
            values.derive(IDEMPOTENCE, "false".to_string(), because);
        }
    }
    if values.whole(IN_FLIGHT) > 5 {
        let reason = format!(
            "To use the idempotent producer, {IN_FLIGHT} must be set to at most 5. Current value is {}",
            values.whole(IN_FLIGHT)
        );
        // Whether idempotence was asked for does not matter here (since 4.0).
        findings.refuse(
            values,
            "ConfigException",
            "ProducerConfig",
            &[IN_FLIGHT, IDEMPOTENCE],
            reason,
        );
    }
}

fn transactions(values: &Values, findings: &mut Findings) {
    const ID: &str = "transactional.id";
    const TWO_PHASE: &str = "transaction.two.phase.commit.enable";
    const TIMEOUT: &str = "transaction.timeout.ms";
    if values.is_set(ID) && !values.boolean(IDEMPOTENCE) {
        findings.refuse(
            values,
            "ConfigException",
            "ProducerConfig",
            &[ID, IDEMPOTENCE],
            "Cannot set a transactional.id without also enabling idempotence",
        );
    }
    if values.boolean(TWO_PHASE) && values.is_set(TIMEOUT) {
        findings.refuse(
            values,
            "ConfigException",
            "ProducerConfig",
            &[TIMEOUT, TWO_PHASE],
            "Cannot set transaction.timeout.ms when transaction.two.phase.commit.enable is set to true. \
             Transactions will not expire with two-phase commit enabled",
        );
    }
}

fn delivery_timeout(values: &mut Values, findings: &mut Findings) {
    const DELIVERY: &str = "delivery.timeout.ms";
    let most = i64::from(i32::MAX);
    let linger = values.whole("linger.ms").min(most);
    let least = linger
        .saturating_add(values.whole("request.timeout.ms"))
        .min(most);
    if values.whole(DELIVERY) >= least {
        return;
    }
    if values.is_set(DELIVERY) {
        findings.refuse(
            values,
            "ConfigException",
            "KafkaProducer",
            &[DELIVERY, "linger.ms", "request.timeout.ms"],
            "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms",
        );
        return;
    }
    let message =
        format!("linger.ms + request.timeout.ms is more: Kafka raises delivery.timeout.ms to {least}");
    findings.warn(values, &["request.timeout.ms", "linger.ms"], message);
    values.derive(
        DELIVERY,
        least.to_string(),
        "linger.ms + request.timeout.ms is more",
    );
}
