use ktrial_models::ids::GroupId;
use ktrial_models::invariants::{
    Convergence, Exposure, Fate, Invariant, MemberAtWork, Verdict, convergence_excuse, time_to_converge,
};
use ktrial_models::notes::{ClientNote, FailureClass, Note};
use ktrial_models::specification::{
    ClusterSpecification, CommitStyle, ConsumerSpecification, Failures, OnFailure,
};
use ktrial_sim::{Chance, Duration, NodeId};

use crate::court::{Court, ORDERS, PRODUCER, READER, Setup, cluster, member, producer_of, record};

const BROKEN: Verdict = Verdict::Broken;
/// max.block.ms, delivery.timeout.ms and slack.
const PATIENCE: Duration = Duration::secs(60 + 120 + 2);

/// The time of the only send is over, but not yet too long.
fn is_over_now(mut court: Court) {
    assert_eq!(court.finish(&[]), []);
    court.now += Duration::millis(1);
    assert_eq!(court.finish(&[]), [(Invariant::SendResolves, BROKEN)]);
}

#[test]
fn a_send_without_outcome_is_told_of_when_its_time_is_over() {
    let mut court = Court::new(Setup::default());
    court.client(ClientNote::Started);
    court.sends(0..1);
    court.now += PATIENCE;
    is_over_now(court);
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
    court.judges.disturbed(court.now, PRODUCER, Duration::ZERO);
    court.now += PATIENCE;
    is_over_now(court);
}

#[test]
fn what_was_sent_by_a_clock_that_is_set_back_ends_so_much_later() {
    let mut court = Court::new(Setup::default());
    court.sends(0..1);
    let ahead = Duration::secs(100);
    court.judges.disturbed(court.now, PRODUCER, ahead);
    court.now += PATIENCE;
    court.now += ahead;
    is_over_now(court);
}

#[test]
fn a_producer_without_an_id_ends_nothing_and_has_its_time_once_it_is_given_one() {
    let mut court = Court::new(Setup::default());
    court.client(ClientNote::Started);
    court.sends_without_id(0..1);
    court.now += PATIENCE;
    court.now += Duration::millis(1);
    let exposed = Verdict::Exposed(Exposure::NoProducerId);
    assert_eq!(court.finish(&[]), [(Invariant::SendResolves, exposed)]);
    court.sends(1..2);
    court.now += PATIENCE;
    court.now += Duration::millis(1);
    assert!(court.finish(&[]).contains(&(Invariant::SendResolves, BROKEN)));
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
    let members = [MemberAtWork {
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
        let members: Vec<_> = members.map(|(told, work)| MemberAtWork { told, work }).collect();
        time_to_converge(&cluster(&Setup::default()), &[], &[], &members, false)
    };
    assert_eq!(
        needed([30, 40, 500]).saturating_sub(needed([0, 0, 0])),
        Duration::secs(540)
    );
}

/// How long an application may have to work on nine records of which each fails so often.
fn nine_failing(times: u32, then: OnFailure, more: fn(&mut ConsumerSpecification)) -> u64 {
    let mut told = member();
    told.member.session_timeout_ms = Duration::secs(45);
    told.member.max_poll_interval_ms = Duration::secs(300);
    told.application.failures = Failures {
        failing: Some(1),
        times,
        then,
        ..Failures::default()
    };
    more(&mut told);
    let work = told.longest_work((0..9).map(record), Duration::secs(8), &Chance::new(1));
    work.as_millis() / 1_000
}

#[test]
fn records_that_fail_for_a_while_take_the_time_of_all_their_tries() {
    let retry = OnFailure::Retry;
    assert_eq!(nine_failing(3, retry, |_| ()), 9 * 3, "a second behind each");
    let slow = nine_failing(3, retry, |told| told.application.processing.1 = Duration::secs(2));
    assert_eq!(
        slow,
        9 * (3 * (2 + 1) + 2),
        "the try that succeeds takes its time too"
    );
    let sought = nine_failing(3, OnFailure::Seek, |told| {
        told.reader.settings.fetch_max_wait_ms = Duration::secs(4);
    });
    assert_eq!(sought, 9 * 3 * (1 + 4), "and is fetched again");
}

#[test]
fn whoever_tries_for_longer_than_max_poll_interval_ms_is_put_out_and_another_begins_again() {
    assert_eq!(nine_failing(60, OnFailure::Retry, |_| ()), 9 * 60 + 45);
    let with_polls = nine_failing(60, OnFailure::Retry, |told| {
        told.application.commit = CommitStyle::After;
        told.application.processing.1 = Duration::secs(1);
        told.reader.settings.max_poll_records = 4;
    });
    let trying = 9 * 60 * 2;
    assert_eq!(trying / 300, 3);
    assert_eq!(with_polls, trying + 9 + 3 * (45 + 4), "with what a poll returned");
}

#[test]
fn a_record_that_is_given_up_is_tried_only_so_often() {
    let left_out =
        |times, retries: fn(&mut ConsumerSpecification)| nine_failing(times, OnFailure::Skip, retries);
    assert_eq!(left_out(3, |_| ()), 0, "at once");
    assert_eq!(
        left_out(30, |told| told.application.failures.retries = 2),
        9 * 2,
        "a second before each of its retries"
    );
    assert_eq!(
        left_out(1, |told| told.application.failures.retries = 2),
        9,
        "it fails once"
    );
}

#[test]
fn an_application_that_ends_itself_takes_its_restarts_and_sessions() {
    let dies = |times, retries: fn(&mut ConsumerSpecification)| nine_failing(times, OnFailure::Die, retries);
    let once_in_two: fn(&mut ConsumerSpecification) = |told| {
        told.application.failures.retries = 1;
        told.application.restart = Some(Duration::secs(2));
    };
    assert_eq!(dies(4, once_in_two), 9 * (2 + 2 * (2 + 8 + 45)));
    assert_eq!(dies(3, once_in_two), 9 * (2 + (2 + 8 + 45)));
    assert_eq!(dies(1, once_in_two), 9, "it never dies");
}

#[test]
fn what_a_record_never_gets_past_counts_nothing_and_is_no_broken_promise() {
    let poisoned = |one_in, then, topics: &[u16]| {
        let mut told = member();
        told.reader.topics = topics.to_vec();
        told.letters = Some(producer_of(3));
        told.application.failures = Failures {
            poison: Some(one_in),
            then,
            ..Failures::default()
        };
        let chance = Chance::new(1);
        let work = told.longest_work((0..9).map(record), Duration::ZERO, &chance);
        (told.gets_stuck((0..9).map(record), &chance), work)
    };
    let sends_on = OnFailure::SendOn { waits: true };
    let nothing = Duration::ZERO;
    assert_eq!(poisoned(1, OnFailure::Retry, &[0]), (true, nothing));
    assert_eq!(poisoned(1, OnFailure::Skip, &[0]), (false, nothing));
    assert_eq!(
        poisoned(1, sends_on, &[0]),
        (false, Duration::millis(9 * 1_005)),
        "linger.ms and an acknowledgement"
    );
    assert_eq!(
        poisoned(1, sends_on, &[0, 3]),
        (true, nothing),
        "it reads what it sends on"
    );
    assert_eq!(
        poisoned(1_000_000, OnFailure::Retry, &[0]),
        (false, nothing),
        "none was sent"
    );
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
    court.judges.disturbed(court.now, NodeId(1), Duration::ZERO);
    assert_eq!(court.finish(&[]).len(), 32);
    assert_eq!(court.judges.counts(Invariant::SendResolves), (100, 0));
}
