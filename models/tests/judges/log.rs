use ktrial_models::ids::{LeaderEpoch, Offset, ServerId};
use ktrial_models::invariants::{Exposure, Fate, Invariant, Verdict};
use ktrial_models::notes::{Election, HighWatermarkMoved, LeaderNote, LogNote};

use crate::court::{Court, Setup, servers};

const BROKEN: Verdict = Verdict::Broken;

/// 1 commits a record alone with 3; then 2 is elected like this and commits another at the same offset; 1 keeps its.
fn forked(how: Election) -> Vec<(Invariant, Verdict)> {
    let mut court = Court::new(Setup::default());
    court.write(0, 0, &[3], &[1, 3]);
    court.elects(2, how, &[2, 3]);
    court.truncate(3, 0, 1);
    court.sends(1..2);
    let batch = court.batch(0, 1, &[1]);
    court.replicate(2, batch, &[3]);
    court.high_watermark(2, 1, 1, &[2, 3]);
    court.finish(&[1])
}

#[test]
fn logs_that_differ_below_both_high_watermarks_are_told_with_the_election_that_ordered_them() {
    assert!(forked(Election::FromIsr).contains(&(Invariant::LogMatching, BROKEN)));
    let exposed = Verdict::Exposed(Exposure::UncleanElection);
    assert!(forked(Election::Unclean).contains(&(Invariant::LogMatching, exposed)));
}

#[test]
fn what_a_power_loss_brought_back_is_not_held_against_a_log_that_has_not_caught_up() {
    let mut court = Court::new(Setup::default());
    let old = court.batch(0, 0, &[5]);
    court.append(2, old, false);
    court.truncate(2, 0, 1);
    court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.crash(2, Fate::PageCacheLost);
    court.loads(2, &[old]);
    court.log(2, LogNote::FollowerHighWatermark(Offset(1)));
    assert_eq!(court.finish(&[0]), []);
}

#[test]
fn a_replaced_leader_may_delete_what_its_successor_counts_as_committed_later() {
    let mut court = Court::new(Setup::default());
    court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.sends(1..3);
    let early = court.batch(1, 0, &[1]);
    court.replicate(1, early, &[2, 3]);
    court.elects(2, Election::FromIsr, &[2, 3]);
    court.leads(2, 1);
    court.deletes(1, early);
    court.high_watermark(2, 1, 2, &[2, 3]);
    let later = court.batch(2, 1, &[2]);
    court.replicate(2, later, &[1, 3]);
    court.high_watermark(2, 1, 3, &[1, 2, 3]);
    court.log(1, LogNote::FollowerHighWatermark(Offset(3)));
    let found = court.finish(&[0, 1, 2]);
    assert!(
        !found
            .iter()
            .any(|(invariant, _)| *invariant == Invariant::LogMatching),
        "{found:?}"
    );
}

/// 1 leads, loses the second of two committed records with its page cache, and writes another one there, before or
/// after it registers. 2 is elected, and 1 hears of its high watermark.
fn written_by_a_leader_that_lost_power(registered: bool) -> Vec<(Invariant, Verdict)> {
    let mut court = Court::new(Setup::default());
    let kept = court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.write(1, 1, &[2, 3], &[1, 2, 3]);
    court.crash(1, Fate::PageCacheLost);
    court.loads(1, &[kept]);
    if registered {
        court.registers(1);
    }
    court.sends(2..3);
    let own = court.batch(1, 0, &[2]);
    court.append(1, own, true);
    court.elects(2, Election::FromIsr, &[2, 3]);
    if !registered {
        court.registers(1);
    }
    court.log(1, LogNote::FollowerHighWatermark(Offset(2)));
    court.isr(&[1, 2, 3], &[]);
    court.finish(&[0, 1])
}

#[test]
fn a_broker_that_leads_on_before_it_registers_may_come_to_differ_in_an_epoch() {
    let exposed = Verdict::Exposed(Exposure::LedBeforeRegistering);
    let found = written_by_a_leader_that_lost_power(false);
    assert!(
        found.contains(&(Invariant::UncleanExclusion, exposed)),
        "{found:?}"
    );
    assert!(!found.iter().any(|(_, verdict)| *verdict == BROKEN), "{found:?}");
    let found = written_by_a_leader_that_lost_power(true);
    assert!(
        found.contains(&(Invariant::UncleanExclusion, BROKEN)),
        "{found:?}"
    );
}

