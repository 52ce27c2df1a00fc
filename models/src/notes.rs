//! What nodes tell those who watch: judges, stories, metrics, triggers. Telling changes nothing.

use ktrial_sim::{Duration, EventId, Time};
use smallvec::SmallVec;

use crate::groups::consumer::MemberState;
use crate::ids::{
    BrokerEpoch, GenerationId, GroupEpoch, GroupId, LeaderEpoch, MemberEpoch, MemberId, Offset,
    PartitionEpoch, PartitionId, QuorumEpoch, RecordId, ServerId, Servers, TopicId,
};
use crate::log::RetentionReason;
use crate::metadata::PartitionRegistration;
use crate::protocol::{Assignment, CommittedOffset, ErrorCode};
use crate::records::{Batch, Records};

/// Something that happened on the node that tells it.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A server went from one phase of its life to another.
    Phase(Phase),
    /// The metadata quorum.
    Quorum(QuorumNote),
    /// The active controller committed a change.
    Cluster(ClusterNote),
    /// A replica's log.
    Log(PartitionId, LogNote),
    /// A leader of a partition.
    Leader(PartitionId, LeaderNote),
    /// A client.
    Client(ClientNote),
    /// A coordinator of an internal topic's partition.
    Coordinator(PartitionId, CoordinatorNote),
    /// A group, on the broker that coordinates it.
    Group(GroupId, Box<GroupNote>),
}

// Notes are moved more often than anything but messages: what is larger goes into a box.
const _: () = assert!(size_of::<Note>() <= 96);

/// Phases of a server's life (`BrokerState`, and what comes before and after). A dedicated controller catches up until
/// it knows what is committed (`ControllerServer.startup` waits for that), and recovers nothing of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The process has just been started.
    Starting,
    /// The broker reads metadata and registers; a controller reads metadata.
    CatchingUp,
    /// The broker loads and recovers its logs.
    Recovering,
    /// It serves.
    Running,
    /// Its orderly stop has begun: a broker's controlled shutdown, a controller's resignation.
    ShuttingDown,
    /// It stopped in an orderly way.
    Stopped,
    /// It ended itself; why.
    Exited(&'static str),
}

/// Of the metadata quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumNote {
    /// This controller leads an epoch of the quorum.
    Leads(QuorumEpoch),
    /// It no longer does.
    Resigned(QuorumEpoch),
    /// It gave its vote (not a pre-vote).
    Voted(QuorumEpoch, ServerId),
    /// The high watermark it knows moved.
    HighWatermark {
        /// The new value.
        to: Offset,
        /// Whether this voter leads.
        leads: bool,
    },
    /// Its log was cut.
    Truncated {
        /// To this end.
        to: Offset,
        /// From this end.
        from: Offset,
    },
    /// It appended a batch: base offset, next offset, epoch.
    Appended(Offset, Offset, QuorumEpoch),
}

/// Why a partition changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeReason {
    /// It was created.
    Created,
    /// Its leader proposed another ISR.
    AlterPartition,
    /// A broker was fenced.
    BrokerFenced(ServerId),
    /// A broker was unfenced.
    BrokerUnfenced(ServerId),
    /// A broker registered after a stop that was not clean.
    UncleanRegistration(ServerId),
    /// A broker registered.
    Registration(ServerId),
    /// A broker shuts down.
    ControlledShutdown(ServerId),
    /// A broker's log directory failed.
    DirectoryOffline(ServerId),
    /// A broker said in which log directory its replicas are.
    DirectoryAssigned(ServerId),
    /// The periodic return of leaderships to preferred replicas.
    PreferredElection,
    /// The periodic look for unclean elections.
    UncleanElection,
    /// An operator.
    Operator,
}

/// How a leader was elected (`PartitionChangeBuilder.ElectionResult`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Election {
    /// From the ISR.
    FromIsr,
    /// From the ELR.
    FromElr,
    /// The last known leader, whatever its log holds.
    LastKnownLeader,
    /// Any live replica: unclean.leader.election.enable, or an operator.
    Unclean,
}

