use ktrial_models::groups::classic::GroupState;
use ktrial_models::groups::consumer::MemberState;
use ktrial_models::ids::{
    GenerationId, GroupEpoch, GroupId, LeaderEpoch, MemberEpoch, MemberId, Offset, ServerId,
};
use ktrial_models::invariants::{Exposure, Fate, Invariant, Verdict};
use ktrial_models::notes::{ClientNote, CommittedBy, CoordinatorNote, GroupNote, MemberRemoval, Note};
use ktrial_models::protocol::CommittedOffset;
use smallvec::smallvec;

use crate::court::{Court, MEMBERS, OFFSETS, ORDERS, Setup};

const BROKEN: Verdict = Verdict::Broken;
const BILLING: GroupId = GroupId(0);
const ONE: MemberId = MemberId(1);
const TWO: MemberId = MemberId(2);

fn court() -> Court {
    let mut court = Court::new(Setup::default());
    court.has_offsets_topic(1);
    court.member(0, ClientNote::IsMember(ONE));
    court.member(1, ClientNote::IsMember(TWO));
    court
}

fn group(court: &mut Court, broker: u16, note: GroupNote) {
    court.tell(broker, Note::Group(BILLING, Box::new(note)));
}

fn generation(court: &mut Court, broker: u16, generation: i32) {
    let note = GroupNote::State {
        state: GroupState::Stable,
        generation: GenerationId(generation),
        leader: Some(ONE),
        members: vec![ONE, TWO],
    };
    group(court, broker, note);
}

fn accepts(court: &mut Court, broker: u16, member: MemberId, generation: i32, offset: u64) {
    let committed = CommittedOffset {
        offset: Offset(offset),
        leader_epoch: Some(LeaderEpoch(0)),
    };
    let note = GroupNote::CommitApplied {
        member: Some(member),
        generation: GenerationId(generation),
        from_outside: false,
        offsets: smallvec![(ORDERS, committed)],
    };
    group(court, broker, note);
}

fn acknowledged(court: &mut Court, member: usize, offset: u64) {
    let offsets = Box::new([(ORDERS, Offset(offset))]);
    let by = CommittedBy::Application;
    court.member(member, ClientNote::Committed { offsets, by });
}

fn told(court: &mut Court, member: usize, offset: Option<u64>, by: u16) {
    let offsets = Box::new([(ORDERS, offset.map(Offset))]);
    let by = ServerId(by);
    let question = 0;
    let note = ClientNote::ToldPositions {
        question,
        offsets,
        by,
    };
    court.member(member, note);
}

fn owns(court: &mut Court, member: usize, generation: i32) {
    let note = ClientNote::Assigned {
        generation: GenerationId(generation),
        added: Box::new([ORDERS]),
        all: Box::new([ORDERS]),
    };
    court.member(member, note);
}

#[test]
fn a_partition_that_is_given_up_before_it_is_taken_has_one_owner() {
    let mut court = court();
    owns(&mut court, 0, 1);
    court.member(0, ClientNote::Revoked(Box::new([ORDERS])));
    owns(&mut court, 1, 2);
    court.crash(MEMBERS[1], Fate::ProcessKilled);
    owns(&mut court, 0, 3);
    assert_eq!(court.finish(&[]), []);
    assert_eq!(court.judges.exercised().count(Invariant::DoubleAssignment), 3);
}

#[test]
fn two_owners_break_a_promise_unless_the_first_ones_membership_was_over() {
    let mut first = court();
    owns(&mut first, 0, 1);
    owns(&mut first, 1, 2);
    assert_eq!(first.finish(&[]), [(Invariant::DoubleAssignment, BROKEN)]);
    let mut expired = court();
    owns(&mut expired, 0, 1);
    let why = MemberRemoval::SessionTimeout;
    group(&mut expired, 1, GroupNote::Removed { member: ONE, why });
    owns(&mut expired, 1, 2);
    let exposed = Verdict::Exposed(Exposure::MembershipOver);
    assert_eq!(expired.finish(&[]), [(Invariant::DoubleAssignment, exposed)]);
}

