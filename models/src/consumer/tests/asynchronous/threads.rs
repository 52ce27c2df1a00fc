use ktrial_sim::Duration;

use super::*;
use crate::cuts;
use crate::ids::Offset;
use crate::kafka::Signal;
use crate::notes::ClientNote;
use crate::protocol::ErrorCode;

/// The highest offset that was committed before the application had processed anything of it: handed out and lost if
/// the application dies now.
fn committed_unprocessed(bench: &Bench) -> Option<Offset> {
    let mut processed = Offset(0);
    for note in &bench.desk.notes {
        match note {
            ClientNote::Processed { from, count, .. } => processed = from.plus(u64::from(*count)),
            ClientNote::Committed { offsets, .. } => {
                let (_, committed) = offsets[0];
                if committed > processed {
                    return Some(committed);
                }
            }
            _ => {}
        }
    }
    None
}

/// One partition. Eleven batches; the application works for 300 ms on each record, so that each poll finds the
/// interval over and the next batch in the buffer.
fn busy() -> Bench {
    let mut bench = modern_of(
        "auto.commit.interval.ms=1000\nmax.poll.records=10",
        working(Duration::millis(300)),
    );
    bench.target = vec![0];
    let mut bench = bench.joined();
    bench.batches = 11;
    bench
}

#[test]
fn an_automatic_commit_holds_what_earlier_polls_returned_if_the_background_is_awake_first() {
    let mut bench = busy();
    bench.pass(Duration::secs(30));
    assert!(bench.committed[0].1.offset > Offset(0));
    assert_eq!(committed_unprocessed(&bench), None);
}

#[test]
fn a_background_that_wakes_late_commits_what_the_application_was_just_handed() {
    let mut bench = busy();
    bench.pass(Duration::millis(2_000));
    bench
        .desk
        .cuts
        .push((cuts::CONSUMER_EVENT_TO_BACKGROUND, Duration::millis(1)));
    bench.pass(Duration::secs(10));
    assert_eq!(committed_unprocessed(&bench), Some(Offset(20)));
}

#[test]
fn an_application_that_takes_records_behind_the_reconciliation_check_has_them_committed() {
    let mut bench = busy();
    bench.pass(Duration::millis(2_000));
    bench
        .desk
        .cuts
        .push((cuts::CONSUMER_RECONCILIATION_TO_COMMIT, Duration::millis(1)));
    bench.pass(Duration::secs(10));
    assert_eq!(committed_unprocessed(&bench), Some(Offset(20)));
}

#[test]
fn while_a_reconciliation_is_pending_records_wait_for_its_check() {
    let mut bench = modern_of("", working(Duration::millis(300)));
    bench.target = vec![0];
    let mut bench = bench.joined();
    bench.batches = 3;
    // The coordinator takes the partition away while the application works, and the background wakes late.
    bench.pass(Duration::millis(200));
    bench.target = vec![];
    bench.pass(Duration::millis(5_000));
    bench
        .desk
        .cuts
        .push((cuts::CONSUMER_EVENT_TO_BACKGROUND, Duration::millis(50)));
    bench.desk.notes.clear();
    bench.pass(Duration::secs(30));
    let told: Vec<&ClientNote> = bench
        .desk
        .notes
        .iter()
        .filter(|note| matches!(note, ClientNote::Polled { .. } | ClientNote::Revoked(_)))
        .collect();
    assert!(matches!(told[..], [ClientNote::Revoked(_)]), "{told:?}");
}

#[test]
fn what_the_background_learns_while_a_poll_returns_its_records_waits_for_the_next_poll() {
    let mut bench = modern("");
    bench.target = vec![0];
    let mut bench = bench.joined();
    bench
        .desk
        .cuts
        .push((cuts::CONSUMER_COLLECTED_TO_RETURN, Duration::secs(6)));
    bench.batches = 1;
    bench.target = vec![];
    bench.pass(Duration::secs(6));
    assert_eq!(bench.processed(), 0);
    assert_eq!(bench.listener(), "", "the heartbeat has told it meanwhile");
    bench.pass(Duration::secs(1));
    assert_eq!(bench.processed(), 10);
    assert_eq!(bench.listener(), "-0 +");
}

