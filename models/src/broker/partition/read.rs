//! Reading from a partition: followers, consumers, ListOffsets, OffsetForLeaderEpoch.

use smallvec::SmallVec;

use super::{FollowerFetch, Partition};
use crate::config::IsolationLevel;
use crate::ids::{LeaderEpoch, Offset};
use crate::log::Machine;
use crate::mutation::Mutation;
use crate::protocol::{BrokerIdentity, ErrorCode, FetchPartition, ListOffsetsTarget};
use crate::records::Batch;

/// What a read found (`LogReadInfo`), as of its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadInfo {
    /// How many bytes were read.
    pub bytes: u32,
    /// The reader's log diverges from this one: the largest epoch not above its last and where that ends here.
    /// Nothing was read, and the reader's state must not be touched (KAFKA-13141).
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// The high watermark.
    pub high_watermark: Offset,
    /// The last stable offset.
    pub last_stable_offset: Offset,
    /// Where the log starts.
    pub log_start: Offset,
    /// Where it ends.
    pub log_end: Offset,
}

impl Partition {
    /// A follower reads, up to the log's end. What its fetch tells goes to
    /// [`Partition::update_follower_fetch_state`], unless the logs diverge.
    ///
    /// # Errors
    /// FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH (also: not among the replicas), NOT_LEADER_OR_FOLLOWER,
    /// OFFSET_OUT_OF_RANGE, KAFKA_STORAGE_ERROR.
    pub fn read_for_follower(
        &self,
        follower: BrokerIdentity,
        fetch: &FetchPartition,
        max_bytes: u32,
        at_least_one: bool,
        into: &mut SmallVec<[Batch; 1]>,
        machine: &mut impl Machine,
    ) -> Result<(FollowerFetch, ReadInfo), ErrorCode> {
        let unfenced = self.mutations.has(Mutation::UnfencedFollowerFetch);
        self.check_log(fetch.current_leader_epoch.filter(|_| !unfenced), true)?;
        let Some(replica) = self.replica(follower.broker) else {
            return Err(match fetch.current_leader_epoch {
                Some(_) => ErrorCode::UnknownLeaderEpoch,
                None => ErrorCode::NotLeaderOrFollower,
            });
        };
        let (time, limit) = (machine.wall(), self.log.end());
        let read = self.read_records(fetch, max_bytes, at_least_one, limit, into, machine)?;
        let told = FollowerFetch {
            replica: replica.reference(),
            broker_epoch: follower.epoch,
            offset: fetch.fetch_offset,
            log_start: fetch.log_start,
            time,
            leader_end: read.log_end,
        };
        Ok((told, read))
    }

    /// A consumer reads, up to the high watermark (or last stable offset) known here; from a follower too, unless
    /// `require_leader` (a client older than KIP-392).
    ///
    /// # Errors
    /// FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER, OFFSET_OUT_OF_RANGE,
    /// KAFKA_STORAGE_ERROR.
    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of Kafka's FetchParams and PartitionData"
    )]
    pub fn read_for_consumer(
        &self,
        fetch: &FetchPartition,
        isolation: IsolationLevel,
        require_leader: bool,
        max_bytes: u32,
        at_least_one: bool,
        into: &mut SmallVec<[Batch; 1]>,
        machine: &mut impl Machine,
    ) -> Result<ReadInfo, ErrorCode> {
        self.check_log(fetch.current_leader_epoch, require_leader)?;
        let limit = self.consumer_limit(isolation);
        self.read_records(fetch, max_bytes, at_least_one, limit, into, machine)
    }

    /// Up to where a consumer may read here.
    #[inline]
    pub fn consumer_limit(&self, isolation: IsolationLevel) -> Offset {
        if self.mutations.has(Mutation::ReadToLogEnd) {
            return self.log.end();
        }
        match isolation {
            IsolationLevel::ReadUncommitted => self.log.high_watermark(),
            IsolationLevel::ReadCommitted => self.log.last_stable_offset(),
        }
    }

    fn read_records(
        &self,
        fetch: &FetchPartition,
        max_bytes: u32,
        at_least_one: bool,
        limit: Offset,
        into: &mut SmallVec<[Batch; 1]>,
        machine: &mut impl Machine,
    ) -> Result<ReadInfo, ErrorCode> {
        let mut read = ReadInfo {
            bytes: 0,
            diverging: None,
            high_watermark: self.log.high_watermark(),
            last_stable_offset: self.log.last_stable_offset(),
            log_start: self.log.start(),
            log_end: self.log.end(),
        };
        if let Some(last_fetched) = fetch.last_fetched_epoch {
            let Some((epoch, end)) = self.end_offset_for_reader(last_fetched) else {
                return Err(ErrorCode::OffsetOutOfRange);
            };
            if fetch.fetch_offset < self.log.start() {
                return Err(ErrorCode::OffsetOutOfRange);
            }
            if epoch < last_fetched || end < fetch.fetch_offset {
                read.diverging = Some((epoch, end));
                return Ok(read);
            }
        }
        read.bytes = self
            .log
            .read(fetch.fetch_offset, max_bytes, at_least_one, limit, into, machine)?;
        Ok(read)
    }

    fn end_offset_for_reader(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        if self.mutations.has(Mutation::SingleStepDivergence) {
            return self
                .log
                .epochs()
                .single_step_end_offset_for(epoch, self.log.end());
        }
        self.log.end_offset_for_epoch(epoch)
    }

    /// Where a leader epoch ends here (OffsetForLeaderEpoch): the largest epoch not above the one asked for and
    /// its end; `None` if it is newer than all known.
    ///
    /// # Errors
    /// FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR.
    pub fn last_offset_for_leader_epoch(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
        epoch: LeaderEpoch,
        require_leader: bool,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ErrorCode> {
        self.check_log(current_leader_epoch, require_leader)?;
        Ok(self.end_offset_for_reader(epoch))
    }

    /// Where the log starts or ends (ListOffsets), with the leader epoch of that offset. `isolation` is none for
    /// followers, who ask for the log's end.
    ///
    /// # Errors
    /// OFFSET_NOT_AVAILABLE: a client asks for the latest offset of a leader whose high watermark has not reached
    /// the start of its epoch (KIP-207). FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER,
    /// KAFKA_STORAGE_ERROR.
    pub fn list_offsets(
        &self,
        target: ListOffsetsTarget,
        isolation: Option<IsolationLevel>,
        current_leader_epoch: Option<LeaderEpoch>,
        require_leader: bool,
    ) -> Result<(Offset, Option<LeaderEpoch>), ErrorCode> {
        self.check_log(current_leader_epoch, require_leader)?;
        match (target, isolation) {
            (ListOffsetsTarget::Earliest, _) => {
                let earliest = self.log.epochs().earliest();
                let epoch = earliest.filter(|(_, start)| *start <= self.log.start());
                Ok((self.log.start(), epoch.map(|(epoch, _)| epoch)))
            }
            (ListOffsetsTarget::Latest, None) => Ok((self.log.end(), self.leader_epoch)),
            (ListOffsetsTarget::Latest, Some(isolation)) => {
                if self.leader_epoch_start > Some(self.log.high_watermark()) {
                    return Err(ErrorCode::OffsetNotAvailable);
                }
                Ok((self.consumer_limit(isolation), self.leader_epoch))
            }
        }
    }
}
