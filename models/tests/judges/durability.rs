use ktrial_models::config::Acks;
use ktrial_models::ids::RecordId;
use ktrial_models::invariants::{Exposure, Fate, Invariant, Verdict};
use ktrial_models::notes::{ClientNote, Election, FailureClass};
use ktrial_models::records::Batch;
use ktrial_sim::NodeId;

use crate::court::{Court, MEMBERS, ORDERS, Setup, record};

const BROKEN: Verdict = Verdict::Broken;

fn exposed(by: Exposure) -> Verdict {
    Verdict::Exposed(by)
}

fn acks(acks: Acks) -> Court {
    Court::new(Setup {
        acks,
        idempotent: acks == Acks::All,
        ..Setup::default()
    })
}

/// What became of LostWrite alone.
fn lost(court: &mut Court, finals: &[u32]) -> Vec<Verdict> {
    let findings = court.finish(finals);
    let lost = findings
        .iter()
        .filter(|(invariant, _)| *invariant == Invariant::LostWrite);
    lost.map(|(_, verdict)| *verdict).collect()
}

#[test]
fn a_replicated_write_that_is_read_in_the_end_breaks_nothing() {
    let mut court = acks(Acks::All);
    court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.write(1, 1, &[2, 3], &[1, 2, 3]);
    assert_eq!(court.finish(&[0, 1]), []);
    let exercised = court.judges.exercised();
    assert_eq!((exercised.acknowledged, exercised.committed), (2, 2));
}

#[test]
fn a_committed_record_that_retention_deleted_is_not_lost_and_one_it_did_not_delete_is() {
    let after = |finals: &[u32]| {
        let mut court = acks(Acks::All);
        let first = court.write(0, 0, &[2, 3], &[1, 2, 3]);
        court.write(1, 1, &[2, 3], &[1, 2, 3]);
        court.deletes(1, first);
        lost(&mut court, finals)
    };
    assert_eq!(after(&[1]), []);
    assert_eq!(after(&[]), [BROKEN]);
}

#[test]
fn a_leader_whose_retention_deleted_more_than_that_of_others_holds_all_that_is_committed() {
    let mut court = acks(Acks::All);
    let first = court.write(0, 0, &[2, 3], &[1, 2, 3]);
    let second = court.write(1, 1, &[2, 3], &[1, 2, 3]);
    court.deletes(2, first);
    court.crash(1, Fate::ProcessKilled);
    court.elects(2, Election::FromIsr, &[2, 3]);
    court.deletes(2, second);
    assert_eq!(court.finish(&[]), []);
}

#[test]
fn a_lost_disk_takes_what_retention_had_deleted_along() {
    let mut court = Court::new(Setup {
        min_isr: 1,
        ..Setup::default()
    });
    let deleted = court.write(0, 0, &[], &[1]);
    court.deletes(1, deleted);
    court.crash(1, Fate::DiskLost);
    court.loads(1, &[]);
    court.elects(1, Election::FromIsr, &[1]);
    let expected = (
        Invariant::LeaderCompleteness,
        exposed(Exposure::TooManyLossyStops),
    );
    assert!(court.finish(&[]).contains(&expected));
}

#[test]
fn a_record_acknowledged_by_its_leader_alone_and_never_committed_was_not_promised() {
    let mut court = acks(Acks::Leader);
    court.write(0, 0, &[], &[]);
    court.crash(1, Fate::ProcessKilled);
    court.elects(2, Election::FromIsr, &[2, 3]);
    court.truncate(1, 0, 1);
    let expected = [Invariant::AckedSurvives, Invariant::LostWrite]
        .map(|invariant| (invariant, exposed(Exposure::AcksOne)));
    assert_eq!(court.finish(&[]), expected);
}

/// A record that all three replicas had, of a partition that nobody leads or whose high watermark fell behind.
fn replicated() -> Court {
    let mut court = acks(Acks::All);
    court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court
}

#[test]
fn what_stands_in_a_log_that_cannot_be_read_so_far_is_not_lost_and_it_is_told_that_it_was_not_judged() {
    for led in [true, false] {
        let mut court = replicated();
        assert_eq!(court.finish_unread(led, &[0]), []);
        let unjudged = court.judges.unjudged();
        let of: Vec<Invariant> = unjudged.iter().map(|unjudged| unjudged.invariant).collect();
        assert_eq!(of, [Invariant::LostWrite], "whether it will be read nobody knows");
        assert!(
            unjudged[0].because.starts_with("1 of 1 acknowledged records"),
            "{unjudged:?}"
        );
    }
}

