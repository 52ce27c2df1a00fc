//! What a log does, one fact each, and its machines against simple models.

mod append;
mod load;
mod properties;
mod retention;
mod settings;
mod truncate;

use smallvec::SmallVec;

use super::bench::{Bench, PARTITION};
use super::{Log, checkpoint_high_watermarks, checkpoint_recovery_points};
use crate::config::TopicSettings;
use crate::ids::{LeaderEpoch, Offset};
use crate::notes::{LogNote, Note};
use crate::protocol::ErrorCode;
use crate::records::Batch;

/// Base offset, epoch and number of records of every batch.
fn batches(log: &Log, bench: &mut Bench) -> Vec<(u64, u32, u32)> {
    let batches = log.batches(bench);
    batches
        .map(|batch| (batch.base_offset.0, batch.leader_epoch.0, batch.records.count))
        .collect()
}

/// Base offsets of what a read returns.
fn read(log: &Log, from: u64, max_bytes: u32, limit: u64, bench: &mut Bench) -> Result<Vec<u64>, ErrorCode> {
    let mut into = SmallVec::<[Batch; 1]>::new();
    log.read(Offset(from), max_bytes, true, Offset(limit), &mut into, bench)?;
    Ok(into.iter().map(|batch| batch.base_offset.0).collect())
}

/// A log with batches of these sizes, each appended in its epoch.
fn written(sizes: &[(u32, u32)], bench: &mut Bench) -> Log {
    let mut log = bench.load(false);
    for (epoch, count) in sizes {
        let batch = bench.batch(*count);
        log.append_as_leader(&batch, LeaderEpoch(*epoch), bench)
            .expect("an ordinary batch");
    }
    log
}

/// Settings with segments of so many bytes.
fn segments_of(bytes: u32) -> TopicSettings {
    TopicSettings {
        internal_segment_bytes: Some(bytes),
        ..TopicSettings::default()
    }
}

fn checkpoint(log: &Log, bench: &mut Bench) {
    checkpoint_recovery_points(std::iter::once(log), bench).expect("the disk is well");
    checkpoint_high_watermarks(std::iter::once(log), bench).expect("the disk is well");
}

fn notes(bench: &mut Bench) -> Vec<LogNote> {
    let told = bench.notes.drain(..).map(|note| match note {
        Note::Log(_, note) => note,
        other => panic!("a log tells of itself only, not {other:?}"),
    });
    told.collect()
}
