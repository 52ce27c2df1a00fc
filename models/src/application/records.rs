//! What the last `poll` returned, as far as the application has worked on it.

use crate::ids::{Offset, PartitionId};
use crate::reader::core::Handed;

/// Records of the last poll, and which of them comes next.
#[derive(Debug, Default)]
pub(super) struct Polled {
    pub(super) handed: Vec<Handed>,
    next: usize,
    /// How many records of that batch are done with.
    done: u32,
}

impl Polled {
    /// Nothing is left; the memory is.
    pub(super) fn clear(&mut self) {
        self.handed.clear();
        self.next = 0;
        self.done = 0;
    }

    /// The records of a batch that come next, without those that are done with.
    pub(super) fn next(&self) -> Option<Handed> {
        let handed = self.handed.get(self.next)?;
        Some(Handed {
            from: Offset(handed.from.0 + u64::from(self.done)),
            first: handed.first + self.done,
            count: handed.count - self.done,
            ..*handed
        })
    }

    /// The first record of a partition that is not done with.
    pub(super) fn first_left(&self, partition: PartitionId) -> Option<Offset> {
        let next = self.next().into_iter();
        let rest = next.chain(self.handed.iter().skip(self.next + 1).copied());
        let mut left = rest.filter(|handed| handed.partition == partition);
        left.next().map(|handed| handed.from)
    }

    /// The records of a partition that are not done with are forgotten.
    pub(super) fn drop_partition(&mut self, partition: PartitionId) {
        let mut rest = self.handed.split_off(self.next);
        if self.done > 0
            && let Some(first) = rest.first_mut()
        {
            *first = Handed {
                from: Offset(first.from.0 + u64::from(self.done)),
                first: first.first + self.done,
                count: first.count - self.done,
                ..*first
            };
            self.done = 0;
        }
        rest.retain(|handed| handed.partition != partition);
        self.handed.append(&mut rest);
    }

    /// The records that are not done with are in hand.
    pub(super) fn in_hand(&self) -> u32 {
        let rest = self.handed.iter().skip(self.next);
        rest.map(|handed| handed.count).sum::<u32>() - self.done
    }

    /// Only what is in hand is kept.
    pub(super) fn forget_done(&mut self) {
        self.handed.drain(..self.next);
        self.next = 0;
    }

    /// Records in hand of such partitions are forgotten, but for the first record in hand if somebody is at it: whether
    /// that is one of them.
    pub(super) fn give_up(&mut self, partitions: impl Fn(PartitionId) -> bool, is_at_first: bool) -> bool {
        let first = self
            .next()
            .filter(|first| is_at_first && partitions(first.partition));
        let next = self.next();
        self.forget_done();
        if let (Some(next), Some(oldest)) = (next, self.handed.first_mut()) {
            *oldest = next;
            self.done = 0;
        }
        self.handed.retain(|handed| !partitions(handed.partition));
        if let Some(first) = first {
            self.handed.insert(0, Handed { count: 1, ..first });
        }
        first.is_some()
    }

    /// So many of the next records of a batch are done with.
    pub(super) fn advance(&mut self, count: u32) {
        self.done += count;
        if self.done == self.handed[self.next].count {
            self.next += 1;
            self.done = 0;
        }
    }
}
