//! What is kept outside of Kafka, for the whole trial: no process's crash touches it.

use std::collections::BTreeMap;

use crate::ids::{GenerationId, GroupId, PartitionId, RecordId};
use crate::protocol::CommittedOffset;

/// The stores of the applications' sinks, and what makes records fail. Asked and changed at once: what takes time is
/// the call, and that is the application's.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// How often a group's processing of a record has failed that fails for a while.
    tries: BTreeMap<(GroupId, RecordId), u32>,
    /// What a sink with a store of its own knows of a partition: where to go on.
    offsets: BTreeMap<(GroupId, PartitionId), CommittedOffset>,
    /// The newest generation that a sink with a fence has seen an owner of a partition in.
    owners: BTreeMap<(GroupId, PartitionId), GenerationId>,
}

impl Outside {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.tries.clear();
        self.offsets.clear();
        self.owners.clear();
    }

    /// Whether this try of a record fails too, of a record that fails so many times.
    pub(super) fn fails_again(&mut self, group: GroupId, record: RecordId, times: u32) -> bool {
        let tries = self.tries.entry((group, record)).or_insert(0);
        *tries += 1;
        *tries <= times
    }

    /// Where to go on with a partition, as the sink knows it.
    pub(super) fn offset(&self, group: GroupId, partition: PartitionId) -> Option<CommittedOffset> {
        self.offsets.get(&(group, partition)).copied()
    }

    pub(crate) fn keep_offset(&mut self, group: GroupId, partition: PartitionId, next: CommittedOffset) {
        self.offsets.insert((group, partition), next);
    }

    /// An owner in this generation shows itself. False: one of a newer generation has done so.
    pub(super) fn pass_fence(
        &mut self,
        group: GroupId,
        partition: PartitionId,
        generation: GenerationId,
    ) -> bool {
        let newest = self.owners.entry((group, partition)).or_insert(generation);
        *newest = (*newest).max(generation);
        *newest == generation
    }
}
