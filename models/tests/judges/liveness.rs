use ktrial_models::invariants::{Convergence, Fate, Invariant, Verdict};
use ktrial_models::notes::{ClientNote, FailureClass};
use ktrial_sim::{Duration, NodeId};

use crate::court::{Court, ORDERS, PRODUCER, Setup, record};

const BROKEN: Verdict = Verdict::Broken;
/// max.block.ms, delivery.timeout.ms and slack.
const PATIENCE: Duration = Duration::secs(60 + 120 + 2);

#[test]
fn a_send_without_outcome_is_told_of_when_its_time_is_over() {
    let mut court = Court::new(Setup::default());
    court.client(ClientNote::Started);
    court.sends(0..1);
    court.now += PATIENCE;
    assert_eq!(court.finish(&[]), []);
    court.now += Duration::millis(1);
    assert_eq!(court.finish(&[]), [(Invariant::SendResolves, BROKEN)]);
}

#[test]
fn an_outcome_that_comes_too_late_counts_too() {
    let mut court = Court::new(Setup::default());
    court.sends(0..1);
    court.now += PATIENCE;
    court.client(ClientNote::Failed {
        record: record(0),
        error: "TimeoutException",
        class: FailureClass::Unknown,
        partition: Some(ORDERS),
    });
    assert_eq!(court.finish(&[]), [(Invariant::SendResolves, BROKEN)]);
}

#[test]
fn the_time_of_a_client_that_was_paused_or_whose_clock_was_moved_begins_anew() {
    let mut court = Court::new(Setup::default());
    court.sends(0..1);
    court.now += PATIENCE;
    court.judges.disturbed(court.now, PRODUCER);
    court.now += PATIENCE;
    assert_eq!(court.finish(&[]), []);
    court.now += Duration::millis(1);
    assert_eq!(court.finish(&[]), [(Invariant::SendResolves, BROKEN)]);
}

#[test]
fn what_a_dead_process_sent_has_no_one_to_be_told_to() {
    let mut court = Court::new(Setup::default());
    court.client(ClientNote::Started);
    court.sends(0..1);
    court.crash(PRODUCER.0, Fate::ProcessKilled);
    court.now += PATIENCE;
    court.now += Duration::secs(1);
    assert_eq!(court.finish(&[]), []);
}

#[test]
fn what_has_not_converged_is_named() {
    let mut court = Court::new(Setup::default());
    let pending = [
        "orders-0 has no leader".to_owned(),
        "1 send has no outcome".to_owned(),
    ];
    let findings = court
        .judges
        .finish(court.now, &[], Convergence::Missed, &pending, &court.contents);
    let details: Vec<&str> = findings.iter().map(|finding| finding.detail.as_str()).collect();
    assert_eq!(details, pending);
    assert!(
        findings
            .iter()
            .all(|finding| finding.invariant == Invariant::Converges)
    );
}

#[test]
fn nobody_is_blamed_who_had_too_little_time_to_converge() {
    let mut court = Court::new(Setup::default());
    let pending = ["orders-0 has no leader".to_owned()];
    let findings = court
        .judges
        .finish(court.now, &[], Convergence::TooShort, &pending, &court.contents);
    assert_eq!(findings, []);
}

#[test]
fn at_most_32_witnesses_become_findings_and_all_are_counted() {
    let mut court = Court::new(Setup::default());
    court.sends(0..100);
    court.now += PATIENCE;
    court.now += Duration::secs(1);
    court.judges.disturbed(court.now, NodeId(1));
    assert_eq!(court.finish(&[]).len(), 32);
    assert_eq!(court.judges.counts(Invariant::SendResolves), (100, 0));
}