#[test]
fn a_removal_that_the_next_coordinator_does_not_know_of_excuses_nothing() {
    let why = MemberRemoval::SessionTimeout;
    let never_committed = |tells_late: bool| {
        let mut court = court();
        owns(&mut court, 0, 1);
        if !tells_late {
            group(&mut court, 1, GroupNote::Removed { member: ONE, why });
        }
        court.elects_coordinator(2);
        generation(&mut court, 2, 1);
        if tells_late {
            group(&mut court, 1, GroupNote::Removed { member: ONE, why });
        }
        owns(&mut court, 1, 2);
        court.finish(&[])
    };
    let broken = [(Invariant::DoubleAssignment, BROKEN)];
    assert_eq!(never_committed(false), broken);
    assert_eq!(never_committed(true), broken);
}

#[test]
fn a_member_that_takes_up_an_assignment_after_it_was_put_out_breaks_no_promise() {
    let mut court = court();
    owns(&mut court, 1, 1);
    let why = MemberRemoval::Left;
    group(&mut court, 1, GroupNote::Removed { member: ONE, why });
    owns(&mut court, 0, 1);
    let exposed = Verdict::Exposed(Exposure::MembershipOver);
    assert_eq!(court.finish(&[]), [(Invariant::DoubleAssignment, exposed)]);
}

#[test]
fn a_removal_counts_until_another_coordinator_speaks() {
    let mut court = court();
    owns(&mut court, 0, 1);
    court.elects_coordinator(2);
    // It is not deposed before it knows: what it has told by then can be committed.
    let why = MemberRemoval::SessionTimeout;
    group(&mut court, 1, GroupNote::Removed { member: ONE, why });
    owns(&mut court, 1, 2);
    let exposed = Verdict::Exposed(Exposure::MembershipOver);
    assert_eq!(court.finish(&[]), [(Invariant::DoubleAssignment, exposed)]);
}

#[test]
fn an_assignment_that_names_a_partition_twice_is_told_before_anybody_takes_it() {
    let mut court = court();
    let both = vec![(ONE, Some([ORDERS].into())), (TWO, Some([ORDERS].into()))];
    let note = GroupNote::Assigned {
        generation: GenerationId(1),
        assignment: both,
    };
    group(&mut court, 1, note);
    assert_eq!(court.finish(&[]), [(Invariant::DoubleAssignment, BROKEN)]);
}

#[test]
fn who_asks_after_a_commit_was_acknowledged_is_told_nothing_older() {
    let mut court = court();
    accepts(&mut court, 1, ONE, 1, 5);
    acknowledged(&mut court, 0, 5);
    accepts(&mut court, 1, ONE, 1, 7);
    court.member(1, ClientNote::AsksForPositions(0));
    acknowledged(&mut court, 0, 7);
    // It had asked before that.
    told(&mut court, 1, Some(5), 1);
    court.member(1, ClientNote::AsksForPositions(0));
    told(&mut court, 1, Some(7), 1);
    accepts(&mut court, 1, ONE, 1, 9);
    court.member(1, ClientNote::AsksForPositions(0));
    // Accepted, and perhaps committed by now.
    told(&mut court, 1, Some(9), 1);
    assert_eq!(court.finish(&[]), []);
    court.member(1, ClientNote::AsksForPositions(0));
    told(&mut court, 1, Some(5), 1);
    court.member(1, ClientNote::AsksForPositions(0));
    told(&mut court, 1, None, 1);
    assert_eq!(court.finish(&[]), [(Invariant::LostOffsetCommit, BROKEN); 2]);
    assert_eq!(court.judges.exercised().count(Invariant::LostOffsetCommit), 5);
}

#[test]
fn a_broker_that_does_not_coordinate_any_more_may_tell_an_older_position() {
    let mut court = court();
    accepts(&mut court, 1, ONE, 1, 5);
    acknowledged(&mut court, 0, 5);
    accepts(&mut court, 1, ONE, 1, 7);
    acknowledged(&mut court, 0, 7);
    court.member(1, ClientNote::AsksForPositions(0));
    told(&mut court, 1, Some(5), 2);
    let exposed = Verdict::Exposed(Exposure::StaleCoordinator);
    assert_eq!(court.finish(&[]), [(Invariant::LostOffsetCommit, exposed)]);
}

#[test]
fn a_position_whose_retention_is_over_is_not_lost() {
    let mut court = court();
    accepts(&mut court, 1, ONE, 1, 5);
    acknowledged(&mut court, 0, 5);
    group(&mut court, 1, GroupNote::OffsetsExpired(smallvec![ORDERS]));
    court.member(1, ClientNote::AsksForPositions(0));
    told(&mut court, 1, None, 1);
    assert_eq!(court.finish(&[]), []);
}