#[test]
fn a_record_that_no_disk_has_any_more_is_lost_although_nobody_leads_its_partition() {
    let mut court = replicated();
    for server in 1..=3 {
        court.crash(server, Fate::DiskLost);
    }
    let expected = [Invariant::AckedSurvives, Invariant::LostWrite]
        .map(|invariant| (invariant, exposed(Exposure::TooManyLossyStops)));
    assert_eq!(court.finish_unread(false, &[]), expected);
    assert_eq!(court.judges.unjudged(), []);
}

/// What became of a record that a member had sent on and was told of, and that is in no log.
fn sent_on(member: usize, letters: Option<Acks>) -> Vec<(Invariant, Verdict)> {
    let mut court = Court::new(Setup {
        letters,
        ..Setup::default()
    });
    let copy = RecordId {
        producer: NodeId(MEMBERS[member]),
        number: 0,
    };
    court.member(
        member,
        ClientNote::Sent {
            record: copy,
            key: None,
        },
    );
    let told = court.acknowledged(copy, Some(0));
    court.member(member, told);
    court.finish(&[])
}

#[test]
fn a_record_that_a_member_sent_on_is_judged_by_what_its_own_producer_asked_for() {
    let of = |verdict| [Invariant::AckedSurvives, Invariant::LostWrite].map(|invariant| (invariant, verdict));
    assert_eq!(sent_on(1, Some(Acks::All)), of(BROKEN));
    assert_eq!(sent_on(1, Some(Acks::Leader)), of(exposed(Exposure::AcksOne)));
    assert_eq!(sent_on(0, Some(Acks::All)), [], "this member has no producer");
}

#[test]
fn a_record_that_nobody_answered_for_was_not_promised() {
    let mut court = acks(Acks::None);
    court.sends(0..1);
    let told = court.acknowledged(record(0), None);
    court.client(told);
    assert_eq!(lost(&mut court, &[]), [exposed(Exposure::AcksZero)]);
}

#[test]
fn a_committed_record_is_promised_even_with_acks_1() {
    let mut court = acks(Acks::Leader);
    court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.crash(1, Fate::ProcessKilled);
    court.truncate(2, 0, 1);
    court.elects(2, Election::FromIsr, &[2, 3]);
    let findings = court.finish(&[]);
    assert_eq!(
        findings,
        [
            (Invariant::LostWrite, BROKEN),
            (Invariant::LeaderCompleteness, BROKEN)
        ]
    );
}

/// One committed record; the leader dies and 2, which lacks it, is elected in this way.
fn elected_without(how: Election) -> Vec<Verdict> {
    let mut court = acks(Acks::All);
    court.write(0, 0, &[3], &[1, 3]);
    court.crash(1, Fate::ProcessKilled);
    court.elects(2, how, &[2]);
    lost(&mut court, &[])
}

#[test]
fn an_unclean_election_releases_what_the_leader_lacks() {
    assert_eq!(
        elected_without(Election::Unclean),
        [exposed(Exposure::UncleanElection)]
    );
}

#[test]
fn an_unclean_election_where_the_setting_is_off_releases_nothing() {
    let mut court = Court::new(Setup {
        unclean: false,
        ..Setup::default()
    });
    court.write(0, 0, &[3], &[1, 3]);
    court.elects(2, Election::Unclean, &[2]);
    assert_eq!(lost(&mut court, &[]), [BROKEN]);
}

#[test]
fn an_election_from_the_isr_or_elr_releases_nothing() {
    assert_eq!(elected_without(Election::FromIsr), [BROKEN]);
    assert_eq!(elected_without(Election::FromElr), [BROKEN]);
}

#[test]
fn a_last_known_leader_is_an_excuse_only_if_it_had_lost_the_record() {
    assert_eq!(elected_without(Election::LastKnownLeader), [BROKEN]);
    let mut court = acks(Acks::All);
    court.write(0, 0, &[2], &[1, 2]);
    court.crash(1, Fate::PageCacheLost);
    court.leaderless(&[], &[]);
    court.loads(1, &[]);
    court.elects(1, Election::LastKnownLeader, &[1]);
    assert_eq!(lost(&mut court, &[]), [exposed(Exposure::LastKnownLeader)]);
}

