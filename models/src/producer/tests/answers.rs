//! What answers do: the table of clients.md 2.3, one test or one line of a table for each row.

use super::*;
use crate::config::Acks;

fn settings() -> ProducerSettings {
    ProducerSettings::default()
}

fn plain() -> ProducerSettings {
    ProducerSettings {
        enable_idempotence: false,
        ..settings()
    }
}

/// A producer whose first record is on its way.
fn with_one_sent(settings: ProducerSettings) -> (Bench, Produce) {
    let mut bench = Bench::new(settings, 1, sends(&[0]));
    bench.pass(10);
    let first = bench.take_produce();
    (bench, first)
}

#[test]
fn a_refusal_is_retried_after_the_back_off() {
    let (mut bench, first) = with_one_sent(settings());
    bench.refuse(&first, ErrorCode::NotEnoughReplicas);
    bench.pass(79);
    assert!(bench.produces.is_empty());
    bench.pass(41);
    let second = bench.take_produce();
    assert_eq!(second.sequence(), first.sequence());
    bench.accept(&second, 0);
    assert_eq!(bench.acknowledged(), [0]);
}

/// Error, whether it is retried, whether it asks for metadata, whether the record can be in the log if it is final.
const ANSWERS: [(ErrorCode, bool, bool, FailureClass); 21] = {
    use ErrorCode as E;
    use FailureClass::{Definite, Unknown};
    [
        (E::NotLeaderOrFollower, true, true, Unknown),
        (E::FencedLeaderEpoch, true, true, Unknown),
        (E::LeaderNotAvailable, true, true, Unknown),
        (E::UnknownTopicOrPartition, true, true, Unknown),
        (E::UnknownTopicId, true, true, Unknown),
        (E::KafkaStorageError, true, true, Unknown),
        (E::ReplicaNotAvailable, true, true, Unknown),
        (E::NetworkException, true, true, Unknown),
        (E::RequestTimedOut, true, false, Unknown),
        (E::NotEnoughReplicas, true, false, Definite),
        (E::NotEnoughReplicasAfterAppend, true, false, Unknown),
        (E::CorruptMessage, true, false, Unknown),
        (E::UnknownLeaderEpoch, true, false, Unknown),
        (E::CoordinatorLoadInProgress, true, false, Unknown),
        (E::CoordinatorNotAvailable, true, false, Unknown),
        (E::NotCoordinator, true, false, Unknown),
        (E::MessageTooLarge, false, false, Definite),
        (E::InvalidRecord, false, false, Definite),
        (E::InvalidTimestamp, false, false, Definite),
        (E::InvalidRequiredAcks, false, false, Definite),
        (E::UnknownServerError, false, false, Unknown),
    ]
};

#[test]
fn each_error_is_retried_and_asks_for_metadata_as_its_exception_class_says() {
    for (error, retried, metadata, _) in ANSWERS {
        for settings in [settings(), plain()] {
            let (mut bench, first) = with_one_sent(settings);
            let asked = bench.metadata_requests;
            bench.refuse(&first, error);
            bench.pass(400);
            assert_eq!(bench.produces.len() == 1, retried, "{error}");
            assert_eq!(bench.metadata_requests > asked, metadata, "{error}");
            assert_eq!(bench.failed().is_empty(), retried, "{error}");
        }
    }
}

#[test]
fn without_retries_the_callback_sees_the_error_and_whether_the_record_can_be_in_the_log() {
    for (error, _, _, class) in ANSWERS {
        let (mut bench, first) = with_one_sent(ProducerSettings {
            retries: 0,
            ..plain()
        });
        bench.refuse(&first, error);
        assert_eq!(bench.failed(), [(0, error.name(), class)]);
    }
}

#[test]
fn one_attempt_without_known_end_makes_the_outcome_unknown() {
    let (mut bench, first) = with_one_sent(ProducerSettings {
        retries: 1,
        ..plain()
    });
    bench.refuse(&first, ErrorCode::NotLeaderOrFollower);
    bench.pass(500);
    let second = bench.take_produce();
    bench.refuse(&second, ErrorCode::NotEnoughReplicas);
    assert_eq!(
        bench.failed(),
        [(0, "NOT_ENOUGH_REPLICAS", FailureClass::Unknown)]
    );
}