#[test]
fn a_commit_of_another_generation_or_a_former_member_must_be_refused() {
    let mut court = court();
    generation(&mut court, 1, 1);
    accepts(&mut court, 1, ONE, 1, 5);
    assert_eq!(court.judges.exercised().count(Invariant::StaleCommitAccepted), 0);
    generation(&mut court, 1, 2);
    accepts(&mut court, 1, ONE, 2, 6);
    assert_eq!(court.finish(&[]), []);
    accepts(&mut court, 1, ONE, 1, 7);
    let why = MemberRemoval::Left;
    group(&mut court, 1, GroupNote::Removed { member: TWO, why });
    accepts(&mut court, 1, TWO, 2, 8);
    assert_eq!(court.finish(&[]), [(Invariant::StaleCommitAccepted, BROKEN); 2]);
}

#[test]
fn a_coordinator_is_held_to_what_it_knows_and_one_that_loads_anew_knows_what_it_read() {
    let mut court = court();
    generation(&mut court, 1, 2);
    // The one before goes on in the generation that it knows.
    generation(&mut court, 2, 1);
    accepts(&mut court, 2, ONE, 1, 5);
    let loading = CoordinatorNote::Loading(LeaderEpoch(2));
    court.tell(1, Note::Coordinator(OFFSETS, loading));
    generation(&mut court, 1, 3);
    accepts(&mut court, 1, ONE, 3, 6);
    assert_eq!(court.finish(&[]), []);
}

#[test]
fn a_group_without_members_takes_what_a_fenced_member_commits_without_an_epoch() {
    let mut court = court();
    let commit = |court: &mut Court, from_outside| {
        let committed = CommittedOffset {
            offset: Offset(5),
            leader_epoch: None,
        };
        let note = GroupNote::CommitApplied {
            member: Some(ONE),
            generation: GenerationId::NONE,
            from_outside,
            offsets: smallvec![(ORDERS, committed)],
        };
        group(court, 1, note);
    };
    commit(&mut court, true);
    assert_eq!(court.finish(&[]), [], "nobody was ever a member");
    let why = MemberRemoval::SessionTimeout;
    group(&mut court, 1, GroupNote::Removed { member: ONE, why });
    commit(&mut court, true);
    commit(&mut court, false);
    let exposed = Verdict::Exposed(Exposure::GroupWithoutMembers);
    let findings = [BROKEN, exposed].map(|verdict| (Invariant::StaleCommitAccepted, verdict));
    assert_eq!(court.finish(&[]), findings);
}

#[test]
fn answers_are_held_against_what_was_acknowledged_when_their_own_question_was_asked() {
    let mut court = court();
    accepts(&mut court, 1, ONE, 1, 5);
    acknowledged(&mut court, 0, 5);
    court.member(1, ClientNote::AsksForPositions(1));
    accepts(&mut court, 1, ONE, 1, 7);
    acknowledged(&mut court, 0, 7);
    court.member(1, ClientNote::AsksForPositions(2));
    let answer = |court: &mut Court, question| {
        let offsets = Box::new([(ORDERS, Some(Offset(5)))]);
        let by = ServerId(1);
        let note = ClientNote::ToldPositions {
            question,
            offsets,
            by,
        };
        court.member(1, note);
    };
    answer(&mut court, 1);
    assert_eq!(court.finish(&[]), []);
    answer(&mut court, 2);
    assert_eq!(court.finish(&[]), [(Invariant::LostOffsetCommit, BROKEN)]);
}

#[test]
fn who_is_not_among_the_members_that_the_next_coordinator_has_loaded_was_removed() {
    let mut court = court();
    let reconciled = GroupNote::Reconciled {
        member: ONE,
        epoch: MemberEpoch(1),
        state: MemberState::Stable,
        assigned: [ORDERS].into(),
        revoking: [].into(),
    };
    group(&mut court, 1, reconciled);
    owns(&mut court, 0, 1);
    let loaded = GroupNote::Epoch {
        epoch: GroupEpoch(2),
        members: vec![TWO],
    };
    court.elects_coordinator(2);
    group(&mut court, 2, loaded);
    owns(&mut court, 1, 2);
    let exposed = Verdict::Exposed(Exposure::MembershipOver);
    assert_eq!(court.finish(&[]), [(Invariant::DoubleAssignment, exposed)]);
}