/// One record committed by 1, 2 and 3; these lose power and come back empty; 1 is elected from the ISR.
fn after_power_loss(min_isr: u32, losers: &[u16]) -> Vec<Verdict> {
    let mut court = Court::new(Setup {
        min_isr,
        ..Setup::default()
    });
    court.write(0, 0, &[2, 3], &[1, 2, 3]);
    for loser in losers {
        court.crash(*loser, Fate::PageCacheLost);
    }
    for loser in losers {
        court.loads(*loser, &[]);
    }
    court.elects(1, Election::FromIsr, &[1]);
    lost(&mut court, &[])
}

#[test]
fn as_many_lossy_stops_as_min_insync_replicas_release_a_record_and_one_less_does_not() {
    assert_eq!(after_power_loss(2, &[1]), [BROKEN]);
    assert_eq!(
        after_power_loss(2, &[1, 2]),
        [exposed(Exposure::TooManyLossyStops)]
    );
    assert_eq!(after_power_loss(1, &[1]), [exposed(Exposure::TooManyLossyStops)]);
}

#[test]
fn losses_that_were_copied_back_in_between_do_not_add_up() {
    let mut court = Court::new(Setup::default());
    let batch = court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.crash(2, Fate::DiskLost);
    court.loads(2, &[]);
    court.append(2, batch, false);
    court.crash(1, Fate::PageCacheLost);
    court.loads(1, &[]);
    court.elects(1, Election::FromIsr, &[1]);
    assert_eq!(lost(&mut court, &[]), [BROKEN]);
}

#[test]
fn a_process_kill_takes_nothing_so_it_excuses_nothing() {
    let mut court = Court::new(Setup::default());
    court.write(0, 0, &[2, 3], &[1, 2, 3]);
    for server in 1..=2 {
        court.crash(server, Fate::ProcessKilled);
        court.loads(server, &[]);
    }
    court.elects(1, Election::FromIsr, &[1]);
    assert_eq!(lost(&mut court, &[]), [BROKEN]);
}

/// Without ELR: 1 was the last member of the ISR, or one of two, lost power and leads again.
fn last_replica(isr: &[u16], elr: bool) -> Vec<Verdict> {
    let mut court = Court::new(Setup {
        elr,
        ..Setup::default()
    });
    court.write(0, 0, &[2], &[1, 2]);
    court.crash(1, Fate::PageCacheLost);
    court.leaderless(isr, &[]);
    court.loads(1, &[]);
    court.elects(1, Election::FromIsr, isr);
    lost(&mut court, &[])
}

#[test]
fn without_elr_the_last_replica_standing_may_lead_again_without_its_data() {
    assert_eq!(
        last_replica(&[1], false),
        [exposed(Exposure::LastReplicaStanding)]
    );
    assert_eq!(last_replica(&[1], true), [BROKEN]);
    assert_eq!(last_replica(&[1, 2], false), [BROKEN]);
}

#[test]
fn a_controllers_lost_disk_is_an_excuse_under_kraft_version_0_only() {
    for (kraft, expected) in [(0, exposed(Exposure::QuorumDiskLost)), (1, BROKEN)] {
        let mut court = Court::new(Setup {
            kraft,
            ..Setup::default()
        });
        court.write(0, 0, &[2, 3], &[1, 2, 3]);
        court.crash(3, Fate::DiskLost);
        court.truncate(2, 0, 1);
        court.elects(2, Election::FromIsr, &[2]);
        assert_eq!(lost(&mut court, &[]), [expected]);
    }
}

#[test]
fn what_another_replica_lost_excuses_nothing_where_the_leader_cut_its_own_log() {
    let mut court = Court::new(Setup::default());
    court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.crash(3, Fate::PageCacheLost);
    court.loads(3, &[]);
    court.truncate(2, 0, 1);
    court.elects(2, Election::FromIsr, &[2]);
    assert_eq!(lost(&mut court, &[]), [BROKEN]);
}

