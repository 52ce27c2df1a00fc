//! Flushes and producer state.

use ktrial_models::config::Acks;
use ktrial_models::ids::{Offset, ProducerId};
use ktrial_models::kafka::partition_log;
use ktrial_models::probe::Ask;
use ktrial_models::protocol::Response;
use ktrial_models::records::Numbering;
use ktrial_sim::Duration;

use super::*;

/// Batches on the platter three seconds after a record was written.
fn flushed(settings: &str) -> usize {
    let settings = format!("{settings} broker.log.initial.task.delay.ms=100");
    let mut cluster = running(1, &[&[2]], &settings);
    cluster.write(P, Acks::Leader, 1);
    cluster.run_for(Duration::secs(3));
    let file = cluster.simulation.disk(FIRST.node()).existing(partition_log(P));
    file.expect("it was written").flushed()
}

#[test]
fn log_flush_interval_ms_stands_in_for_flush_ms() {
    let flusher = "broker.log.flush.scheduler.interval.ms=500";
    assert_eq!(
        flushed(&format!("{flusher} broker.log.flush.interval.ms=1000")),
        1
    );
    assert_eq!(
        flushed(&format!("{flusher} broker.log.flush.interval.ms=600000")),
        0
    );
}

/// The offset that a batch gets which is sent again after four seconds.
fn sent_again(settings: &str) -> Option<Offset> {
    let mut cluster = running(1, &[&[2]], settings);
    let mut offset = None;
    for _ in 0..2 {
        let ask = Ask::Produce {
            partition: P,
            acks: Acks::Leader,
            records: 1,
            numbering: Some(Numbering {
                producer: ProducerId(7),
                epoch: 0,
                base_sequence: 0,
            }),
            timeout: Duration::secs(30),
        };
        let correlation = cluster.send(FIRST, ask);
        match cluster.await_answer(correlation) {
            Some(Ok(Response::Produce(response))) => offset = response.partitions[0].base_offset,
            other => panic!("{other:?}"),
        }
        cluster.run_for(Duration::secs(4));
    }
    offset
}

#[test]
fn producer_id_expiration_ms_says_how_long_sequences_are_remembered() {
    let check = "broker.producer.id.expiration.check.interval.ms=500";
    let again = |millis: u32| sent_again(&format!("{check} broker.producer.id.expiration.ms={millis}"));
    assert_eq!(again(1_000), Some(Offset(1)), "forgotten, and written twice");
    assert_eq!(again(600_000), Some(Offset(0)), "remembered");
}

#[test]
fn producer_id_expiration_check_interval_ms_says_how_often_sequences_are_forgotten() {
    let expiration = "broker.producer.id.expiration.ms=1000";
    let again = |millis: u32| {
        sent_again(&format!(
            "{expiration} broker.producer.id.expiration.check.interval.ms={millis}"
        ))
    };
    assert_eq!(again(500), Some(Offset(1)), "forgotten, and written twice");
    assert_eq!(again(600_000), Some(Offset(0)), "remembered");
}
