//! What clients and their applications tell.

use ktrial_sim::{Duration, Time};

use crate::ids::{GenerationId, MemberId, Offset, PartitionId, RecordId, ServerId};
use crate::records::{Batch, Records};

/// What became of a send, for the judge: whether the record can be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureClass {
    /// Every attempt was refused before the append, or none was ever made.
    Definite,
    /// Some attempt has no known end.
    Unknown,
}

/// Who commits positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommittedBy {
    /// The application calls commitSync or commitAsync.
    Application,
    /// `enable.auto.commit`: the application does not see it.
    Itself,
}

/// What an application does about a record that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureEnd {
    /// It tries again where it stands.
    TriedAgain,
    /// It goes on behind it.
    LeftOut,
    /// It goes back to it with the next poll.
    SoughtBack,
    /// It sends it on to another topic.
    SentOn,
    /// It exits.
    Died,
    /// It leaves its loop and closes its client.
    Closed,
}

/// A step of a member's rebalance, as its metrics have it (`consumer-coordinator-metrics`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RebalanceStep {
    /// It joins. If that fails it tries again, and the rebalance lasts on. Of the consumer protocol: it begins to
    /// reconcile what it has with what it was assigned.
    Begins,
    /// An attempt failed (`failed-rebalance-total`). Of the consumer protocol: a heartbeat was answered with an error
    /// meanwhile.
    Fails,
    /// It has its assignment (`rebalance-total`, `rebalance-latency-max`).
    Ends,
}

/// A client.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientNote {
    /// Its process starts.
    Started,
    /// It has come as far as its `main`.
    Runs,
    /// Its application closes it (`KafkaProducer.close`, `KafkaConsumer.close`).
    Closes,
    /// It is closed, and its process ends.
    Closed,
    /// Its application called send.
    Sent {
        /// The record.
        record: RecordId,
        /// Its key.
        key: Option<u32>,
    },
    /// A batch was written to a connection.
    Attempt {
        /// The partition.
        partition: PartitionId,
        /// The batch's records.
        records: Records,
        /// To which broker.
        to: ServerId,
        /// The how manieth attempt, from 0.
        attempt: u32,
    },
    /// The callbacks without an error of a batch, in the order of its records.
    Acknowledged {
        /// The batch's records.
        records: Records,
        /// Its partition.
        partition: PartitionId,
        /// The offset of the first, where the broker told one.
        base_offset: Option<Offset>,
    },
    /// The callback with an error.
    Failed {
        /// The record.
        record: RecordId,
        /// By Kafka's error name, or the client exception's class.
        error: &'static str,
        /// Whether the record can be in the log all the same.
        class: FailureClass,
        /// Its partition, if it had got one.
        partition: Option<PartitionId>,
    },
    /// A producer got its id.
    ProducerId(crate::ids::ProducerId, u16),
    /// One poll returned records of a partition.
    Polled {
        /// The partition.
        partition: PartitionId,
        /// Offset of the first.
        from: Offset,
        /// The batch they are of and how many records of it, from which on.
        batch: Batch,
        /// First record of the batch that was returned, counted from 0.
        first: u32,
        /// How many records of the batch were returned, from that one on.
        count: u32,
        /// From which server.
        server: ServerId,
        /// How many records the server had told of behind them (`records-lag`).
        lag: u64,
    },
    /// A reader's position was reset, because it was out of range or its log was cut.
    PositionReset {
        /// The partition.
        partition: PartitionId,
        /// From here.
        from: Offset,
        /// To here.
        to: Offset,
    },
    /// An application went to another position of its own will (`KafkaConsumer.seek`).
    Sought {
        /// The partition.
        partition: PartitionId,
        /// To here.
        to: Offset,
    },
    /// How its membership in a group comes along, by its own metrics.
    Rebalance(RebalanceStep),
    /// It is a member of its group, by this id.
    IsMember(MemberId),
    /// A member asks where its group stands in partitions that it is to read: by the number of the question, which
    /// takes the place of one of the same number.
    AsksForPositions(u64),
    /// It will not go by any answer to this question.
    AskedInVain(u64),
    /// It goes by what it was told.
    ToldPositions {
        /// The question.
        question: u64,
        /// Of each partition it asked for: where the next record is to be read, if anything is committed.
        offsets: Box<[(PartitionId, Option<Offset>)]>,
        /// By which broker.
        by: ServerId,
    },
    /// A member of a group has what it is assigned (onPartitionsAssigned).
    Assigned {
        /// Of which generation.
        generation: GenerationId,
        /// What it did not own before.
        added: Box<[PartitionId]>,
        /// What it owns now.
        all: Box<[PartitionId]>,
    },
    /// It gave partitions up (onPartitionsRevoked).
    Revoked(Box<[PartitionId]>),
    /// It does not own them any more, and nobody asked it (onPartitionsLost).
    Lost(Box<[PartitionId]>),
    /// Its heartbeat thread leaves the group because the application has not polled for `max.poll.interval.ms`.
    PollTimeout,
    /// Positions are committed, as far as the client was told.
    Committed {
        /// The next offset to read of each partition.
        offsets: Box<[(PartitionId, Offset)]>,
        /// Who wanted it.
        by: CommittedBy,
    },
    /// A commit failed, or nobody knows what became of it.
    CommitFailed {
        /// The next offset to read of each partition.
        offsets: Box<[(PartitionId, Offset)]>,
        /// Who wanted it.
        by: CommittedBy,
        /// By Kafka's error name, or the client exception's class.
        error: &'static str,
    },
    /// An OffsetCommit was answered, well or not, so long after it was made, by the member's wall clock
    /// (`commit-latency-avg`, `-max`, `commit-total`).
    CommitAnswered(Duration),
    /// The application has finished with records.
    Processed {
        /// The partition.
        partition: PartitionId,
        /// Offset of the first.
        from: Offset,
        /// The batch they are of.
        batch: Batch,
        /// First record of the batch, counted from 0.
        first: u32,
        /// How many records of the batch, from that one on.
        count: u32,
    },
    /// Processing of a record failed.
    ProcessingFailed {
        /// The partition.
        partition: PartitionId,
        /// Its offset.
        offset: Offset,
        /// The batch it is of.
        batch: Batch,
        /// Its number in the batch, from 0.
        number: u32,
        /// What the application does now.
        end: FailureEnd,
    },
    /// A sink took effect of a record: now, not when the application learns of it.
    Applied {
        /// The partition.
        partition: PartitionId,
        /// Its offset.
        offset: Offset,
        /// The batch it is of.
        batch: Batch,
        /// Its number in the batch, from 0.
        number: u32,
    },
    /// A sink with a fence refused a record, and everything behind it, of an owner that is none any more.
    ApplyRefused {
        /// The partition.
        partition: PartitionId,
        /// Its offset.
        offset: Offset,
    },
    /// The application ends because the client threw this.
    Died(&'static str),
    /// The process exits without closing its client, because of this exception of the application's.
    Exited(&'static str),
    /// A reader has seen everything up to a partition's end at this time.
    CaughtUp {
        /// The partition.
        partition: PartitionId,
        /// The end.
        end: Offset,
        /// By its wall clock.
        at: Time,
    },
}
