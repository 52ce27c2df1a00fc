use std::sync::Arc;

use ktrial_models::invariants::{
    Convergence, Exposure, Fate, Invariant, Verdict, convergence_excuse, time_to_converge,
};
use ktrial_models::notes::{ClientNote, FailureClass, Note};
use ktrial_models::specification::ClusterSpecification;
use ktrial_sim::{Duration, NodeId};

use crate::court::{Court, ORDERS, PRODUCER, READER, Setup, cluster, member, record};

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
    let findings = court.judges.finish(
        court.now,
        &[],
        &[],
        Convergence::Missed(None),
        &pending,
        &court.contents,
    );
    let details: Vec<&str> = findings.iter().map(|finding| finding.detail.as_str()).collect();
    assert_eq!(details, pending);
    assert!(
        findings
            .iter()
            .all(|finding| finding.invariant == Invariant::Converges)
    );
}

/// What is found of a group that has not read a partition, in a cluster of three brokers.
fn group_is_behind(court: &mut Court) -> Vec<Verdict> {
    let unread = Convergence::Unread(None);
    let findings = court
        .judges
        .finish(court.now, &[], &[], unread, &[], &court.contents);
    findings.iter().map(|finding| finding.verdict).collect()
}

#[test]
fn a_reader_without_a_group_whose_poll_threw_need_not_have_read_everything() {
    assert_eq!(group_is_behind(&mut Court::new(Setup::default())), [BROKEN]);
    let mut court = Court::new(Setup::default());
    court.tell(
        READER.0,
        Note::Client(ClientNote::Died("NoOffsetForPartitionException")),
    );
    let threw = Verdict::Exposed(Exposure::ReaderThrew);
    assert_eq!(group_is_behind(&mut court), [threw]);
}

#[test]
fn groups_need_not_read_where_their_topic_asks_for_more_replicas_than_there_are_brokers() {
    let mut court = Court::new(Setup {
        offsets_replicas: 4,
        ..Setup::default()
    });
    let refused = Verdict::Exposed(Exposure::NoOffsetsTopic);
    assert_eq!(group_is_behind(&mut court), [refused]);
}

#[test]
fn settings_that_never_let_a_cluster_come_to_rest_are_told_from_those_that_do() {
    let excuse = |change: fn(&mut ClusterSpecification)| {
        let mut cluster = cluster(&Setup::default());
        change(&mut cluster);
        convergence_excuse(&cluster, Duration::millis(1))
    };
    assert_eq!(excuse(|_| {}), None, "Kafka's defaults");
    type Change = fn(&mut ClusterSpecification);
    let cases: [(Change, Option<Exposure>); 6] = [
        (
            |cluster| cluster.controller.controller_quorum_fetch_timeout_ms = Duration::millis(501),
            Some(Exposure::HastyQuorumFetch),
        ),
        (
            |cluster| cluster.controller.controller_quorum_fetch_timeout_ms = Duration::millis(502),
            None,
        ),
        (
            |cluster| cluster.controller.controller_quorum_request_timeout_ms = Duration::millis(400),
            Some(Exposure::HastyQuorumRequest),
        ),
        (
            |cluster| cluster.controller.controller_quorum_election_timeout_ms = Duration::millis(1),
            Some(Exposure::HastyQuorumElection),
        ),
        (
            |cluster| cluster.broker.broker_heartbeat_interval_ms = Duration::millis(4_500),
            None,
        ),
        (
            |cluster| cluster.broker.broker_heartbeat_interval_ms = Duration::millis(4_501),
            Some(Exposure::RareHeartbeats),
        ),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(excuse(change), expected, "case {number}");
    }
}

#[test]
fn a_group_that_was_empty_may_wait_for_its_members_before_it_has_converged() {
    let members = [Arc::new(member()), Arc::new(member())];
    let needed = |delay: u64| {
        let mut cluster = cluster(&Setup::default());
        cluster.broker.group_initial_rebalance_delay_ms = Duration::secs(delay);
        time_to_converge(&cluster, &[], &[], (&members, 0), false)
    };
    let more = |delay| needed(delay).saturating_sub(needed(0));
    assert_eq!(more(120), Duration::secs(240), "once more for the second member");
    assert_eq!(more(200), Duration::secs(300), "max.poll.interval.ms at most");
    assert_eq!(more(400), Duration::secs(400), "but once in full");
}

#[test]
fn nobody_is_blamed_who_had_too_little_time_to_converge() {
    let mut court = Court::new(Setup::default());
    let pending = ["orders-0 has no leader".to_owned()];
    let short = Convergence::TooShort(Duration::secs(1), Duration::secs(90));
    let findings = court
        .judges
        .finish(court.now, &[], &[], short, &pending, &court.contents);
    assert_eq!(findings, []);
    let [unjudged] = &court.judges.unjudged()[..] else {
        panic!("it is told that it was not judged")
    };
    assert_eq!(unjudged.invariant, Invariant::Converges);
    assert!(
        unjudged.because.contains("`heal: 1s` is shorter than the 90s"),
        "{unjudged:?}"
    );
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
