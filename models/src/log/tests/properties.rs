use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::ids::ProducerId;
use crate::log::EpochCache;
use crate::log::producers::{Check, ProducerStates, WINDOW, sequence_after};
use crate::notes::TruncationReason;
use crate::records::Numbering;

#[derive(Clone, Debug)]
enum Step {
    Append(u32),
    NewEpoch,
    Copy {
        gap: u64,
        count: u32,
    },
    /// To the beginning of this batch: epochs, high watermarks and log ends lie between batches.
    Cut(usize),
    Flush,
    Checkpoint,
    Kill,
    Stop,
    Spoil(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..5u32).prop_map(Step::Append),
        1 => Just(Step::NewEpoch),
        2 => (0..3u64, 1..4u32).prop_map(|(gap, count)| Step::Copy { gap, count }),
        2 => (0..20usize).prop_map(Step::Cut),
        1 => Just(Step::Flush),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Kill),
        1 => Just(Step::Stop),
        1 => (0..20usize).prop_map(Step::Spoil),
    ]
}

/// A log as a plain vector: base offset, epoch and number of records of every batch, and where it ends.
#[derive(Default)]
struct Model {
    batches: Vec<(u64, u32, u32)>,
    end: u64,
    epoch: u32,
}

impl Model {
    fn push(&mut self, base: u64, count: u32) {
        self.batches.push((base, self.epoch, count));
        self.end = base + u64::from(count);
    }

    fn cut(&mut self, to: u64) {
        if to < self.end {
            self.batches
                .retain(|(base, _, count)| base + u64::from(*count) <= to);
            self.end = to;
        }
    }

    /// A process that starts anew reads the end off the file.
    fn restart(&mut self) {
        self.end = self
            .batches
            .last()
            .map_or(0, |(base, _, count)| base + u64::from(*count));
    }

    /// By the definition: the largest epoch not above the one asked for that has a record, and the offset of the
    /// first record of a later one (the log's end if there is none).
    fn end_of_epoch(&self, asked: u32) -> Option<(u32, u64)> {
        let (newest, ..) = self.batches.last().map(|(_, epoch, _)| (*epoch,))?;
        if asked > newest {
            return None;
        }
        let later = self.batches.iter().find(|(_, epoch, _)| *epoch > asked);
        let end = later.map_or(self.end, |(base, ..)| *base);
        let earlier = self.batches.iter().rev().find(|(_, epoch, _)| *epoch <= asked);
        Some((earlier.map_or(asked, |(_, epoch, _)| *epoch), end))
    }
}

fn apply(step: &Step, log: &mut Log, model: &mut Model, bench: &mut Bench) {
    let settings = segments_of(70);
    match *step {
        Step::Append(count) => {
            let batch = bench.batch(count);
            log.append_as_leader(&batch, LeaderEpoch(model.epoch), bench)
                .unwrap();
            model.push(model.end, count);
        }
        Step::NewEpoch => model.epoch += 1,
        Step::Copy { gap, count } => {
            let batch = bench.copied(model.end + gap, model.epoch, count);
            log.append_as_follower(&[batch], LeaderEpoch(model.epoch), bench)
                .unwrap();
            model.push(model.end + gap, count);
        }
        Step::Cut(batch) => {
            let to = model.batches.get(batch).map_or(model.end, |(base, ..)| *base);
            let reason = TruncationReason::Diverging;
            log.truncate_to(Offset(to), LeaderEpoch(model.epoch), reason, bench)
                .unwrap();
            model.cut(to);
        }
        Step::Flush => log.flush(log.end(), bench).unwrap(),
        Step::Checkpoint => checkpoint(log, bench),
        Step::Kill => {
            *log = bench.load_with(settings, false);
            model.restart();
        }
        Step::Stop => {
            log.close(bench).unwrap();
            checkpoint(log, bench);
            *log = bench.load_with(settings, true);
            model.restart();
        }
        Step::Spoil(index) => {
            // What is not flushed may be unreadable after a power loss; recovery finds it.
            let file = bench.disk.file(crate::kafka::partition_log(PARTITION));
            let spoilt = file.flushed() + index;
            if spoilt < file.entries().len() {
                file.corrupt(spoilt);
                let to = file.entries()[spoilt].data().base_offset.0;
                model.cut(to);
                *log = bench.load_with(settings, false);
                model.restart();
            }
        }
    }
}

