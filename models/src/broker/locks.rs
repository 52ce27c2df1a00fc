//! Locks on a partition that are held for longer than a step, because a flush (`flush.messages`) or an open cut lies
//! between taking and giving back.
//!
//! | lock | held by | who waits for it |
//! |---|---|---|
//! | the partition's, shared (`leaderIsrUpdateLock`) | an append, from its beginning to behind the high watermark | a change of role, what the controller answered to a proposal; and while one of those waits, every new append |
//! | the log's (`UnifiedLog.lock`) | an append that waits for the disk: `UnifiedLog.append` flushes inside it | every other append, and the high watermark (`maybeIncrementHighWatermark`) after a follower's fetch or another append |
//!
//! Reading needs neither. A handler that waits is busy. Whoever waits tries again once either lock was given back, in
//! the order in which they came.

use crate::ids::PartitionId;

/// See the module.
#[derive(Debug, Default)]
pub struct Locks {
    /// An entry for each append.
    appending: Vec<PartitionId>,
    flushing: Vec<PartitionId>,
    /// Partitions with an append of their coordinator that waits for the disk.
    coordinated: Vec<PartitionId>,
    /// Coordinators gave their locks back; nobody has looked after that yet.
    given_back: Vec<PartitionId>,
    /// Handlers, and what they wait for.
    waiting: Vec<(PartitionId, u16)>,
}

impl Locks {
    /// An append begins.
    pub fn begin_append(&mut self, id: PartitionId) {
        self.appending.push(id);
    }

    /// An append is over.
    pub fn end_append(&mut self, id: PartitionId) {
        let index = self.appending.iter().position(|locked| *locked == id);
        self.appending.swap_remove(index.expect("it has begun"));
    }

    /// Whether the partition's lock is held by an append.
    pub fn is_appending(&self, id: PartitionId) -> bool {
        self.appending.contains(&id)
    }

    /// An append waits for the disk.
    pub fn begin_flush(&mut self, id: PartitionId) {
        self.flushing.push(id);
    }

    /// The disk is done.
    pub fn end_flush(&mut self, id: PartitionId) {
        let index = self.flushing.iter().position(|locked| *locked == id);
        self.flushing.swap_remove(index.expect("it has begun"));
    }

    /// A coordinator's append waits for the disk. Two batches of one event hold the locks once.
    pub fn begin_coordinator_append(&mut self, id: PartitionId) {
        if !self.coordinated.contains(&id) {
            self.coordinated.push(id);
            self.begin_append(id);
            self.begin_flush(id);
        }
    }

    /// A coordinator's append is over. Whoever waits is looked after once the coordinators have done their work.
    pub fn end_coordinator_append(&mut self, id: PartitionId) {
        self.coordinated.retain(|locked| *locked != id);
        self.end_flush(id);
        self.end_append(id);
        self.given_back.push(id);
    }

    /// A partition whose coordinator gave its locks back.
    pub fn take_given_back(&mut self) -> Option<PartitionId> {
        self.given_back.pop()
    }

    /// Whether the log's lock is held by an append that waits for the disk.
    #[inline]
    pub fn is_flushing(&self, id: PartitionId) -> bool {
        self.flushing.contains(&id)
    }

    /// A handler stands still until a lock on the partition is given back.
    pub fn wait(&mut self, id: PartitionId, handler: u16) {
        self.waiting.push((id, handler));
    }

    /// The handler that has waited longest for a partition.
    pub fn next_waiting(&mut self, id: PartitionId) -> Option<u16> {
        let index = self.waiting.iter().position(|(locked, _)| *locked == id)?;
        Some(self.waiting.remove(index).1)
    }
}
