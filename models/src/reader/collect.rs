//! From answers to records: `FetchCollector`, `CompletedFetch`.
//!
//! | error of a partition | reaction |
//! |---|---|
//! | NOT_LEADER_OR_FOLLOWER, REPLICA_NOT_AVAILABLE, KAFKA_STORAGE_ERROR, FENCED_LEADER_EPOCH, OFFSET_NOT_AVAILABLE, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID | metadata are asked for, back to the leader |
//! | OFFSET_OUT_OF_RANGE from a preferred replica | back to the leader |
//! | OFFSET_OUT_OF_RANGE at the position | reset by policy; without one an exception |
//! | UNKNOWN_LEADER_EPOCH, UNKNOWN_SERVER_ERROR | again |
//! | CORRUPT_MESSAGE, or a batch with a wrong checksum | an exception; the position stays |

use smallvec::SmallVec;

use crate::client::Environment;
use crate::config::OffsetReset;
use crate::ids::{Offset, PartitionId, ServerId};
use crate::mutation::Mutation;
use crate::notes::{ClientNote, Note};
use crate::protocol::{ErrorCode, FetchedPartition};
use crate::reader::core::{Core, Handed};
use crate::reader::subscription::Position;

/// What one node answered for one partition.
#[derive(Clone, Debug)]
pub(crate) struct CompletedFetch {
    pub(crate) data: FetchedPartition,
    pub(crate) server: ServerId,
    /// Where it continues.
    pub(crate) next_offset: Offset,
    pub(crate) initialized: bool,
    /// Its turn came while its partition was paused, and it waits behind the others again.
    pub(crate) put_back: bool,
}

/// Answers whose turn came while their partitions were paused.
type PutBack = SmallVec<[CompletedFetch; 1]>;

/// How an attempt to collect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collected {
    /// `poll` returns these many records; zero: none, and no position moved.
    Records(u32),
    /// No records, but a position moved.
    Moved,
    /// `poll` throws.
    Exception,
}

impl Core {
    /// Hands out at most `max.poll.records` (`FetchCollector.collectFetch`).
    pub(crate) fn collect(&mut self, environment: &mut impl Environment) -> Collected {
        if self.buffer.is_empty() {
            return Collected::Records(0);
        }
        let mut put_back = PutBack::new();
        let collected = self.collect_beside(&mut put_back, environment);
        self.buffer.extend(put_back);
        collected
    }

    fn collect_beside(&mut self, put_back: &mut PutBack, environment: &mut impl Environment) -> Collected {
        let mut left = self.settings.max_poll_records;
        let mut moved = false;
        while left > 0 {
            let Some(mut fetch) = self.buffer.pop_front() else {
                break;
            };
            if !fetch.initialized {
                match self.initialize(&fetch, environment) {
                    Ok(true) => fetch.initialized = true,
                    Ok(false) => continue,
                    Err(()) if left == self.settings.max_poll_records && !moved => {
                        return Collected::Exception;
                    }
                    Err(()) => {
                        self.buffer.push_front(fetch);
                        break;
                    }
                }
            }
            fetch.put_back = self.is_paused(fetch.data.partition);
            if fetch.put_back {
                put_back.push(fetch);
                continue;
            }
            match self.hand_out(&mut fetch, left, environment) {
                Ok((records, advanced, rest)) => {
                    left -= records;
                    moved |= advanced;
                    if rest {
                        self.buffer.push_front(fetch);
                    }
                }
                Err(()) => {
                    self.buffer.push_front(fetch);
                    if left == self.settings.max_poll_records && !moved {
                        return Collected::Exception;
                    }
                    break;
                }
            }
        }
        match self.settings.max_poll_records - left {
            0 if moved => Collected::Moved,
            records => Collected::Records(records),
        }
    }

    fn is_paused(&self, partition: PartitionId) -> bool {
        let index = self.index_of(partition);
        index.is_some_and(|index| self.assigned[index].paused)
    }

