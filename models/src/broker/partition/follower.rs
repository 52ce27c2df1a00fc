//! What a follower does with its leader's answers: `ReplicaFetcherThread` on one partition.
//!
//! The fetcher keeps (offset, current leader epoch, last fetched epoch) for each partition and calls these only if
//! the offset and the leader epoch are still those of the request (KAFKA-18991).

use super::Partition;
use crate::ids::{LeaderEpoch, Offset};
use crate::log::{FollowerAppendError, FollowerAppended, Machine, StorageError};
use crate::mutation::Mutation;
use crate::notes::TruncationReason;
use crate::protocol::FetchedPartition;

/// Where a follower starts to fetch from a new leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchStart {
    /// The offset.
    pub offset: Offset,
    /// The epoch of the last record it has, by which the leader finds out where the logs diverge.
    pub last_fetched_epoch: Option<LeaderEpoch>,
}

/// What a follower took from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetched {
    /// What was appended.
    pub appended: FollowerAppended,
    /// The high watermark moved: consumers' fetches parked here are looked at.
    pub high_watermark_moved: bool,
    /// Where to fetch next: the log's end, or the offset before if nothing was appended.
    pub next_offset: Offset,
}

/// Why a follower could not take an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerError {
    /// A batch failed its checksum: fetched again after `replica.fetch.backoff.ms`.
    Corrupt,
    /// The fetcher gives the partition up until metadata brings a new leader epoch (`markPartitionFailed`); why.
    Failed(&'static str),
    /// The disk refused: the partition is offline.
    Storage,
}

impl From<StorageError> for FollowerError {
    fn from(_: StorageError) -> Self {
        FollowerError::Storage
    }
}

impl Partition {
    /// A new leader epoch begins on a follower: it fetches from its log's end with the newest epoch it knows. One
    /// that knows none first cuts its log to the high watermark.
    ///
    /// # Errors
    /// The disk refused.
    pub fn start_fetching(&mut self, machine: &mut impl Machine) -> Result<FetchStart, StorageError> {
        let last_fetched_epoch = match self.mutations.has(Mutation::TruncateToHighWatermark) {
            true => None,
            false => self.log.latest_epoch(),
        };
        if last_fetched_epoch.is_none() {
            let to = self.log.high_watermark();
            self.truncate_to(to, TruncationReason::HighWatermark, machine)?;
        }
        Ok(FetchStart {
            offset: self.log.end(),
            last_fetched_epoch,
        })
    }

    /// Takes what the leader answered to a fetch from `fetch_offset` in `request_epoch`: appends it, then takes
    /// over the high watermark as far as the log reaches, then the log's start. Not to be called for an answer
    /// that tells where the logs diverge: nothing else of that one is used (KAFKA-14704).
    ///
    /// # Errors
    /// See [`FollowerError`].
    pub fn process_fetched(
        &mut self,
        fetch_offset: Offset,
        request_epoch: LeaderEpoch,
        answer: &FetchedPartition,
        machine: &mut impl Machine,
    ) -> Result<FollowerFetched, FollowerError> {
        if fetch_offset != self.log.end() {
            return Err(FollowerError::Failed("the fetched offset is not the log's end"));
        }
        let appended = self.append_to_follower(request_epoch, answer, machine)?;
        let high_watermark_moved = self.log.update_high_watermark(answer.high_watermark, machine);
        if self
            .log
            .maybe_increment_log_start(answer.log_start, machine)
            .is_err()
        {
            return Err(match self.log.is_offline() {
                true => FollowerError::Storage,
                false => FollowerError::Failed("the leader's log starts beyond the high watermark"),
            });
        }
        Ok(FollowerFetched {
            appended,
            high_watermark_moved,
            next_offset: self.log.end(),
        })
    }

