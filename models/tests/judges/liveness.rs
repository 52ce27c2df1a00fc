use ktrial_models::ids::GroupId;
use ktrial_models::invariants::{
    Convergence, Exposure, Fate, Invariant, Member, Verdict, convergence_excuse, time_to_converge,
};
use ktrial_models::notes::{ClientNote, FailureClass, Note};
use ktrial_models::specification::{ClusterSpecification, ConsumerSpecification, Failures, OnFailure};
use ktrial_sim::{Chance, Duration, NodeId};

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
    let told = member();
    let members = [Member {
        told: &told,
        work: Duration::ZERO,
    }; 2];
    let needed = |delay: u64| {
        let mut cluster = cluster(&Setup::default());
        cluster.broker.group_initial_rebalance_delay_ms = Duration::secs(delay);
        time_to_converge(&cluster, &[], &[], &members, false)
    };
    let more = |delay| needed(delay).saturating_sub(needed(0));
    assert_eq!(more(120), Duration::secs(240), "once more for the second member");
    assert_eq!(more(200), Duration::secs(300), "max.poll.interval.ms at most");
    assert_eq!(more(400), Duration::secs(400), "but once in full");
}

#[test]
fn the_work_of_groups_adds_up_for_one_may_send_to_another_and_members_of_one_share_it() {
    let groups = [0, 0, 1].map(|group| ConsumerSpecification {
        group: GroupId(group),
        ..member()
    });
    let needed = |work: [u64; 3]| {
        let members = groups.iter().zip(work.map(Duration::secs));
        let members: Vec<_> = members.map(|(told, work)| Member { told, work }).collect();
        time_to_converge(&cluster(&Setup::default()), &[], &[], &members, false)
    };
    assert_eq!(
        needed([30, 40, 500]).saturating_sub(needed([0, 0, 0])),
        Duration::secs(540)
    );
}

/// How long an application may have to work on nine records of which each fails so often.
fn nine_failing(times: u32, then: OnFailure, more: fn(&mut ConsumerSpecification)) -> Duration {
    let mut told = member();
    told.application.failures = Failures {
        failing: Some(1),
        times,
        then,
        ..Failures::default()
    };
    more(&mut told);
    told.work_on((0..9).map(record), Duration::secs(8), &Chance::new(1))
}

#[test]
fn records_that_fail_for_a_while_take_the_time_of_all_their_tries() {
    let seconds = |times, then, more| nine_failing(times, then, more).as_millis() / 1_000;
    assert_eq!(
        seconds(3, OnFailure::Retry, |_| ()),
        9 * 3,
        "a second behind each"
    );
    assert_eq!(
        seconds(3, OnFailure::Retry, |told| {
            told.application.processing.1 = Duration::secs(2);
        }),
        9 * 3 * (2 + 1) + 9 * 2,
        "each try takes its time, and the one that succeeds"
    );
    assert_eq!(
        seconds(60, OnFailure::Retry, |told| {
            told.member.max_poll_interval_ms = Duration::secs(300);
            told.member.session_timeout_ms = Duration::secs(45);
        }),
        9 * 60 + 45,
        "and it is put out of its group once"
    );
    assert_eq!(seconds(3, OnFailure::Skip, |_| ()), 9, "it is left out at once");
    assert_eq!(
        seconds(30, OnFailure::Skip, |told| told.application.failures.retries = 2),
        9 * 3
    );
    assert_eq!(
        seconds(4, OnFailure::Die, |told| {
            told.application.failures.retries = 1;
            told.application.restart = Some(Duration::secs(2));
            told.member.session_timeout_ms = Duration::secs(45);
        }),
        9 * (4 + 2 * (2 + 8 + 45)),
        "every second try ends it"
    );
}

#[test]
fn what_a_record_never_gets_past_counts_nothing_and_is_no_broken_promise() {
    let poisoned = |then| {
        let mut told = member();
        told.application.failures = Failures {
            poison: Some(1),
            then,
            ..Failures::default()
        };
        let work = told.work_on((0..9).map(record), Duration::ZERO, &Chance::new(1));
        (told.application.can_get_stuck(), work)
    };
    assert_eq!(poisoned(OnFailure::Retry), (true, Duration::ZERO));
    assert_eq!(poisoned(OnFailure::Skip), (false, Duration::secs(9)));
    let dies = |restart, retries| {
        let mut told = member();
        told.application.restart = restart;
        told.application.failures = Failures {
            failing: Some(100),
            times: 2,
            retries,
            then: OnFailure::Die,
            ..Failures::default()
        };
        told.application.can_get_stuck()
    };
    assert!(dies(None, 1), "nobody starts it again");
    assert!(!dies(None, 2), "it never dies");
    assert!(!dies(Some(Duration::secs(1)), 1));
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
        unjudged.because.contains("1s of healing are less than the 90s"),
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
