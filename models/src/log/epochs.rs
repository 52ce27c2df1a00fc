//! Where each leader epoch starts in a log: `LeaderEpochFileCache`.

use smallvec::SmallVec;

use crate::ids::{LeaderEpoch, Offset};

/// Epochs and the offsets they start at, both strictly increasing.
pub type EpochEntries = SmallVec<[(LeaderEpoch, Offset); 4]>;

/// The leader epochs a log knows (`LeaderEpochFileCache`, KIP-101). The newest entry may own no record yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochCache {
    entries: EpochEntries,
}

impl EpochCache {
    /// The cache as its file has it: entries are taken in one after the other.
    pub fn from_file(entries: &[(LeaderEpoch, Offset)]) -> Self {
        let mut cache = EpochCache::default();
        for (epoch, start) in entries {
            cache.assign(*epoch, *start);
        }
        cache
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> &EpochEntries {
        &self.entries
    }

    /// The newest epoch.
    #[inline]
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.0)
    }

    /// The oldest epoch and its start.
    pub fn earliest(&self) -> Option<(LeaderEpoch, Offset)> {
        self.entries.first().copied()
    }

    /// An epoch starts at an offset. Entries that contradict it (as new or newer, or starting there or later) are
    /// dropped. Returns whether anything changed; the file must then be written before anything else happens.
    #[inline]
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if let Some((latest, latest_start)) = self.entries.last()
            && *latest == epoch
            && *latest_start <= start
        {
            return false;
        }
        while let Some((last, last_start)) = self.entries.last()
            && (*last >= epoch || *last_start >= start)
        {
            self.entries.pop();
        }
        self.entries.push((epoch, start));
        true
    }

    /// The largest epoch not above the one asked for, with the offset it ends at; `None` where nothing can be said
    /// because the epoch is newer than all known ones. An epoch older than all known ones ends where the first
    /// known one starts, under its own number (`endOffsetFor`).
    pub fn end_offset_for(&self, asked: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        if self.latest() == Some(asked) {
            return Some((asked, log_end));
        }
        let higher = self.entries.partition_point(|entry| entry.0 <= asked);
        let (_, end) = *self.entries.get(higher)?;
        match higher.checked_sub(1) {
            Some(floor) => Some((self.entries[floor].0, end)),
            None => Some((asked, end)),
        }
    }

    /// Where the first epoch above the one asked for starts, under the number asked for: the answer of KIP-101,
    /// before KIP-279 named the epoch it is about.
    pub fn single_step_end_offset_for(
        &self,
        asked: LeaderEpoch,
        log_end: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        self.end_offset_for(asked, log_end).map(|(_, end)| (asked, end))
    }

    /// The epoch of a record.
    pub fn epoch_for(&self, offset: Offset) -> Option<LeaderEpoch> {
        let behind = self.entries.partition_point(|entry| entry.1 <= offset);
        Some(self.entries[behind.checked_sub(1)?].0)
    }

    /// Forgets the epochs that start at or behind the log's new end. Returns whether anything changed; the file is
    /// written later, by a background task.
    pub fn truncate_from_end(&mut self, end: Offset) -> bool {
        let kept = self.entries.partition_point(|entry| entry.1 < end);
        let changed = kept < self.entries.len();
        self.entries.truncate(kept);
        changed
    }

    /// Merges the epochs that start at or below the log's new start into one that starts there. Returns whether
    /// the file must be written, by a background task (also where an entry only took its own place again).
    pub fn truncate_from_start(&mut self, start: Offset) -> bool {
        let below = self.entries.partition_point(|entry| entry.1 <= start);
        if below == 0 {
            return false;
        }
        let epoch = self.entries[below - 1].0;
        self.entries.drain(..below - 1);
        self.entries[0] = (epoch, start);
        true
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