#[test]
fn a_new_target_between_a_polls_events_and_its_records_does_not_hold_them_back() {
    let settings = format!("{RARELY}\nmax.poll.records=1");
    let mut bench = modern_of(&settings, working(Duration::millis(100)));
    bench.target = vec![0];
    let mut bench = bench.joined();
    bench.batches = 1;
    bench.pass(Duration::millis(700));
    // The next poll has records in the buffer, and a heartbeat takes the partition away before it looks at them.
    let cut = (cuts::CONSUMER_EVENTS_TO_COLLECT, Duration::secs(6));
    bench.desk.cuts.push(cut);
    bench.pass(Duration::millis(200));
    let before = bench.processed();
    bench.target = vec![];
    bench.pass(Duration::secs(7));
    let processed = bench.processed();
    assert_eq!(processed, before + 1);
    assert!(bench.listener().ends_with("-0 +"));
    let committed = bench.committed[0].1.offset;
    assert_eq!(committed, Offset(u64::from(processed)), "before it is given up");
}

#[test]
fn a_pause_of_the_process_is_one_late_wake_up_of_both_threads() {
    let mut bench = modern("").joined();
    // Nothing moves for a minute: the heartbeat is late, the member finds out what became of it.
    bench.desk.pass(Duration::secs(60));
    bench.pass(Duration::secs(1));
    assert_eq!(epochs(&mut bench), [1]);
}

/// Numbers that look like chance, the same each time.
fn chance(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) % bound
    }
}

/// Something goes wrong for a member that would recover from it.
fn disturb(bench: &mut Bench, mut draw: impl FnMut(u64) -> u64) {
    let heartbeat_errors = [
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::FencedMemberEpoch,
        ErrorCode::UnknownMemberId,
    ];
    let commit_errors = [
        ErrorCode::NotCoordinator,
        ErrorCode::RequestTimedOut,
        ErrorCode::UnknownMemberId,
        ErrorCode::StaleMemberEpoch,
    ];
    match draw(8) {
        0 => {
            let error = heartbeat_errors[draw(5) as usize];
            bench
                .script
                .push(("ConsumerGroupHeartbeat", member_refused(error)));
        }
        1 => {
            let error = commit_errors[draw(4) as usize];
            let refused = Reply::Answer(commit_answer(&[0], error));
            bench.script.push(("OffsetCommit", refused));
        }
        2 => {
            let requests = [
                "ConsumerGroupHeartbeat",
                "OffsetCommit",
                "OffsetFetch",
                "ListOffsets",
                "FindCoordinator",
            ];
            bench.script.push((requests[draw(5) as usize], Reply::HangUp));
        }
        3 => bench.target = (0..4).filter(|_| draw(2) == 0).collect(),
        4 => bench.batches += draw(3),
        5 => bench.signal(Signal::Stall(Duration::millis(500 + draw(9_000)))),
        6 => {
            let cuts = [
                cuts::CONSUMER_EVENT_TO_BACKGROUND,
                cuts::CONSUMER_RECONCILIATION_TO_COMMIT,
                cuts::CONSUMER_COLLECTED_TO_RETURN,
                cuts::CONSUMER_EVENTS_TO_COLLECT,
            ];
            let delay = Duration::millis(draw(3_000));
            bench.desk.cuts.push((cuts[draw(4) as usize], delay));
        }
        _ => bench.desk.pass(Duration::millis(draw(8_000))),
    }
}

#[test]
fn whatever_went_wrong_a_member_that_could_recover_has_its_partitions_in_the_end() {
    let styles = [
        ("max.poll.interval.ms=7000", CommitStyle::Auto),
        (
            "enable.auto.commit=false\nmax.poll.interval.ms=7000",
            CommitStyle::After,
        ),
        ("enable.auto.commit=false", CommitStyle::AfterAsync),
    ];
    for seed in 1..=150 {
        let mut draw = chance(seed);
        let (settings, style) = styles[draw(3) as usize];
        let mut bench = modern_of(settings, committing(style));
        for _ in 0..40 {
            bench.pass(Duration::millis(draw(3_000)));
            disturb(&mut bench, &mut draw);
        }
        bench.script.clear();
        bench.desk.cuts.clear();
        bench.target = vec![1, 3];
        bench.pass(Duration::secs(60));
        assert!(bench.consumer.is_settled(), "{seed}: {:?}", bench.died());
        let mut owned: Vec<u32> = bench.consumer.positions().map(|(one, _)| one.0).collect();
        owned.sort_unstable();
        assert_eq!(owned, [1, 3], "{seed}");
        let end = Offset(bench.batches * 10);
        assert!(
            bench.consumer.positions().all(|(_, at)| at == Some(end)),
            "{seed}"
        );
    }
}

#[test]
fn an_idle_consumer_does_not_spin() {
    let mut bench = modern("").joined();
    bench.pass(Duration::secs(10));
    // Besides heartbeats and fetches it looks five times a second.
    assert!(bench.looked < 400, "{}", bench.looked);
}
