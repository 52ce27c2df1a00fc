//! What a wake-up without news comes to, which is not gone through, against a turn of the loop, which is.

use super::*;
use crate::producer::core::Core;

/// Two records of 30 bytes fill a batch, which is sent as soon as it can be.
fn settings() -> ProducerSettings {
    ProducerSettings {
        batch_size: 61 + 70,
        linger_ms: Duration::ZERO,
        ..ProducerSettings::default()
    }
}

/// A small record each millisecond.
fn workload(count: u64) -> Vec<SendOperation> {
    let operation = |after| SendOperation {
        after: Duration::millis(after),
        key: Some(0),
        bytes: 30,
    };
    (0..count).map(operation).collect()
}

/// Everything the thread knows, will do and has done.
fn state(core: &mut Core, desk: &Desk) -> String {
    core.still = None;
    format!("{core:?} {:?} {:?} {:?}", desk.timers, desk.sent, desk.opened)
}

/// Whether a wake-up without news is not gone through now. If so it leaves behind what a turn would.
fn stands_still(bench: &mut Bench) -> bool {
    let (core, desk) = (&mut bench.producer.core, &mut bench.desk);
    core.wake_without_news(desk);
    let still = core.still.is_some();
    let left = state(core, desk);
    core.wake(desk);
    assert!(!still || state(core, desk) == left, "the turn made a difference");
    still
}

#[test]
fn while_a_producer_id_is_asked_for_records_behind_others_are_no_news() {
    let mut bench = Bench::new(settings(), 1, workload(200));
    bench.answer_producer_ids = false;
    bench.pass(20);
    let (mut still, mut turns) = (0, 0);
    for _ in 0..150 {
        bench.pass(1);
        match stands_still(&mut bench) {
            true => still += 1,
            false => turns += 1,
        }
    }
    assert_eq!((still, turns), (150, 0));
    assert!(bench.produces.is_empty());
}

#[test]
fn behind_a_batch_that_backs_off_records_are_no_news_until_the_back_off_is_over() {
    let mut bench = Bench::new(settings(), 1, workload(200));
    bench.pass(10);
    for produce in std::mem::take(&mut bench.produces) {
        bench.refuse(&produce, ErrorCode::NotEnoughReplicas);
    }
    let refused = bench.now();
    while bench.produces.is_empty() {
        assert!(bench.now().since(refused) < Duration::millis(100));
        assert!(stands_still(&mut bench) || bench.now() == refused);
        bench.pass(1);
    }
    assert_eq!(bench.now().since(refused), Duration::millis(100));
}

#[test]
fn while_the_leader_cannot_be_connected_to_records_are_no_news() {
    let mut bench = Bench::new(settings(), 1, workload(400));
    bench.pass(10);
    bench.connections = bench.told;
    let produce = bench.produces[0].clone();
    bench.lose(produce.connection);
    let mut still = 0;
    for _ in 0..300 {
        let opened = bench.desk.opened.len();
        bench.pass(1);
        still += u32::from(stands_still(&mut bench));
        for refused in opened..bench.desk.opened.len() {
            bench.lose(ConnectionId(refused as u32));
        }
    }
    assert!(bench.desk.opened.len() > 5, "it goes on trying");
    assert!(still > 250, "{still}");
}

#[test]
fn a_time_out_is_found_by_a_wake_up_without_news() {
    let mut bench = Bench::new(settings(), 1, workload(1_000));
    bench.answer_producer_ids = false;
    bench.pass(100);
    assert!(stands_still(&mut bench) && bench.desk.closed.is_empty());
    // Nobody but the application wakes the thread now.
    bench.desk.pass(Duration::secs(30));
    assert!(!stands_still(&mut bench));
    assert_eq!(bench.desk.closed.len(), 1);
}

#[test]
fn a_step_of_the_wall_clock_is_found_by_a_wake_up_without_news() {
    let mut bench = Bench::new(settings(), 1, workload(1_000));
    bench.answer_producer_ids = false;
    bench.pass(100);
    assert!(stands_still(&mut bench));
    bench.desk.wall += Duration::secs(31);
    assert!(!stands_still(&mut bench));
    assert_eq!(bench.desk.closed.len(), 1);
}
