use ktrial_models::config::Acks;
use ktrial_models::ids::Offset;
use ktrial_models::invariants::{Exposure, Fate, Invariant, Verdict};
use ktrial_models::notes::{ClientNote, LeaderNote, Note};

use crate::court::{Court, ORDERS, READER, Setup};

const BROKEN: Verdict = Verdict::Broken;

fn careless() -> Court {
    Court::new(Setup {
        idempotent: false,
        acks: Acks::Leader,
        ..Setup::default()
    })
}

/// Batches of these records, one after the other, each committed.
fn commit(court: &mut Court, from: u64, batches: &[&[u32]]) {
    let mut offset = from;
    for numbers in batches {
        let batch = court.batch(offset, 0, numbers);
        court.replicate(1, batch, &[2, 3]);
        offset += numbers.len() as u64;
        court.high_watermark(1, 0, offset, &[1, 2, 3]);
    }
}

/// The first batch is deleted by retention, and the leader loads its log anew: empty, or with another batch in it. Then
/// the first comes again.
fn again_after_a_restart(empty: bool) -> Vec<(Invariant, Verdict)> {
    let mut court = Court::new(Setup::default());
    court.sends(0..2);
    let first = court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.deletes(1, first);
    let kept = match empty {
        true => vec![],
        false => vec![court.write(1, 1, &[2, 3], &[1, 2, 3])],
    };
    court.crash(1, Fate::ProcessKilled);
    court.loads_from(1, 1, &kept);
    commit(&mut court, 1 + kept.len() as u64, &[&[0]]);
    let found = court.finish(&[0]);
    found
        .into_iter()
        .filter(|(what, _)| *what == Invariant::DuplicateRecord)
        .collect()
}

#[test]
fn a_leader_whose_log_held_nothing_when_it_was_loaded_knows_no_producer() {
    let forgotten = Verdict::Exposed(Exposure::ProducerStateLost);
    assert_eq!(
        again_after_a_restart(true),
        [(Invariant::DuplicateRecord, forgotten); 2]
    );
    assert_eq!(
        again_after_a_restart(false),
        [(Invariant::DuplicateRecord, BROKEN); 2]
    );
}

#[test]
fn one_send_at_two_offsets_is_a_duplicate_which_only_idempotence_forbids() {
    let mut court = careless();
    court.sends(0..2);
    commit(&mut court, 0, &[&[0], &[1], &[0]]);
    let exposed = Verdict::Exposed(Exposure::NotIdempotent);
    assert_eq!(court.finish(&[0, 1, 0]), [(Invariant::DuplicateRecord, exposed)]);
    let mut court = Court::new(Setup::default());
    court.sends(0..2);
    commit(&mut court, 0, &[&[0], &[1], &[0]]);
    // Once for the record, once for its sequence number.
    assert_eq!(
        court.finish(&[0, 1, 0]),
        [(Invariant::DuplicateRecord, BROKEN); 2]
    );
}

#[test]
fn batches_that_were_renumbered_in_a_new_epoch_may_stand_twice() {
    let mut court = Court::new(Setup::default());
    court.sends(0..1);
    commit(&mut court, 0, &[&[0]]);
    court.numbered(7, 1);
    commit(&mut court, 1, &[&[0]]);
    let exposed = Verdict::Exposed(Exposure::ProducerEpochBump);
    assert_eq!(court.finish(&[0, 0]), [(Invariant::DuplicateRecord, exposed)]);
}

#[test]
fn a_gap_in_the_sequence_numbers_of_an_epoch_is_told() {
    let mut court = Court::new(Setup::default());
    court.sends(0..3);
    commit(&mut court, 0, &[&[0], &[2]]);
    assert_eq!(court.finish(&[0, 2]), [(Invariant::DuplicateRecord, BROKEN)]);
}

#[test]
fn a_retry_behind_a_later_send_is_out_of_order_which_only_idempotence_forbids() {
    let mut court = careless();
    court.sends(0..2);
    commit(&mut court, 0, &[&[1], &[0]]);
    let exposed = Verdict::Exposed(Exposure::NotIdempotent);
    assert_eq!(court.finish(&[1, 0]), [(Invariant::NonmonotonicSend, exposed)]);
    let mut court = Court::new(Setup::default());
    court.sends(0..2);
    commit(&mut court, 0, &[&[1], &[0]]);
    let findings = court.finish(&[1, 0]);
    assert!(
        findings.contains(&(Invariant::NonmonotonicSend, BROKEN)),
        "{findings:?}"
    );
}

#[test]
fn a_new_process_of_a_producer_may_overtake_its_forerunner() {
    let mut court = Court::new(Setup::default());
    court.sends(0..2);
    commit(&mut court, 0, &[&[1]]);
    court.numbered(8, 0);
    commit(&mut court, 1, &[&[0]]);
    let exposed = Verdict::Exposed(Exposure::ProducerRestarted);
    assert_eq!(court.finish(&[1, 0]), [(Invariant::NonmonotonicSend, exposed)]);
}

#[test]
fn a_reader_goes_forward_and_leaves_nothing_out() {
    let mut court = Court::new(Setup::default());
    court.sends(0..3);
    let batches = [0, 1, 2].map(|number| court.batch(u64::from(number), 0, &[number]));
    for batch in batches {
        court.replicate(1, batch, &[2, 3]);
    }
    court.high_watermark(1, 0, 3, &[1, 2, 3]);
    batches.iter().for_each(|batch| court.poll(*batch));
    assert_eq!(court.finish(&[0, 1, 2]), []);
    court.poll(batches[0]);
    court.poll(batches[2]);
    let expected = [Invariant::NonmonotonicPoll, Invariant::PollSkip].map(|invariant| (invariant, BROKEN));
    assert_eq!(court.finish(&[0, 1, 2]), expected);
}

#[test]
fn a_reset_position_begins_a_new_session() {
    let mut court = Court::new(Setup::default());
    let batch = court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.poll(batch);
    let reset = ClientNote::PositionReset {
        partition: ORDERS,
        from: Offset(1),
        to: Offset(0),
    };
    court.tell(READER.0, Note::Client(reset));
    court.poll(batch);
    assert_eq!(court.finish(&[0]), []);
}

#[test]
fn nothing_at_or_above_the_high_watermark_is_served() {
    let mut court = Court::new(Setup::default());
    court.write(0, 0, &[2, 3], &[1, 2, 3]);
    let served = |limit, to| LeaderNote::Served {
        limit: Offset(limit),
        to: Offset(to),
    };
    court.leader(1, served(1, 1));
    assert_eq!(court.finish(&[0]), []);
    court.leader(1, served(1, 2));
    // What the broker took for its high watermark is not what it had told.
    court.leader(2, served(1, 1));
    assert_eq!(
        court.finish(&[0]),
        [(Invariant::ReadAboveHighWatermark, BROKEN); 2]
    );
}
