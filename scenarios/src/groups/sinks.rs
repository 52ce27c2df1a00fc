//! What sinks came to: effects of records outside of Kafka, as they happened.

use std::collections::{BTreeMap, BTreeSet};

use ktrial_models::ids::RecordId;
use ktrial_models::specification::SinkKind;
use ktrial_sim::NodeId;
use serde::{Deserialize, Serialize};

/// What the sinks of a trial came to. A record that was sent on to another topic counts as what it is a copy of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkCounts {
    /// Records a sink was called for at least once.
    pub applied: u64,
    /// Records that a group was to process and whose effect never happened.
    pub missing: u64,
    /// Effects beyond the first of each record.
    pub repeated: u64,
    /// Effects of a record behind one of a later record of its key and producer.
    pub reordered: u64,
    /// Keys whose register holds an older record in the end than it once held.
    pub stale: u64,
}

/// Something that is measured of sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SinkMeasure {
    /// [`SinkCounts::applied`]
    Applied,
    /// [`SinkCounts::missing`]
    Missing,
    /// [`SinkCounts::repeated`]
    Repeated,
    /// [`SinkCounts::reordered`]
    Reordered,
    /// [`SinkCounts::stale`]
    Stale,
}

impl SinkCounts {
    /// What is measured.
    pub fn measured(&self, measure: SinkMeasure) -> u64 {
        match measure {
            SinkMeasure::Applied => self.applied,
            SinkMeasure::Missing => self.missing,
            SinkMeasure::Repeated => self.repeated,
            SinkMeasure::Reordered => self.reordered,
            SinkMeasure::Stale => self.stale,
        }
    }

    /// Adds what other sinks, or other trials, came to.
    pub fn add(&mut self, other: &SinkCounts) {
        self.applied += other.applied;
        self.missing += other.missing;
        self.repeated += other.repeated;
        self.reordered += other.reordered;
        self.stale += other.stale;
    }
}

/// A group's sink: the calls that reached it, in order.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    kind: SinkKind,
    calls: Vec<(RecordId, Option<u32>)>,
}

impl Sink {
    pub(super) fn new(kind: SinkKind) -> Self {
        Sink {
            kind,
            calls: Vec::new(),
        }
    }

    /// The sink takes effect of a record, or would.
    pub(super) fn called(&mut self, record: RecordId, key: Option<u32>) {
        self.calls.push((record, key));
    }

    /// What it came to. `wanted` are the records the group was to process.
    pub(super) fn count(&self, wanted: &BTreeSet<RecordId>) -> SinkCounts {
        let mut counts = SinkCounts::default();
        let mut times: BTreeMap<RecordId, u64> = BTreeMap::new();
        let mut newest: BTreeMap<(u32, NodeId), u32> = BTreeMap::new();
        let mut registers: BTreeMap<u32, RecordId> = BTreeMap::new();
        for (record, key) in &self.calls {
            let times = times.entry(*record).or_insert(0);
            *times += 1;
            let first = *times == 1;
            if self.kind == SinkKind::Insert && !first {
                continue;
            }
            counts.repeated += u64::from(!first && !self.is_register());
            let Some(key) = key else { continue };
            let newest = newest.entry((*key, record.producer)).or_insert(record.number);
            let is_late = record.number < *newest;
            if is_late && self.kind == SinkKind::Versioned {
                continue;
            }
            counts.reordered += u64::from(is_late);
            *newest = record.number.max(*newest);
            registers.insert(*key, *record);
        }
        counts.applied = times.len() as u64;
        counts.missing = wanted.iter().filter(|record| !times.contains_key(record)).count() as u64;
        if self.is_register() {
            let stale = |(key, record): &(&u32, &RecordId)| newest[&(**key, record.producer)] > record.number;
            counts.stale = registers.iter().filter(stale).count() as u64;
        }
        counts
    }

    fn is_register(&self) -> bool {
        matches!(self.kind, SinkKind::Upsert | SinkKind::Versioned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32) -> RecordId {
        RecordId {
            producer: NodeId(4),
            number,
        }
    }

    /// Calls for records 0, 1 and 2 of one key, then 1 again; record 3 is left out.
    fn counted(kind: SinkKind) -> SinkCounts {
        let mut sink = Sink::new(kind);
        for number in [0, 1, 2, 1] {
            sink.called(record(number), Some(7));
        }
        sink.count(&(0..4).map(record).collect())
    }

    #[test]
    fn what_comes_again_is_an_effect_a_duplicate_an_old_value_or_nothing_by_the_kind_of_sink() {
        for (kind, repeated, reordered, stale) in [
            (SinkKind::Plain, 1, 1, 0),
            (SinkKind::OwnOffsets, 1, 1, 0),
            (SinkKind::Insert, 0, 0, 0),
            (SinkKind::Upsert, 0, 1, 1),
            (SinkKind::Versioned, 0, 0, 0),
        ] {
            let expected = SinkCounts {
                applied: 3,
                missing: 1,
                repeated,
                reordered,
                stale,
            };
            assert_eq!(counted(kind), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_newer_value_heals_a_stale_register() {
        let mut sink = Sink::new(SinkKind::Upsert);
        for number in [0, 2, 1, 3] {
            sink.called(record(number), Some(7));
        }
        let counts = sink.count(&BTreeSet::new());
        assert_eq!((counts.reordered, counts.stale), (1, 0));
    }
}