    /// An empty log may begin inside the leader's first batch, after the leader's log start moved: it then begins
    /// anew with that batch (`appendRecordsToFollowerOrFutureReplica`).
    fn append_to_follower(
        &mut self,
        epoch: LeaderEpoch,
        answer: &FetchedPartition,
        machine: &mut impl Machine,
    ) -> Result<FollowerAppended, FollowerError> {
        let mut appended = self.log.append_as_follower(&answer.batches, epoch, machine);
        if let Err(FollowerAppendError::Unexpected { first, last }) = appended
            && self.log.end() == self.log.start()
            && first < self.log.end()
            && last >= self.log.end()
        {
            self.restart_at(first, machine)?;
            appended = self.log.append_as_follower(&answer.batches, epoch, machine);
        }
        appended.map_err(|error| match error {
            FollowerAppendError::Storage => FollowerError::Storage,
            FollowerAppendError::Corrupt => FollowerError::Corrupt,
            FollowerAppendError::OutOfOrder => FollowerError::Failed("offsets out of order"),
            FollowerAppendError::TooLarge => FollowerError::Failed("more than a segment holds"),
            FollowerAppendError::Unexpected { .. } => {
                FollowerError::Failed("the first offset lies before the log's end")
            }
        })
    }

    /// The leader answered that the logs diverge: its largest epoch not above ours ends at `end`. We cut to where
    /// that epoch ends on both sides; if we do not know it, to the end of our largest epoch below it, and the next
    /// fetch asks again with that one (KIP-279). Returns where to fetch from; the last fetched epoch is then the
    /// newest one of the log.
    ///
    /// # Errors
    /// The disk refused.
    pub fn truncate_on_divergence(
        &mut self,
        (epoch, end): (LeaderEpoch, Offset),
        machine: &mut impl Machine,
    ) -> Result<FetchStart, StorageError> {
        let own_end = self.log.end();
        let to = match self.log.end_offset_for_epoch(epoch) {
            Some((own, own_epoch_end)) if own == epoch => own_epoch_end.min(end).min(own_end),
            Some((_, own_epoch_end)) => own_epoch_end.min(own_end),
            None => end.min(own_end),
        };
        self.truncate_to(to, TruncationReason::Diverging, machine)?;
        Ok(FetchStart {
            offset: to,
            last_fetched_epoch: self.log.latest_epoch(),
        })
    }

    /// The leader answered OFFSET_OUT_OF_RANGE and its log ends at `leader_end`: if that is before ours, we cut to
    /// it. `None`: it is not, and the leader's log start is to be asked for
    /// ([`Partition::restart_if_behind`]).
    ///
    /// # Errors
    /// The disk refused.
    pub fn truncate_if_beyond(
        &mut self,
        leader_end: Offset,
        machine: &mut impl Machine,
    ) -> Result<Option<FetchStart>, StorageError> {
        if leader_end >= self.log.end() {
            return Ok(None);
        }
        self.truncate_to(leader_end, TruncationReason::OutOfRange, machine)?;
        Ok(Some(FetchStart {
            offset: leader_end,
            last_fetched_epoch: self.log.latest_epoch(),
        }))
    }

    /// The leader's log starts at `leader_start`: if that is behind our end, everything goes and we begin there;
    /// else we go on from our end.
    ///
    /// # Errors
    /// The disk refused.
    pub fn restart_if_behind(
        &mut self,
        leader_start: Offset,
        machine: &mut impl Machine,
    ) -> Result<FetchStart, StorageError> {
        if leader_start > self.log.end() {
            self.restart_at(leader_start, machine)?;
        }
        Ok(FetchStart {
            offset: self.log.end(),
            last_fetched_epoch: self.log.latest_epoch(),
        })
    }

    fn truncate_to(
        &mut self,
        to: Offset,
        reason: TruncationReason,
        machine: &mut impl Machine,
    ) -> Result<(), StorageError> {
        let epoch = self.leader_epoch.unwrap_or_default();
        self.log.truncate_to(to, epoch, reason, machine)?;
        Ok(())
    }

    fn restart_at(&mut self, at: Offset, machine: &mut impl Machine) -> Result<(), StorageError> {
        let epoch = self.leader_epoch.unwrap_or_default();
        let reason = TruncationReason::OutOfRange;
        self.log.truncate_fully_and_start_at(at, epoch, reason, machine)
    }
}