#[test]
fn retries_are_counted() {
    let (mut bench, mut produce) = with_one_sent(ProducerSettings {
        retries: 3,
        ..settings()
    });
    for _ in 0..3 {
        bench.refuse(&produce, ErrorCode::NotEnoughReplicas);
        assert!(bench.failed().is_empty());
        bench.pass(1_500);
        produce = bench.take_produce();
    }
    bench.refuse(&produce, ErrorCode::NotEnoughReplicas);
    assert_eq!(
        bench.failed(),
        [(0, "NOT_ENOUGH_REPLICAS", FailureClass::Definite)]
    );
}

#[test]
fn a_newer_leader_told_with_the_error_is_asked_without_back_off() {
    let (mut bench, first) = with_one_sent(settings());
    bench.answer_metadata = false;
    bench.refuse_with_hint(&first, ErrorCode::NotLeaderOrFollower, Some((2, 5)));
    bench.pass(5);
    let second = bench.take_produce();
    assert_eq!(bench.desk.opened[second.connection.0 as usize], ServerId(2));
}

#[test]
fn an_older_or_equal_leader_told_with_the_error_is_ignored() {
    let (mut bench, first) = with_one_sent(settings());
    bench.refuse_with_hint(&first, ErrorCode::NotLeaderOrFollower, Some((2, 1)));
    bench.pass(70);
    assert!(bench.produces.is_empty());
    bench.pass(60);
    assert_eq!(bench.take_produce().connection, first.connection);
}

#[test]
fn a_duplicate_is_a_success_without_offset() {
    let (mut bench, first) = with_one_sent(settings());
    bench.refuse(&first, ErrorCode::DuplicateSequenceNumber);
    assert_eq!(bench.acknowledged(), [0]);
    let told = bench.desk.notes.last();
    assert!(matches!(
        told,
        Some(ClientNote::Acknowledged {
            base_offset: None,
            ..
        })
    ));
}

#[test]
fn a_lost_connection_fails_everything_on_it_and_all_is_retried_in_order() {
    let mut bench = Bench::new(settings(), 1, sends(&[0, 20, 40]));
    bench.pass(60);
    let first = bench.take_produce();
    bench.produces.clear();
    bench.lose(first.connection);
    bench.pass(1_000);
    let again: Vec<_> = bench.produces.iter().map(Produce::sequence).collect();
    assert_eq!(again[0], (0, 0), "the others wait for the lowest sequence");
    let order: Vec<u32> = bench
        .produces
        .iter()
        .flat_map(|produce| produce.numbers(&bench))
        .collect();
    assert_eq!(order, [0]);
    let first = bench.take_produce();
    bench.accept(&first, 0);
    bench.pass(1_000);
    assert_eq!(bench.take_produce().sequence(), (0, 1));
}

#[test]
fn without_idempotence_a_lost_connection_reverses_the_order() {
    let mut bench = Bench::new(plain(), 1, sends(&[0, 20, 40]));
    bench.pass(60);
    let first = bench.take_produce();
    bench.produces.clear();
    bench.lose(first.connection);
    bench.pass(1_000);
    let order: Vec<u32> = bench
        .produces
        .iter()
        .flat_map(|produce| produce.numbers(&bench))
        .collect();
    assert_eq!(order, [2, 1, 0]);
}

#[test]
fn a_request_without_answer_closes_the_connection_and_fails_its_neighbours() {
    let mut bench = Bench::new(plain(), 1, sends(&[0, 20]));
    bench.pass(60);
    let first = bench.take_produce();
    bench.produces.clear();
    bench.pass(30_500);
    assert_eq!(bench.desk.closed, [first.connection]);
    let order: Vec<u32> = bench
        .produces
        .iter()
        .flat_map(|produce| produce.numbers(&bench))
        .collect();
    assert_eq!(order, [1, 0]);
}

