//! A leader that is none any more: NOT_LEADER_OR_FOLLOWER, new metadata, and brokers that tell who leads (KIP-951).

use super::*;

fn settings() -> ProducerSettings {
    ProducerSettings::default()
}

fn with_one_sent(settings: ProducerSettings) -> (Bench, Produce) {
    let mut bench = Bench::new(settings, 1, sends(&[0]));
    bench.pass(10);
    let first = bench.take_produce();
    (bench, first)
}

const NOT_LEADER: ErrorCode = ErrorCode::NotLeaderOrFollower;

#[test]
fn as_long_as_metadata_name_the_old_leader_it_is_asked_again_and_again_with_growing_pauses() {
    let (mut bench, mut produce) = with_one_sent(settings());
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let (before, asked) = (bench.now(), bench.metadata_requests);
        bench.refuse(&produce, NOT_LEADER);
        while bench.produces.is_empty() {
            bench.pass(1);
        }
        produce = bench.take_produce();
        assert_eq!(bench.server_of(&produce), 1);
        assert!(bench.metadata_requests > asked, "each refusal asks for metadata");
        pauses.push(bench.now().since(before).as_millis());
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
}

#[test]
fn the_loop_ends_with_delivery_timeout_and_the_outcome_is_unknown() {
    let (mut bench, mut produce) = with_one_sent(ProducerSettings {
        delivery_timeout_ms: Duration::secs(3),
        ..settings()
    });
    while bench.failed().is_empty() {
        bench.refuse(&produce, NOT_LEADER);
        while bench.produces.is_empty() && bench.failed().is_empty() {
            bench.pass(1);
        }
        if let Some(next) = bench.produces.pop() {
            produce = next;
        }
    }
    assert_eq!(bench.now().since(Time::ZERO), Duration::secs(3));
    assert_eq!(bench.failed(), [(0, "REQUEST_TIMED_OUT", FailureClass::Unknown)]);
}

#[test]
fn a_new_leader_learnt_from_metadata_is_asked_without_waiting_for_the_back_off() {
    let (mut bench, first) = with_one_sent(settings());
    bench.leaders[0] = (Some(2), 2);
    bench.pass(500);
    bench.refuse(&first, NOT_LEADER);
    bench.pass(1);
    let second = bench.take_produce();
    assert_eq!(bench.server_of(&second), 2);
}

#[test]
fn an_older_leader_in_metadata_is_not_believed() {
    let (mut bench, first) = with_one_sent(settings());
    bench.refuse_with_hint(&first, NOT_LEADER, Some((2, 5)));
    bench.pass(5);
    // The broker that is asked for metadata knows only epoch 1.
    bench.pass(300);
    let second = bench.take_produce();
    assert_eq!(bench.server_of(&second), 2);
    bench.refuse(&second, NOT_LEADER);
    bench.pass(300);
    let third = bench.take_produce();
    assert_eq!(bench.server_of(&third), 2);
}

#[test]
fn two_brokers_that_take_each_other_for_the_leader_are_believed_once_an_epoch() {
    let (mut bench, mut produce) = with_one_sent(settings());
    let mut servers = Vec::new();
    for hint in [(2, 5), (1, 6), (2, 6), (2, 5)] {
        bench.refuse_with_hint(&produce, NOT_LEADER, Some(hint));
        let before = bench.now();
        while bench.produces.is_empty() {
            bench.pass(1);
        }
        produce = bench.take_produce();
        servers.push((
            bench.server_of(&produce),
            bench.now().since(before).as_millis() >= 100,
        ));
    }
    assert_eq!(servers, [(2, false), (1, false), (1, true), (1, true)]);
}

#[test]
fn a_leader_that_metadata_do_not_know_is_reached_at_the_address_told_with_it() {
    let (mut bench, first) = with_one_sent(settings());
    bench.answer_metadata = false;
    bench.refuse_with_hint(&first, NOT_LEADER, Some((3, 2)));
    bench.pass(5);
    let second = bench.take_produce();
    assert_eq!(bench.server_of(&second), 3);
    bench.accept(&second, 0);
    assert_eq!(bench.acknowledged(), [0]);
}

#[test]
fn without_a_leader_in_metadata_nothing_is_sent_until_there_is_one() {
    let (mut bench, first) = with_one_sent(settings());
    bench.leaders[0] = (None, 2);
    bench.refuse(&first, NOT_LEADER);
    let asked = bench.metadata_requests;
    bench.pass(2_000);
    assert!(bench.produces.is_empty());
    assert!(bench.metadata_requests - asked > 3, "it keeps asking");
    bench.leaders[0] = (Some(1), 3);
    bench.pass(1_300);
    assert_eq!(bench.take_produce().sequence(), first.sequence());
}
