//! `pause` and `resume` of both clients: what is fetched, what a poll returns, what stays paused behind a rebalance,
//! and who stays a member.

use ktrial_sim::Duration;

use super::bench::*;
use crate::application::ConsumerClient;
use crate::ids::{Offset, PartitionId};
use crate::notes::ClientNote;
use crate::protocol::ErrorCode;
use crate::specification::ApplicationSpecification;

const CLASSIC: &str = "group.protocol=classic";
const MODERN: &str = "group.protocol=consumer";
const ORDERS: [u32; 4] = [0, 1, 2, 3];

/// A member with all four partitions, of which there is nothing to be read yet.
fn member(settings: [&str; 2], application: ApplicationSpecification) -> Bench {
    bench_of(&settings.join("\n"), application).joined()
}

fn of_each_protocol(settings: &str, test: impl Fn(Bench)) {
    for protocol in [CLASSIC, MODERN] {
        test(member([protocol, settings], application()));
    }
}

fn pause(bench: &mut Bench, partitions: &[u32]) {
    for partition in partitions {
        bench.consumer.client.pause(PartitionId(*partition));
    }
}

fn resume(bench: &mut Bench, partitions: &[u32]) {
    for partition in partitions {
        bench.consumer.client.resume(PartitionId(*partition));
    }
}

fn paused(bench: &Bench) -> Vec<u32> {
    let mut paused: Vec<u32> = bench.consumer.client.paused().map(|one| one.0).collect();
    paused.sort_unstable();
    paused
}

/// How many records polls have returned of each partition since the last time.
fn polled(bench: &mut Bench) -> [u32; 4] {
    let mut counts = [0; 4];
    for note in bench.desk.notes.drain(..) {
        if let ClientNote::Polled { partition, count, .. } = note {
            counts[partition.0 as usize] += count;
        }
    }
    counts
}

#[test]
fn a_poll_returns_nothing_of_what_is_paused_and_all_of_the_rest() {
    of_each_protocol("", |mut bench| {
        pause(&mut bench, &[0, 2]);
        bench.batches = 2;
        bench.pass(Duration::secs(5));
        assert_eq!(polled(&mut bench), [0, 20, 0, 20]);
        resume(&mut bench, &[0, 2]);
        bench.pass(Duration::secs(5));
        assert_eq!(polled(&mut bench), [20, 0, 20, 0]);
    });
}

#[test]
fn what_is_paused_is_not_asked_for() {
    of_each_protocol("", |mut bench| {
        pause(&mut bench, &ORDERS);
        // The fetch that is on its way comes to its end.
        bench.pass(Duration::secs(1));
        bench.fetches = 0;
        bench.pass(Duration::secs(20));
        assert_eq!(bench.fetches, 0);
        resume(&mut bench, &[3]);
        bench.pass(Duration::secs(1));
        assert!(bench.fetches > 0);
        let session = bench.session.iter().map(|(partition, _)| partition.0);
        assert_eq!(session.collect::<Vec<_>>(), [3], "the others are forgotten");
    });
}

/// `FetchCollector.collectFetch` puts it back into the buffer, the fetch in line included.
#[test]
fn what_was_fetched_before_its_partition_was_paused_waits_in_the_buffer_and_is_not_fetched_again() {
    for protocol in [CLASSIC, MODERN] {
        let slow = ApplicationSpecification {
            processing: (Duration::millis(100), Duration::millis(100)),
            ..application()
        };
        let mut bench = member([protocol, "max.poll.records=5"], slow);
        bench.batches = 1;
        bench.pass(Duration::millis(600));
        let first = polled(&mut bench);
        assert_eq!(first.iter().sum::<u32>() % 5, 0);
        assert!(first.contains(&5), "half of one batch: {first:?}");
        pause(&mut bench, &ORDERS);
        bench.pass(Duration::secs(5));
        assert_eq!(polled(&mut bench), [0; 4]);
        resume(&mut bench, &ORDERS);
        bench.pass(Duration::secs(10));
        let rest = polled(&mut bench);
        assert_eq!(rest.iter().sum::<u32>(), 40 - first.iter().sum::<u32>());
        let mut fetched = bench.fetched_to;
        fetched.sort_unstable();
        assert_eq!(fetched, [0, 1, 2, 3].map(|one| (PartitionId(one), Offset(0))));
    }
}

#[test]
fn what_waits_in_the_buffer_is_in_no_way_of_fetches_from_the_same_broker() {
    of_each_protocol("max.poll.records=40", |mut bench| {
        pause(&mut bench, &[0]);
        bench.batches = 1;
        // What was asked for before the pause brings ten records of each.
        bench.pass(Duration::secs(1));
        assert_eq!(polled(&mut bench), [0, 10, 10, 10]);
        bench.batches = 3;
        bench.pass(Duration::secs(2));
        assert_eq!(polled(&mut bench), [0, 20, 20, 20]);
    });
}

#[test]
fn who_goes_on_polling_while_everything_is_paused_stays_a_member() {
    of_each_protocol("max.poll.interval.ms=5000", |mut bench| {
        pause(&mut bench, &ORDERS);
        bench.batches = 1;
        bench.pass(Duration::secs(60));
        assert!(bench.consumer.is_settled());
        assert_eq!(bench.listener(), "");
        let beats = bench.take("Heartbeat").len() + bench.take("ConsumerGroupHeartbeat").len();
        assert!(beats >= 10, "{beats}");
        assert_eq!(paused(&bench), ORDERS);
    });
}

#[test]
fn the_position_of_what_is_paused_is_committed_automatically_like_any_other() {
    of_each_protocol("auto.commit.interval.ms=1000", |mut bench| {
        bench.batches = 1;
        bench.pass(Duration::millis(700));
        pause(&mut bench, &ORDERS);
        bench.pass(Duration::secs(3));
        let committed = bench.committed.iter().map(|(_, at)| at.offset.0);
        assert_eq!(committed.collect::<Vec<_>>(), [10; 4]);
    });
}

#[test]
fn an_eager_rebalance_gives_everything_back_as_if_nothing_had_been_paused() {
    let mut bench = member([CLASSIC, ""], application());
    pause(&mut bench, &ORDERS);
    bench
        .script
        .push(("Heartbeat", heartbeat(ErrorCode::RebalanceInProgress)));
    bench.pass(Duration::secs(4));
    assert_eq!(bench.listener(), "-0,1,2,3 +0,1,2,3");
    assert!(paused(&bench).is_empty());
}

#[test]
fn a_cooperative_rebalance_leaves_what_stays_paused() {
    let mut bench = bench(COOPERATIVE);
    bench.follower_gets = assignment(&[0, 1]);
    let mut bench = bench.joined();
    pause(&mut bench, &[0, 1]);
    bench.follower_gets = assignment(&[0, 2]);
    bench
        .script
        .push(("Heartbeat", heartbeat(ErrorCode::RebalanceInProgress)));
    bench.pass(Duration::secs(4));
    assert_eq!(bench.listener(), "-1 +2 +");
    assert_eq!(paused(&bench), [0]);
}

#[test]
fn a_reconciliation_leaves_what_stays_paused() {
    let mut bench = bench(MODERN);
    bench.target = vec![0, 1];
    let mut bench = bench.joined();
    pause(&mut bench, &[0, 1]);
    bench.target = vec![0, 2];
    bench.pass(Duration::secs(10));
    assert_eq!(bench.listener(), "-1 +2");
    assert_eq!(paused(&bench), [0]);
}