    /// Whether the answer can be used; an error is dealt with.
    fn initialize(&mut self, fetch: &CompletedFetch, environment: &mut impl Environment) -> Result<bool, ()> {
        let Some(index) = self.index_of(fetch.data.partition) else {
            return Ok(false);
        };
        let assigned = &mut self.assigned[index];
        if !assigned.has_valid_position() {
            return Ok(false);
        }
        if fetch.data.error != ErrorCode::None {
            return self.fetch_error(fetch, index).map(|()| false);
        }
        if assigned
            .position
            .is_none_or(|position| position.offset != fetch.next_offset)
        {
            return Ok(false);
        }
        if let Some(replica) = fetch.data.preferred_read_replica {
            let age = self.client.metadata_max_age;
            assigned.prefer(replica, environment.wall(), age);
        }
        Ok(true)
    }

    fn fetch_error(&mut self, fetch: &CompletedFetch, index: usize) -> Result<(), ()> {
        let assigned = &mut self.assigned[index];
        match fetch.data.error {
            ErrorCode::OffsetOutOfRange => {
                let at_position = assigned
                    .position
                    .is_some_and(|position| position.offset == fetch.next_offset);
                if assigned.clear_preferred() || !at_position {
                    return Ok(());
                }
                if self.settings.auto_offset_reset == OffsetReset::None {
                    return Err(());
                }
                assigned.request_reset();
            }
            ErrorCode::UnknownLeaderEpoch | ErrorCode::UnknownServerError => {}
            ErrorCode::CorruptMessage => return Err(()),
            _ => {
                self.metadata.request_update(false);
                assigned.clear_preferred();
            }
        }
        // SubscriptionState.movePartitionToEnd: the others go first in the next request.
        let assigned = self.assigned.remove(index);
        self.assigned.push(assigned);
        Ok(())
    }

    /// Hands out records of one answer: how many, whether the position moved, whether something is left.
    fn hand_out(
        &mut self,
        fetch: &mut CompletedFetch,
        most: u32,
        environment: &mut impl Environment,
    ) -> Result<(u32, bool, bool), ()> {
        let partition = fetch.data.partition;
        let Some(index) = self.index_of(partition) else {
            return Ok((0, false, false));
        };
        let assigned = &mut self.assigned[index];
        let Some(position) = assigned
            .position
            .filter(|position| assigned.is_fetchable() && position.offset == fetch.next_offset)
        else {
            return Ok((0, false, false));
        };
        let end = match self.settings.isolation_level {
            crate::config::IsolationLevel::ReadUncommitted => fetch.data.high_watermark,
            crate::config::IsolationLevel::ReadCommitted => fetch.data.last_stable_offset,
        };
        let (mut records, mut epoch) = (0, position.epoch);
        let mut bad = false;
        for batch in &fetch.data.batches {
            if batch.next_offset() <= fetch.next_offset || records == most {
                continue;
            }
            if batch.corrupt && self.settings.check_crcs {
                bad = true;
                break;
            }
            let mut from = fetch.next_offset.max(batch.base_offset);
            if self.mutations.has(Mutation::SkipOnPoll)
                && from == batch.base_offset
                && batch.records.count > 1
            {
                from = from.plus(1);
            }
            let first = (from.0 - batch.base_offset.0) as u32;
            let count = (batch.records.count - first).min(most - records);
            environment.note(Note::Client(ClientNote::Polled {
                partition,
                from,
                batch: *batch,
                first,
                count,
                server: fetch.server,
                lag: end.0.saturating_sub(from.0 + u64::from(count)),
            }));
            if let Some(handed) = &mut self.handed {
                handed.push(Handed {
                    partition,
                    from,
                    batch: *batch,
                    first,
                    count,
                });
            }
            records += count;
            epoch = Some(batch.leader_epoch);
            let again = self.mutations.has(Mutation::RepeatOnPoll) && count > 1;
            fetch.next_offset = from.plus(u64::from(count) - u64::from(again));
        }
        if bad && records == 0 {
            return Err(());
        }
        let moved = fetch.next_offset > position.offset;
        let position = Position {
            offset: fetch.next_offset,
            epoch,
            leader: position.leader,
        };
        assigned.position = Some(position);
        if position.offset >= end && assigned.told_end != Some(position.offset) {
            assigned.told_end = Some(position.offset);
            environment.note(Note::Client(ClientNote::CaughtUp {
                partition,
                end,
                at: environment.wall(),
            }));
        }
        let last = fetch.data.batches.last();
        let rest = last.is_some_and(|last| last.next_offset() > fetch.next_offset);
        if !rest && records > 0 {
            let assigned = self.assigned.remove(index);
            self.assigned.push(assigned);
        }
        Ok((records, moved, rest))
    }
}