/// Committed: told by the active controller when it learns of the commit. Around a failover something can be told
/// twice, by the old and the new one; epochs tell what is older than known.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterNote {
    /// A topic is there: its number and that of its specification.
    TopicCreated(TopicId, u16),
    /// A broker had asked for an internal topic, and is told that it cannot be (`DefaultAutoTopicCreationManager`). Told
    /// by that broker.
    TopicRefused {
        /// Its specification number.
        topic: u16,
        /// Why.
        error: ErrorCode,
    },
    /// A partition was created or changed.
    Partition {
        /// Which.
        partition: PartitionId,
        /// Its state from now on.
        registration: Box<PartitionRegistration>,
        /// Why.
        reason: ChangeReason,
        /// If a leader was elected: how.
        election: Option<Election>,
    },
    /// A broker registered.
    Registered {
        /// Which.
        broker: ServerId,
        /// Its epoch.
        epoch: BrokerEpoch,
        /// Whether its last stop was clean.
        clean: bool,
    },
    /// A broker is fenced.
    Fenced(ServerId),
    /// A broker is not fenced any more.
    Unfenced(ServerId),
    /// A broker is shutting down.
    ControlledShutdown(ServerId),
}

/// Why a log was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TruncationReason {
    /// The leader's epochs diverge from ours.
    Diverging,
    /// No epoch is known: to the high watermark.
    HighWatermark,
    /// The leader's log is shorter or starts later.
    OutOfRange,
    /// Recovery found a batch it cannot read.
    Corrupt,
}

/// A replica's log.
#[derive(Clone, Debug, PartialEq)]
pub enum LogNote {
    /// What it was found to hold as the process started, if anything; told before [`LogNote::Loaded`]. A power loss
    /// can bring back what had been cut, so its end alone does not tell.
    Holds(Vec<Batch>),
    /// It was loaded after the process started (an absent one: created empty).
    Loaded {
        /// Where it starts.
        start: Offset,
        /// Where it ends.
        end: Offset,
        /// The high watermark it starts with.
        high_watermark: Offset,
    },
    /// A batch was appended, by the leader or copied from it.
    Appended {
        /// The batch.
        batch: Batch,
        /// Whether this replica leads.
        leads: bool,
    },
    /// It was cut.
    Truncated {
        /// To this end.
        to: Offset,
        /// From this end.
        from: Offset,
        /// In which leader epoch this replica was (as follower), or led.
        epoch: LeaderEpoch,
        /// Why.
        reason: TruncationReason,
    },
    /// Retention deleted its oldest segments, or those that lay below its start.
    SegmentsDeleted {
        /// The base of the first segment that is left.
        below: Offset,
        /// What they held.
        batches: Vec<Batch>,
        /// Why.
        why: RetentionReason,
    },
    /// Everything up to this offset is on the platter.
    Flushed(Offset),
    /// The high watermark of a follower moved.
    FollowerHighWatermark(Offset),
    /// The epoch cache changed: all of it.
    Epochs(Vec<(LeaderEpoch, Offset)>),
    /// Its disk failed; it serves nothing until the process is started anew.
    Offline,
}

/// A leader's high watermark moved: everything a judge needs to check it.
#[derive(Clone, Debug, PartialEq)]
pub struct HighWatermarkMoved {
    /// The new value.
    pub to: Offset,
    /// The leader's epoch.
    pub epoch: LeaderEpoch,
    /// The committed ISR.
    pub isr: Servers,
    /// The maximal ISR.
    pub maximal_isr: Servers,
    /// The log ends it has on record for the other members of the maximal ISR.
    pub log_ends: SmallVec<[(ServerId, Option<Offset>); 2]>,
    /// min.insync.replicas as it counts here.
    pub min_isr: u32,
    /// The fetches (or appends) that let it move.
    pub because: SmallVec<[EventId; 2]>,
}

