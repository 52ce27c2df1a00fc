//! Who gave what to whom in this assignment (`PartitionMovements`): a partition that could go back where another
//! came from lets that one go back instead.

use std::collections::BTreeMap;

use super::super::java::{HashSet, partition_hash};
use super::super::{Group, Member, Tp};

/// From whom, to whom.
type Pair = (Member, Member);

#[derive(Default)]
pub(super) struct Movements {
    /// By topic and pair.
    moved: BTreeMap<(usize, Pair), HashSet<Tp>>,
    of: BTreeMap<Tp, Pair>,
}

impl Movements {
    fn record(&mut self, group: &Group<'_>, partition: Tp, pair: Pair) {
        self.of.insert(partition, pair);
        let hash = partition_hash(&group.topics[partition.topic].name, partition.index as u32);
        let moved = self
            .moved
            .entry((partition.topic, pair))
            .or_insert_with(HashSet::new);
        moved.add(hash, partition);
    }

    pub(super) fn moves(&mut self, group: &Group<'_>, partition: Tp, from: Member, to: Member) {
        let Some(earlier) = self.of.remove(&partition) else {
            return self.record(group, partition, (from, to));
        };
        let key = (partition.topic, earlier);
        let moved = self.moved.get_mut(&key).expect("what moved is recorded twice");
        moved.remove(partition);
        if moved.is_empty() {
            self.moved.remove(&key);
        }
        if earlier.0 != to {
            self.record(group, partition, (earlier.0, to));
        }
    }

    /// Which partition to move instead, so that members keep more of what they had.
    pub(super) fn instead_of(&self, partition: Tp, from: Member, to: Member) -> Tp {
        let from = self.of.get(&partition).map_or(from, |(first, _)| *first);
        let back = self.moved.get(&(partition.topic, (to, from)));
        back.and_then(HashSet::first).unwrap_or(partition)
    }
}
