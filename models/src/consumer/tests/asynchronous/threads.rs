use ktrial_sim::Duration;

use super::*;
use crate::cuts;
use crate::ids::Offset;
use crate::notes::ClientNote;

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
fn a_pause_of_the_process_is_one_late_wake_up_of_both_threads() {
    let mut bench = modern("").joined();
    // Nothing moves for a minute: the heartbeat is late, the member finds out what became of it.
    bench.desk.pass(Duration::secs(60));
    bench.pass(Duration::secs(1));
    assert_eq!(epochs(&mut bench), [1]);
}

#[test]
fn an_idle_consumer_does_not_spin() {
    let mut bench = modern("").joined();
    bench.pass(Duration::secs(10));
    // Besides heartbeats and fetches it looks five times a second.
    assert!(bench.looked < 400, "{}", bench.looked);
}
