use ktrial_sim::Duration;

use super::bench::*;
use crate::kafka::Signal;
use crate::protocol::ErrorCode;

fn millis(bench: &mut Bench) -> Vec<u64> {
    let taken = bench.take("Heartbeat");
    taken.iter().map(|(at, _)| at.as_millis()).collect()
}

fn gaps(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn heartbeat_interval_ms_is_the_time_between_two_heartbeats() {
    for interval in [1_000, 3_000] {
        let mut bench = bench(&format!("heartbeat.interval.ms={interval}")).joined();
        bench.pass(Duration::millis(4 * interval));
        let gaps = gaps(&millis(&mut bench));
        assert!(gaps.len() >= 2, "{gaps:?}");
        assert!(gaps.iter().all(|gap| *gap == interval), "{interval}: {gaps:?}");
    }
}

#[test]
fn heartbeats_go_on_while_the_application_works() {
    let mut slow = application();
    slow.processing = (Duration::secs(20), Duration::secs(20));
    let mut bench = bench_of("", slow);
    bench.batches = 1;
    bench.pass(Duration::secs(19));
    let gaps = gaps(&millis(&mut bench));
    assert!(gaps.len() >= 4, "{gaps:?}");
    // The thread looks every 100 ms.
    assert!(gaps.iter().all(|gap| (3_000..=3_100).contains(gap)), "{gaps:?}");
}

#[test]
fn a_heartbeat_without_an_answer_or_with_a_strange_one_is_sent_again_after_a_back_off() {
    let mut bench = bench("").joined();
    let loads = heartbeat(ErrorCode::CoordinatorLoadInProgress);
    bench.script.push(("Heartbeat", loads));
    bench.pass(Duration::secs(4));
    let gaps = gaps(&millis(&mut bench));
    assert!((80..=220).contains(&gaps[0]), "{gaps:?}");
    assert_eq!(bench.take("JoinGroup").len(), 0);
}

#[test]
fn an_unknown_member_loses_what_it_owns_and_joins_as_a_new_one() {
    let mut bench = bench("").joined();
    bench
        .script
        .push(("Heartbeat", heartbeat(ErrorCode::UnknownMemberId)));
    bench.pass(Duration::secs(4));
    assert_eq!(bench.listener(), "!0,1,2,3 +0,1,2,3");
    assert_eq!(member_of(&bench.take("JoinGroup")[0].1), None);
}

#[test]
fn an_illegal_generation_loses_what_it_owns_and_joins_with_its_id() {
    let mut bench = bench("").joined();
    bench
        .script
        .push(("Heartbeat", heartbeat(ErrorCode::IllegalGeneration)));
    bench.pass(Duration::secs(4));
    assert_eq!(bench.listener(), "!0,1,2,3 +0,1,2,3");
    assert_eq!(member_of(&bench.take("JoinGroup")[0].1), Some(ME));
}

#[test]
fn a_fenced_instance_ends_with_the_next_poll() {
    let mut bench = bench("group.instance.id=i").joined();
    bench
        .script
        .push(("Heartbeat", heartbeat(ErrorCode::FencedInstanceId)));
    bench.pass(Duration::secs(4));
    assert_eq!(bench.died(), Some("FENCED_INSTANCE_ID"));
}

#[test]
fn a_coordinator_that_is_none_any_more_is_looked_for_and_the_membership_goes_on() {
    let mut bench = bench("").joined();
    bench
        .script
        .push(("Heartbeat", heartbeat(ErrorCode::NotCoordinator)));
    bench.pass(Duration::secs(5));
    // Again while the broker that was hung up on is named before it may be connected to.
    assert!((1..=4).contains(&bench.take("FindCoordinator").len()));
    assert_eq!(bench.take("JoinGroup").len(), 0);
    assert!(millis(&mut bench).len() >= 2);
}

#[test]
fn session_timeout_ms_without_an_answer_makes_the_coordinator_unknown() {
    for session in [10_u64, 20] {
        let mut bench = bench(&format!("session.timeout.ms={session}000")).joined();
        bench.deaf_to.push("Heartbeat");
        let start = bench.now();
        bench.pass(Duration::secs(session + 1));
        let asked = bench.take("FindCoordinator")[0]
            .0
            .saturating_sub(start)
            .as_millis();
        // Counted from the last answer, before the brokers fell silent.
        assert!(
            (session * 1000 - 3_200..=session * 1000 + 200).contains(&asked),
            "{asked}"
        );
    }
}

#[test]
fn max_poll_interval_ms_without_a_poll_ends_the_membership() {
    for interval in [6_u64, 12] {
        let mut bench = bench(&format!("max.poll.interval.ms={interval}000")).joined();
        let start = bench.now();
        bench.signal(Signal::Stall(Duration::secs(30)));
        bench.pass(Duration::secs(29));
        let left = bench.take("LeaveGroup")[0].0.saturating_sub(start).as_millis();
        assert!(
            (interval * 1000 - 300..=interval * 1000 + 300).contains(&left),
            "{left}"
        );
        assert_eq!(
            bench.listener(),
            "",
            "the application learns of it with its next poll"
        );
        bench.pass(Duration::secs(3));
        assert_eq!(bench.listener(), "!0,1,2,3 +0,1,2,3");
    }
}

#[test]
fn a_static_member_whose_application_does_not_poll_says_nothing() {
    let mut bench = bench("max.poll.interval.ms=6000 group.instance.id=i").joined();
    bench.signal(Signal::Stall(Duration::secs(30)));
    bench.pass(Duration::secs(29));
    assert_eq!(bench.take("LeaveGroup").len(), 0);
}

#[test]
fn a_step_of_the_wall_clock_forwards_can_end_a_membership() {
    let mut bench = bench("max.poll.interval.ms=60000").joined();
    bench.signal(Signal::Stall(Duration::secs(9)));
    bench.pass(Duration::secs(1));
    bench.desk.wall += Duration::secs(3_600);
    bench.pass(Duration::secs(10));
    // The session timer is looked at first; a coordinator that was found starts it again.
    let names: Vec<_> = bench
        .names()
        .into_iter()
        .filter(|name| *name != "Heartbeat")
        .collect();
    assert!(names.starts_with(&["FindCoordinator"]), "{names:?}");
    // It leaves, and says so once the application lets the network work again.
    let place = |wanted: &str| names.iter().position(|name| *name == wanted);
    assert!(
        place("LeaveGroup") < place("JoinGroup") && place("LeaveGroup").is_some(),
        "{names:?}"
    );
}
