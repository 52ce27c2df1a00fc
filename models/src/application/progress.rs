//! How far an application is done with its partitions, where it keeps that from poll to poll (`currentOffsets`).

use super::client::Positions;
use crate::ids::PartitionId;
use crate::protocol::CommittedOffset;

/// What an application is done with and when it commits that, unless it does so behind each poll.
#[derive(Debug, Default)]
pub(super) struct Progress {
    done: Positions,
    /// Something was added since it was committed.
    moved: bool,
    /// Polls that ended since one was a `commit_every`-th.
    polls: u32,
}

impl Progress {
    /// Everything up to these positions is done with.
    pub(super) fn add(&mut self, ends: &Positions) {
        self.moved |= !ends.is_empty();
        for (partition, end) in ends {
            match self.done.iter_mut().find(|(known, _)| known == partition) {
                Some((_, position)) => *position = *end,
                None => self.done.push((*partition, *end)),
            }
        }
    }

    /// Behind the last record of each partition that it is done with.
    pub(super) fn done(&self) -> &Positions {
        &self.done
    }

    /// A poll ends: whether it is an `every`-th one.
    pub(super) fn counts(&mut self, every: u32) -> bool {
        self.polls = (self.polls + 1) % every;
        self.polls == 0
    }

    /// Whether there is something new to commit. It will be.
    pub(super) fn is_new(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// The positions by `position` of the partitions it has been given records of: `commitSync()`.
    pub(super) fn consumed(&self, position: impl Fn(PartitionId) -> Option<CommittedOffset>) -> Positions {
        let consumed =
            |(partition, _): &(PartitionId, CommittedOffset)| Some((*partition, position(*partition)?));
        self.done.iter().filter_map(consumed).collect()
    }

    /// It is not to be committed, or not its own any more.
    pub(super) fn forget(&mut self, partition: PartitionId) {
        self.done.retain(|(known, _)| *known != partition);
    }
}
