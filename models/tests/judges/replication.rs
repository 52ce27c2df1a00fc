use ktrial_models::ids::{Offset, QuorumEpoch, ServerId};
use ktrial_models::invariants::{Exposure, Fate, Invariant, Verdict};
use ktrial_models::notes::{ClusterNote, Election, Note, QuorumNote};

use crate::court::{Court, Setup};

const BROKEN: Verdict = Verdict::Broken;

fn after(elr: bool, isr: &[u16], eligible: &[u16]) -> Vec<(Invariant, Verdict)> {
    let mut court = Court::new(Setup {
        elr,
        ..Setup::default()
    });
    court.isr(isr, eligible);
    court.finish(&[])
}

#[test]
fn isr_and_elr_keep_to_the_form_of_the_clusters_elr_level() {
    let illegal = [(Invariant::IsrLegal, BROKEN)];
    assert_eq!(after(true, &[1, 2], &[]), []);
    assert_eq!(after(true, &[1], &[2]), []);
    assert_eq!(after(true, &[1, 2], &[3]), illegal);
    assert_eq!(after(true, &[1], &[1]), illegal);
    assert_eq!(after(true, &[1, 9], &[]), illegal);
    assert_eq!(after(true, &[2, 3], &[]), illegal);
    assert_eq!(after(false, &[1], &[2]), illegal);
    assert_eq!(after(false, &[1], &[]), []);
}

#[test]
fn without_elr_a_fenced_broker_stays_only_as_the_last_member_of_a_leaderless_partition() {
    for (elr, isr, expected) in [(false, &[1][..], 0), (false, &[1, 2], 1), (true, &[1], 1)] {
        let mut court = Court::new(Setup {
            elr,
            ..Setup::default()
        });
        court.leaderless(isr, &[]);
        court.cluster(ClusterNote::Fenced(ServerId(1)));
        assert_eq!(court.finish(&[]), vec![(Invariant::IsrLegal, BROKEN); expected]);
    }
}

#[test]
fn what_a_deposed_controller_tells_late_of_a_broker_does_not_count() {
    let mut court = Court::new(Setup::default());
    court.tell(2, Note::Quorum(QuorumNote::Leads(QuorumEpoch(2))));
    court.cluster(ClusterNote::Fenced(ServerId(3)));
    assert_eq!(court.finish(&[]), []);
}

#[test]
fn an_epoch_has_one_leader() {
    let mut court = Court::new(Setup::default());
    court.leads(1, 0);
    assert_eq!(court.finish(&[]), []);
    court.leads(2, 0);
    assert_eq!(court.finish(&[]), [(Invariant::ElectionSafety, BROKEN)]);
}

#[test]
fn a_quorum_epoch_has_one_leader_unless_a_voter_forgot_its_vote() {
    for (fate, expected) in [
        (Fate::PageCacheLost, BROKEN),
        (Fate::DiskLost, Verdict::Exposed(Exposure::QuorumDiskLost)),
    ] {
        let mut court = Court::new(Setup {
            kraft: 0,
            ..Setup::default()
        });
        court.crash(3, fate);
        court.tell(2, Note::Quorum(QuorumNote::Leads(QuorumEpoch(1))));
        assert_eq!(court.finish(&[]), [(Invariant::ElectionSafety, expected)]);
    }
}

#[test]
fn a_quorum_commits_what_a_majority_has() {
    let appended = |end| Note::Quorum(QuorumNote::Appended(Offset(0), Offset(end), QuorumEpoch(1)));
    let committed = Note::Quorum(QuorumNote::HighWatermark {
        to: Offset(5),
        leads: true,
    });
    let mut court = Court::new(Setup::default());
    court.tell(1, appended(5));
    court.tell(2, appended(5));
    court.tell(1, committed.clone());
    assert_eq!(court.finish(&[]), []);
    let mut court = Court::new(Setup::default());
    court.tell(1, appended(5));
    court.tell(2, appended(4));
    court.tell(1, committed);
    assert_eq!(court.finish(&[]), [(Invariant::HighWatermarkValid, BROKEN)]);
}

#[test]
fn a_leader_of_an_older_epoch_that_is_late_to_begin_need_not_have_what_was_committed_since() {
    let mut court = Court::new(Setup::default());
    court.write(0, 0, &[3], &[1, 3]);
    court.elects(3, Election::FromIsr, &[1, 3]);
    court.leads(2, 0);
    let findings = court.finish(&[0]);
    assert_eq!(findings, [(Invariant::ElectionSafety, BROKEN)]);
}

#[test]
fn a_process_that_takes_up_an_old_leadership_before_it_registers_was_not_elected() {
    let mut court = Court::new(Setup::default());
    court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.crash(1, Fate::PageCacheLost);
    court.loads(1, &[]);
    court.leads(1, 0);
    court.elects(2, Election::FromIsr, &[2, 3]);
    assert_eq!(court.finish(&[0]), []);
}

/// 2 lost a committed record by a power loss and is named in the ISR again.
fn back_in_isr(copied: bool, registered: bool) -> Vec<(Invariant, Verdict)> {
    let mut court = Court::new(Setup::default());
    let batch = court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.crash(2, Fate::PageCacheLost);
    court.isr(&[1, 3], &[]);
    court.loads(2, &[]);
    if registered {
        court.registers(2);
    }
    if copied {
        court.append(2, batch, false);
    }
    court.isr(&[1, 2, 3], &[]);
    court.finish(&[0])
}

#[test]
fn a_replica_that_lost_data_is_in_no_isr_before_it_has_caught_up() {
    assert_eq!(back_in_isr(true, true), []);
    assert_eq!(back_in_isr(false, true), [(Invariant::UncleanExclusion, BROKEN)]);
    // Before it registers again the controller cannot know.
    assert_eq!(back_in_isr(false, false), []);
}

#[test]
fn the_last_known_leader_may_lead_without_its_data() {
    let mut court = Court::new(Setup::default());
    court.write(0, 0, &[2], &[1, 2]);
    court.crash(1, Fate::PageCacheLost);
    court.leaderless(&[], &[]);
    court.loads(1, &[]);
    court.registers(1);
    court.elects(1, Election::LastKnownLeader, &[1]);
    let exposed = Verdict::Exposed(Exposure::LastKnownLeader);
    assert!(
        court
            .finish(&[])
            .contains(&(Invariant::UncleanExclusion, exposed))
    );
}