#[test]
fn those_that_kept_what_was_committed_differ_from_a_leader_that_led_on_before_it_registered() {
    let mut court = Court::new(Setup::default());
    let kept = court.write(0, 0, &[2, 3], &[1, 2, 3]);
    court.write(1, 1, &[2, 3], &[1, 2, 3]);
    court.crash(1, Fate::PageCacheLost);
    court.loads(1, &[kept]);
    court.sends(2..3);
    let own = court.batch(1, 0, &[2]);
    court.append(1, own, true);
    court.elects(1, Election::FromIsr, &[1, 2, 3]);
    court.high_watermark(1, 1, 2, &[1, 2, 3]);
    court.log(2, LogNote::FollowerHighWatermark(Offset(2)));
    let found = court.finish(&[0, 2]);
    let exposed = Verdict::Exposed(Exposure::LedBeforeRegistering);
    let matching = found
        .into_iter()
        .filter(|(what, _)| *what == Invariant::LogMatching);
    assert_eq!(matching.collect::<Vec<_>>(), [(Invariant::LogMatching, exposed)]);
}

#[test]
fn a_cut_inside_a_batch_takes_it_and_the_log_ends_at_the_cut() {
    let mut court = Court::new(Setup::default());
    let batch = court.batch(0, 0, &[0, 1, 2]);
    court.append(2, batch, false);
    court.truncate(2, 1, 3);
    court.log(2, LogNote::FollowerHighWatermark(Offset(1)));
    assert_eq!(court.finish(&[]), []);
    court.log(2, LogNote::FollowerHighWatermark(Offset(2)));
    assert_eq!(court.finish(&[]), [(Invariant::LogWellFormed, BROKEN)]);
}

#[test]
fn offsets_rise_and_epochs_do_not_fall_along_a_log() {
    let mut court = Court::new(Setup::default());
    let first = court.batch(0, 1, &[0, 1]);
    let overlapping = court.batch(1, 1, &[2]);
    let older = court.batch(3, 0, &[3]);
    court.append(1, first, true);
    assert_eq!(court.finish(&[]), []);
    court.append(1, overlapping, true);
    court.append(1, older, true);
    assert_eq!(court.finish(&[]), [(Invariant::LogWellFormed, BROKEN); 2]);
}

#[test]
fn the_epoch_cache_rises_and_covers_each_batch_from_its_first_entry_on() {
    let epochs = |entries: &[(u32, u64)]| {
        let entries = entries
            .iter()
            .map(|(epoch, start)| (LeaderEpoch(*epoch), Offset(*start)));
        LogNote::Epochs(entries.collect())
    };
    for (entries, expected) in [
        (&[(0, 0), (2, 1)][..], 0),
        (&[(0, 1), (2, 3)][..], 0),
        (&[(0, 0), (1, 0)][..], 1),
        (&[(2, 0)][..], 1),
        (&[(0, 0), (2, 0)][..], 1),
    ] {
        let mut court = Court::new(Setup::default());
        let batch = court.batch(0, 0, &[0]);
        court.append(2, batch, false);
        court.log(2, epochs(entries));
        court.log(2, LogNote::FollowerHighWatermark(Offset(0)));
        assert_eq!(
            court.finish(&[]),
            vec![(Invariant::LogWellFormed, BROKEN); expected]
        );
    }
}

#[test]
fn a_high_watermark_stays_within_its_log() {
    let mut court = Court::new(Setup::default());
    court.log(2, LogNote::FollowerHighWatermark(Offset(1)));
    assert_eq!(court.finish(&[]), [(Invariant::LogWellFormed, BROKEN)]);
}

/// A leader's high watermark moves to 1 with this ISR, this maximal ISR and this log end of 3.
fn moved(isr: &[u16], maximal_isr: &[u16], log_end: Option<u64>) -> Vec<(Invariant, Verdict)> {
    let mut court = Court::new(Setup::default());
    let batch = court.batch(0, 0, &[0]);
    court.replicate(1, batch, &[2, 3]);
    let known = [(ServerId(2), Some(Offset(1))), (ServerId(3), log_end.map(Offset))];
    court.leader(
        1,
        LeaderNote::HighWatermark(Box::new(HighWatermarkMoved {
            to: Offset(1),
            epoch: LeaderEpoch(0),
            isr: servers(isr),
            maximal_isr: servers(maximal_isr),
            log_ends: known.into_iter().collect(),
            min_isr: 2,
            because: Default::default(),
        })),
    );
    court.finish(&[])
}

#[test]
fn the_high_watermark_waits_for_the_whole_maximal_isr_and_for_min_insync_replicas() {
    let invalid = [(Invariant::HighWatermarkValid, BROKEN)];
    assert_eq!(moved(&[1, 2, 3], &[1, 2, 3], Some(1)), []);
    assert_eq!(moved(&[1, 2], &[1, 2, 3], Some(0)), invalid);
    assert_eq!(moved(&[1, 2], &[1, 2, 3], None), invalid);
    assert_eq!(moved(&[1], &[1, 2], Some(1)), invalid);
}