#[test]
fn a_batch_too_large_is_split_keeps_its_sequences_and_loses_no_attempt() {
    let mut bench = Bench::new(
        ProducerSettings {
            batch_size: 61 + 400,
            retries: 1,
            ..settings()
        },
        1,
        sends(&[10, 10, 10, 10]),
    );
    bench.pass(10);
    let first = bench.take_produce();
    bench.refuse(&first, ErrorCode::MessageTooLarge);
    bench.pass(1);
    let whole = bench.take_produce();
    assert_eq!(
        whole.numbers(&bench),
        [0, 1, 2, 3],
        "the first split is to batch.size"
    );
    bench.refuse(&whole, ErrorCode::MessageTooLarge);
    for number in 0..4 {
        bench.pass(1);
        let part = bench.take_produce();
        assert_eq!(
            (part.numbers(&bench), part.sequence()),
            (vec![number], (0, number))
        );
        bench.accept(&part, u64::from(number));
    }
    assert_eq!(bench.acknowledged(), [0, 1, 2, 3]);
}

#[test]
fn an_answer_after_the_callback_changes_nothing_for_the_application() {
    let (mut bench, first) = with_one_sent(ProducerSettings {
        delivery_timeout_ms: Duration::secs(1),
        ..settings()
    });
    bench.pass(1_000);
    assert_eq!(bench.failed(), [(0, "REQUEST_TIMED_OUT", FailureClass::Unknown)]);
    bench.accept(&first, 0);
    assert!(bench.acknowledged().is_empty());
    assert_eq!(bench.failed().len(), 1);
    assert!(bench.producer.is_drained());
}

#[test]
fn a_batch_without_a_leader_expires_and_was_certainly_not_appended() {
    let mut bench = Bench::new(
        ProducerSettings {
            delivery_timeout_ms: Duration::secs(1),
            ..settings()
        },
        1,
        sends(&[0]),
    );
    bench.leaders[0].0 = None;
    bench.pass(1_100);
    assert_eq!(bench.failed(), [(0, "REQUEST_TIMED_OUT", FailureClass::Definite)]);
    assert!(bench.metadata_requests > 2, "an unknown leader asks for metadata");
}

#[test]
fn what_expired_in_flight_keeps_its_memory_until_the_request_ends() {
    let mut bench = Bench::new(
        ProducerSettings {
            buffer_memory: 16_384,
            delivery_timeout_ms: Duration::secs(1),
            ..settings()
        },
        1,
        sends(&[0, 1_100]),
    );
    bench.pass(1_500);
    assert_eq!(bench.failed().len(), 1);
    let first = bench.take_produce();
    assert!(bench.produces.is_empty());
    bench.accept(&first, 0);
    bench.pass(10);
    assert_eq!(bench.take_produce().numbers(&bench), [1]);
}

#[test]
fn acks_0_needs_no_answer_to_lose_a_record() {
    let (mut bench, first) = with_one_sent(ProducerSettings {
        acks: Acks::None,
        ..plain()
    });
    bench.lose(first.connection);
    bench.pass(1_000);
    assert_eq!(bench.acknowledged(), [0]);
    assert!(bench.produces.is_empty());
}

#[test]
fn a_retry_at_the_tail_is_overtaken() {
    let order = |mutations: Mutations| {
        let settings = ProducerSettings {
            max_in_flight_requests_per_connection: 1,
            ..plain()
        };
        let mut bench = Bench::mutated(settings, 1, sends(&[0, 20]), mutations);
        bench.pass(60);
        let first = bench.take_produce();
        bench.refuse(&first, ErrorCode::NotEnoughReplicas);
        bench.pass(1_000);
        bench.take_produce().numbers(&bench)
    };
    assert_eq!(order(Mutations::default()), [0]);
    assert_eq!(
        order(Mutations::only(crate::mutation::Mutation::RetryAtTail)),
        [1]
    );
}

#[test]
fn a_send_dropped_when_it_expires_stays_without_outcome() {
    let settings = ProducerSettings {
        delivery_timeout_ms: Duration::secs(1),
        ..settings()
    };
    let mutation = Mutations::only(crate::mutation::Mutation::DropExpired);
    let mut bench = Bench::mutated(settings, 1, sends(&[0]), mutation);
    bench.pass(5_000);
    assert!(bench.failed().is_empty());
    assert_eq!(bench.producer.pending(), 1);
}
