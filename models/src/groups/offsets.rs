//! Committed offsets (`OffsetMetadataManager`), without transactions.
//!
//! An OffsetFetch reads either what is committed in the log (`require_stable` not set: Kafka reads the timeline at
//! the last committed offset), or everything, and is then answered only once everything before it is committed.

use std::collections::BTreeMap;

use ktrial_sim::Time;

use crate::groups::timeline::Timeline;
use crate::groups::{CoordinatorRecord, OffsetCommitValue};
use crate::ids::{GroupId, Offset, PartitionId};
use crate::protocol::{ErrorCode, FetchedOffset};

type Key = (GroupId, PartitionId);

/// Which state a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// All of it.
    Newest,
    /// What was written up to an offset of the log that is committed.
    Committed(Offset),
}

/// The committed offsets of all groups of a shard.
#[derive(Debug, Default)]
pub struct Offsets {
    values: BTreeMap<Key, OffsetCommitValue>,
    /// What a change put away.
    timeline: Timeline<(Key, Option<OffsetCommitValue>)>,
}

impl Offsets {
    /// Applies a record.
    pub fn replay(&mut self, group: GroupId, partition: PartitionId, value: Option<OffsetCommitValue>) {
        let key = (group, partition);
        let before = match value {
            Some(value) => self.values.insert(key, value),
            None => self.values.remove(&key),
        };
        self.timeline.changed((key, before));
    }

    /// The log was written up to here.
    pub fn snapshot(&mut self, at: Offset) {
        self.timeline.snapshot(at);
    }

    /// The log is committed up to here.
    pub fn committed(&mut self, at: Offset) {
        self.timeline.committed(at);
    }

    /// Goes back to where the log was written up to an offset.
    pub fn revert(&mut self, to: Offset) {
        while let Some((key, before)) = self.timeline.undo(to) {
            match before {
                Some(value) => self.values.insert(key, value),
                None => self.values.remove(&key),
            };
        }
    }

    /// What is committed for a partition.
    pub fn get(&self, group: GroupId, partition: PartitionId, view: View) -> Option<OffsetCommitValue> {
        let key = (group, partition);
        if let View::Committed(at) = view {
            let mut behind = self.timeline.behind(at);
            if let Some((_, before)) = behind.find(|(changed, _)| *changed == key) {
                return *before;
            }
        }
        self.values.get(&key).copied()
    }

    /// Answers an OffsetFetch of these partitions, or of all that the group has.
    pub fn fetch(
        &self,
        group: GroupId,
        partitions: Option<&[PartitionId]>,
        view: View,
    ) -> Vec<FetchedOffset> {
        let fetched = |partition: PartitionId| FetchedOffset {
            partition,
            committed: self.get(group, partition, view).map(|value| value.committed),
            error: ErrorCode::None,
        };
        match partitions {
            Some(partitions) => partitions.iter().copied().map(fetched).collect(),
            None => {
                let mut known = self.of(group);
                if let View::Committed(at) = view {
                    // What was deleted since is still there for this reader.
                    let behind = self
                        .timeline
                        .behind(at)
                        .map(|((of, partition), _)| (*of, *partition));
                    known.extend(
                        behind
                            .filter(|(of, _)| *of == group)
                            .map(|(_, partition)| partition),
                    );
                    known.sort_unstable();
                    known.dedup();
                }
                let all = known.into_iter().map(fetched);
                all.filter(|fetched| fetched.committed.is_some()).collect()
            }
        }
    }

    fn of(&self, group: GroupId) -> Vec<PartitionId> {
        let range = (group, PartitionId(0))..=(group, PartitionId(u32::MAX));
        self.values
            .range(range)
            .map(|((_, partition), _)| *partition)
            .collect()
    }

    /// Writes tombstones for the group's offsets whose retention is over; `keeps` says of one, by its partition and
    /// the time it was committed, whether it stays. True if none is left (`cleanupExpiredOffsets`).
    pub fn expire(
        &self,
        group: GroupId,
        keeps: impl Fn(PartitionId, Time) -> bool,
        records: &mut Vec<CoordinatorRecord>,
    ) -> bool {
        let mut all = true;
        for partition in self.of(group) {
            let value = self.values[&(group, partition)];
            if keeps(partition, value.commit_timestamp) {
                all = false;
            } else {
                records.push(CoordinatorRecord::OffsetCommit(group, partition, None));
            }
        }
        all
    }
}