/// A leader of a partition.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaderNote {
    /// It leads from now on.
    Leads {
        /// Its epoch.
        epoch: LeaderEpoch,
        /// Where its epoch starts.
        start: Offset,
        /// The end of its log.
        end: Offset,
    },
    /// It follows (or serves) from now on.
    Follows {
        /// The epoch.
        epoch: LeaderEpoch,
        /// Whom.
        leader: Option<ServerId>,
    },
    /// Its high watermark moved.
    HighWatermark(Box<HighWatermarkMoved>),
    /// It proposed an ISR.
    ProposedIsr {
        /// The ISR.
        isr: Servers,
        /// The partition epoch it builds on.
        partition_epoch: PartitionEpoch,
    },
    /// A proposal of it was committed.
    IsrCommitted {
        /// The ISR.
        isr: Servers,
        /// The partition epoch.
        partition_epoch: PartitionEpoch,
        /// Whether the ISR became smaller.
        shrunk: bool,
    },
    /// It answered a produce request.
    Answered {
        /// The batch's records.
        records: Records,
        /// The offset of the first, if appended.
        base_offset: Option<Offset>,
        /// The answer.
        error: ErrorCode,
        /// What was asked for.
        acks: crate::config::Acks,
        /// The high watermark at the check that decided the answer: with acks=all that can be before the answer leaves.
        high_watermark: Offset,
        /// Members of the maximal ISR then.
        maximal_isr: u32,
        /// min.insync.replicas as it counted here then.
        min_isr: u32,
    },
    /// It (or a follower) served a consumer.
    Served {
        /// The end of what may be read: high watermark or last stable offset.
        limit: Offset,
        /// The offset behind the last record served.
        to: Offset,
    },
}

/// A coordinator of an internal topic's partition (`CoordinatorRuntime`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinatorNote {
    /// It reads the partition.
    Loading(LeaderEpoch),
    /// It has read the partition and serves.
    Active {
        /// The end of what it read.
        written: Offset,
        /// What of it is committed.
        committed: Offset,
    },
    /// It could not read the partition, or found itself apart from it.
    Failed,
    /// Another broker coordinates.
    Unloaded,
    /// Its records could not be appended: its state went back to this end of the log.
    RolledBack {
        /// To here.
        to: Offset,
        /// Why.
        error: ErrorCode,
    },
}

/// Why a member is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberRemoval {
    /// It was silent for its session timeout.
    SessionTimeout,
    /// It did not join again in time; of a consumer group: it did not give up in time what it was asked to.
    RebalanceTimeout,
    /// It did not ask for its assignment in time.
    SyncTimeout,
    /// It left, or was removed by an administrator.
    Left,
    /// Another process with its instance id took its place.
    InstanceReplaced,
    /// `group.max.size`.
    GroupIsFull,
}

/// A group, on the broker that coordinates it. Of a classic group, and of commits, all but what is called durable is
/// told before it is committed; of a consumer group all is told once it is committed.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupNote {
    /// It entered a state.
    State {
        /// Which.
        state: crate::groups::classic::GroupState,
        /// Its generation.
        generation: GenerationId,
        /// Its leader.
        leader: Option<MemberId>,
        /// Its members.
        members: Vec<MemberId>,
    },
    /// A member is none any more. A member of a consumer group may come back by the same id.
    Removed {
        /// Which.
        member: MemberId,
        /// Why.
        why: MemberRemoval,
    },
    /// The assignment of a generation is committed and told to the members. Of a consumer group: what its members
    /// have changed, or its coordinator has loaded it; the generation is the group's epoch, and what a member is asked
    /// to give up is still its own.
    Assigned {
        /// The generation.
        generation: GenerationId,
        /// What each member is assigned.
        assignment: Vec<(MemberId, Option<Assignment>)>,
    },
    /// The epoch of a consumer group moved, or its coordinator has loaded it.
    Epoch {
        /// To this one.
        epoch: GroupEpoch,
        /// Its members.
        members: Vec<MemberId>,
    },
    /// What a member of a consumer group has, and its epoch, changed.
    Reconciled {
        /// Which.
        member: MemberId,
        /// Its epoch; [`MemberEpoch::LEAVE_STATIC`]: it left and will come back.
        epoch: MemberEpoch,
        /// How far it has come.
        state: MemberState,
        /// What it may use.
        assigned: Assignment,
        /// What it is asked to give up.
        revoking: Assignment,
    },
    /// Offsets are accepted and about to be appended.
    CommitApplied {
        /// By whom.
        member: Option<MemberId>,
        /// In which generation.
        generation: GenerationId,
        /// The group has no members: who names no generation may commit.
        from_outside: bool,
        /// What.
        offsets: SmallVec<[(PartitionId, CommittedOffset); 2]>,
    },
    /// The retention of offsets is over: they are about to be taken away.
    OffsetsExpired(SmallVec<[PartitionId; 2]>),
    /// Offsets are committed in the log and the answer leaves. Of a commit that was answered before with an error,
    /// because time ran out, nothing is told here, whether it is committed later or not.
    CommitDurable {
        /// What.
        offsets: SmallVec<[(PartitionId, CommittedOffset); 2]>,
    },
}

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