#[test]
fn a_record_in_no_log_at_all_has_not_survived_and_one_on_a_stopped_broker_has() {
    let survives = |court: &mut Court| {
        let findings = court.finish(&[]);
        !findings
            .iter()
            .any(|(invariant, _)| *invariant == Invariant::AckedSurvives)
    };
    let mut court = Court::new(Setup::default());
    court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.crash(3, Fate::ProcessKilled);
    court.crash(1, Fate::DiskLost);
    court.crash(2, Fate::DiskLost);
    assert!(survives(&mut court));
    let mut court = Court::new(Setup::default());
    court.write(0, 0, &[2, 3], &[1, 2, 3]);
    (1..=3).for_each(|server| court.crash(server, Fate::DiskLost));
    assert!(!survives(&mut court));
}

#[test]
fn two_records_read_at_one_offset_break_what_readers_rely_on() {
    let mut court = Court::new(Setup::default());
    let first = court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.poll(first);
    let second = court.batch(0, 1, &[1]);
    court.sends(1..2);
    court.acknowledge(1, 0);
    let findings = court.finish(&[0, 1]);
    assert_eq!(findings, [(Invariant::InconsistentOffsets, BROKEN)]);
    assert_eq!(second.records.count, 1);
}

#[test]
fn an_offset_told_for_a_record_that_acks_1_let_go_may_name_another_later() {
    let mut court = acks(Acks::Leader);
    court.write(0, 0, &[], &[]);
    court.crash(1, Fate::ProcessKilled);
    court.elects(2, Election::FromIsr, &[2, 3]);
    court.sends(1..2);
    let batch = court.batch(0, 1, &[1]);
    court.replicate(2, batch, &[3]);
    court.high_watermark(2, 1, 1, &[2, 3]);
    court.acknowledge(1, 0);
    let findings = court.finish(&[1]);
    let about = |(invariant, _): &&(Invariant, Verdict)| *invariant == Invariant::InconsistentOffsets;
    let names: Vec<_> = findings.iter().filter(about).collect();
    assert_eq!(
        names,
        [&(Invariant::InconsistentOffsets, exposed(Exposure::AcksOne))]
    );
}

#[test]
fn an_acks_all_success_needs_the_high_watermark_and_a_large_enough_isr() {
    for (high_watermark, isr, expected) in [(1, 2, 0), (0, 3, 1), (1, 1, 1)] {
        let mut court = Court::new(Setup::default());
        let batch: Batch = court.batch(0, 0, &[0]);
        court.answers(batch.records, high_watermark, isr);
        let findings = court.finish(&[]);
        assert_eq!(findings, vec![(Invariant::AckNeedsMinIsr, BROKEN); expected]);
    }
    let mut hurried = acks(Acks::Leader);
    let batch = hurried.batch(0, 0, &[0]);
    hurried.answers(batch.records, 0, 1);
    assert_eq!(hurried.finish(&[]), []);
}

fn fail(court: &mut Court, id: RecordId, class: FailureClass) {
    court.client(ClientNote::Failed {
        record: id,
        error: "NOT_ENOUGH_REPLICAS",
        class,
        partition: Some(ORDERS),
    });
}

#[test]
fn a_send_that_was_refused_throughout_is_never_read_and_one_of_unknown_end_may_be() {
    for (class, expected) in [(FailureClass::Definite, 1), (FailureClass::Unknown, 0)] {
        let mut court = Court::new(Setup::default());
        court.sends(0..1);
        let batch = court.batch(0, 0, &[0]);
        court.replicate(1, batch, &[2, 3]);
        court.high_watermark(1, 0, 1, &[1, 2, 3]);
        fail(&mut court, record(0), class);
        court.poll(batch);
        let findings = court.finish(&[0]);
        assert_eq!(findings, vec![(Invariant::FailedWriteVisible, BROKEN); expected]);
    }
}

#[test]
fn a_refusal_told_after_the_record_was_read_counts_too() {
    let mut court = Court::new(Setup::default());
    court.sends(0..1);
    let batch = court.batch(0, 0, &[0]);
    court.replicate(1, batch, &[2, 3]);
    court.poll(batch);
    fail(&mut court, record(0), FailureClass::Definite);
    assert_eq!(court.finish(&[]), [(Invariant::FailedWriteVisible, BROKEN)]);
}