proptest! {
    #[test]
    fn a_log_reads_and_ends_as_a_plain_vector_of_batches(steps in vec(step(), 1..60)) {
        let mut bench = Bench::default();
        let mut log = bench.load_with(segments_of(70), false);
        let mut model = Model::default();
        for step in &steps {
            apply(step, &mut log, &mut model, &mut bench);
            prop_assert_eq!(batches(&log, &mut bench), model.batches.clone());
            prop_assert_eq!(log.end().0, model.end);
            prop_assert!(log.recovery_point() <= log.end());
            prop_assert!(log.high_watermark() <= log.end());
            for epoch in 0..=model.epoch {
                let end = log.end_offset_for_epoch(LeaderEpoch(epoch)).map(|(epoch, end)| (epoch.0, end.0));
                prop_assert_eq!(end, model.end_of_epoch(epoch), "epoch {}", epoch);
            }
        }
    }

    #[test]
    fn reading_on_and_on_gives_every_batch_once(
        sizes in vec(1..5u32, 1..30),
        max_bytes in 0..120u32,
    ) {
        let mut bench = Bench::default();
        let mut log = bench.load_with(segments_of(70), false);
        for count in &sizes {
            let batch = bench.batch(*count);
            log.append_as_leader(&batch, LeaderEpoch(0), &mut bench).unwrap();
        }
        let (mut from, mut found) = (0, Vec::new());
        while from < log.end().0 {
            let mut into = SmallVec::<[Batch; 1]>::new();
            let limit = log.end();
            log.read(Offset(from), max_bytes, true, limit, &mut into, &mut bench).unwrap();
            prop_assert!(!into.is_empty());
            found.extend(into.iter().map(|batch| batch.records.count));
            from = into.last().unwrap().next_offset().0;
        }
        prop_assert_eq!(found, sizes);
    }

    #[test]
    fn the_epoch_cache_rises_strictly_whatever_is_assigned_and_cut(
        steps in vec((0..4u8, 0..12u32, 0..30u64), 1..60),
    ) {
        let mut cache = EpochCache::default();
        for (kind, epoch, offset) in steps {
            match kind {
                0 => {
                    cache.truncate_from_end(Offset(offset));
                    prop_assert!(cache.entries().iter().all(|entry| entry.1 < Offset(offset)));
                }
                1 => {
                    let before = cache.epoch_for(Offset(offset));
                    cache.truncate_from_start(Offset(offset));
                    prop_assert_eq!(cache.epoch_for(Offset(offset)), before);
                    prop_assert!(cache.entries().iter().all(|entry| entry.1 >= Offset(offset)));
                }
                _ => {
                    let before = cache.clone();
                    let changed = cache.assign(LeaderEpoch(epoch), Offset(offset));
                    prop_assert_eq!(changed, cache != before);
                    prop_assert_eq!(cache.latest(), Some(LeaderEpoch(epoch)));
                }
            }
            let entries = cache.entries();
            prop_assert!(entries.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
            prop_assert_eq!(&EpochCache::from_file(entries), &cache);
        }
    }

    #[test]
    fn an_epochs_end_is_the_start_of_the_next_known_one(
        starts in proptest::collection::btree_map(0..12u32, 1..5u64, 1..6),
        asked in 0..14u32,
    ) {
        let mut cache = EpochCache::default();
        let mut offset = 0;
        let mut entries = Vec::new();
        for (epoch, length) in starts {
            cache.assign(LeaderEpoch(epoch), Offset(offset));
            entries.push((epoch, offset));
            offset += length;
        }
        let end = Offset(offset);
        let expected = match entries.iter().find(|(epoch, _)| *epoch > asked) {
            Some((_, start)) => {
                let known = entries.iter().rev().find(|(epoch, _)| *epoch <= asked);
                Some((known.map_or(asked, |(epoch, _)| *epoch), *start))
            }
            None if entries.last().map(|(epoch, _)| *epoch) == Some(asked) => Some((asked, end.0)),
            None => None,
        };
        let answer = cache.end_offset_for(LeaderEpoch(asked), end);
        prop_assert_eq!(answer.map(|(epoch, end)| (epoch.0, end.0)), expected);
    }

    #[test]
    fn the_sequence_window_is_the_last_five_batches_of_the_newest_epoch(
        sent in vec((0..3u16, 0..12u32, 1..3u32), 1..60),
    ) {
        let mut states = ProducerStates::default();
        // Epoch, first sequence, records and offset of every batch appended.
        let mut model: Vec<(u16, u32, u32, u64)> = Vec::new();
        let mut bench = Bench::default();
        let mut end = 0;
        for (epoch, sequence, count) in sent {
            let numbering = Numbering { producer: ProducerId(1), epoch, base_sequence: sequence };
            let newest = model.last().copied();
            let window = model.iter().rev().take_while(|batch| Some(batch.0) == newest.map(|newest| newest.0));
            let known = window.take(WINDOW).find(|batch| (batch.0, batch.1, batch.2) == (epoch, sequence, count));
            let expected = match newest {
                None => Ok(None),
                Some(newest) if epoch < newest.0 => Err(ErrorCode::InvalidProducerEpoch),
                Some(newest) if epoch > newest.0 && sequence != 0 => Err(ErrorCode::OutOfOrderSequenceNumber),
                Some(newest) if epoch > newest.0 => { let _ = newest; Ok(None) }
                Some(_) if known.is_some() => Ok(known.map(|batch| batch.3)),
                Some(newest) if sequence == newest.1 + newest.2 => Ok(None),
                Some(_) => Err(ErrorCode::OutOfOrderSequenceNumber),
            };
            let check = states.check(numbering, count).map(|check| match check {
                Check::New => None,
                Check::Duplicate(batch) => Some(batch.base_offset.0),
            });
            prop_assert_eq!(check, expected);
            if expected == Ok(None) {
                let batch = Batch { base_offset: Offset(end), numbering: Some(numbering), ..bench.batch(count) };
                states.append(&batch);
                model.push((epoch, sequence, count, end));
                end += u64::from(count);
            }
        }
    }

    #[test]
    fn sequences_stay_below_two_to_the_thirty_first(sequence in 0..1u32 << 31, count in 0..1u32 << 31) {
        let after = sequence_after(sequence, count);
        prop_assert!(after < 1 << 31);
        prop_assert_eq!(u64::from(after), (u64::from(sequence) + u64::from(count)) % (1 << 31));
    }
}
