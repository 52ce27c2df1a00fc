//! What a judge found.

use std::fmt;

use ktrial_sim::{EventId, Time};
use serde::{Deserialize, Serialize};

use crate::ids::{Offset, PartitionId, RecordId};
use crate::invariants::Invariant;

/// Why Kafka had not promised what broke: the settings and the fates that allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exposure {
    /// `acks=0`: nobody answered.
    AcksZero,
    /// `acks=1`: only the leader had answered for it.
    AcksOne,
    /// An unclean election chose a replica outside the ISR.
    UncleanElection,
    /// An operator asked for an unclean election.
    OperatorElectedUncleanly,
    /// The last known leader was elected whatever its log held (KIP-966).
    LastKnownLeader,
    /// As many replicas as min.insync.replicas lost what they had not flushed, or their disks.
    TooManyLossyStops,
    /// With ELR off the last in-sync replica lost data and led again.
    LastReplicaStanding,
    /// A controller's disk was lost under kraft.version=0.
    QuorumDiskLost,
    /// As many controllers lost their disks as make a majority of the quorum impossible.
    QuorumMajorityLost,
    /// The only voter of the quorum lost power.
    SingleVoterPowerLoss,
    /// `enable.idempotence=false`: a retried batch may be appended again, or behind a later one.
    NotIdempotent,
    /// The idempotent producer renumbered batches that may have been appended, or stood behind a gap (an epoch bump).
    ProducerEpochBump,
    /// The producer's process ended; a new one has another producer id.
    ProducerRestarted,
    /// Brokers forget a producer after `producer.id.expiration.ms`.
    ProducerIdExpired,
    /// The membership of a consumer was over and it did not know yet.
    MembershipOver,
    /// A broker answered that coordinated the group before, and did not know yet.
    StaleCoordinator,
    /// `max.poll.records` records can take an application longer than `max.poll.interval.ms`.
    SlowApplication,
    /// A consumer threw, and its application ended.
    ConsumerThrew,
    /// A fenced member committed without an epoch, which a group without members takes from anybody.
    GroupWithoutMembers,
    /// `__consumer_offsets` cannot be created: it asks for more replicas than there are brokers.
    NoOffsetsTopic,
    /// `poll` of a reader without a group threw, and its application ended.
    ReaderThrew,
    /// A broker that had lost what it had not flushed led on in the same epoch before it registered anew, and its
    /// coordinator wrote into its shortened log.
    LedBeforeRegistering,
    /// Nothing of a log was left when it was loaded (retention had deleted it all, or a disk was lost), and with it went
    /// the state of its producers.
    ProducerStateLost,
    /// A producer had no producer id: until it has one its sender does nothing else, and ends no batch.
    NoProducerId,
    /// `broker.heartbeat.interval.ms` is more than half of `broker.session.timeout.ms`.
    RareHeartbeats,
    /// `controller.quorum.fetch.timeout.ms` ends before a leader of the quorum need answer a fetch.
    HastyQuorumFetch,
    /// `controller.quorum.election.timeout.ms` ends before votes can be back.
    HastyQuorumElection,
    /// `controller.quorum.request.timeout.ms` ends before a leader of the quorum need answer a fetch.
    HastyQuorumRequest,
}

impl Exposure {
    /// In words, for a sentence that begins with *your settings allow this:*.
    pub fn reason(self) -> &'static str {
        match self {
            Exposure::AcksZero => "acks=0: the producer never heard from a broker",
            Exposure::AcksOne => "acks=1: the leader answered before any follower had the record",
            Exposure::UncleanElection => {
                "unclean.leader.election.enable=true: a replica outside the ISR was elected"
            }
            Exposure::OperatorElectedUncleanly => {
                "an operator elected a replica outside the ISR (kafka-leader-election --election-type unclean)"
            }
            Exposure::LastKnownLeader => {
                "the ISR and the ELR were empty, and the last known leader was elected whatever its log held"
            }
            Exposure::TooManyLossyStops => {
                "at least min.insync.replicas copies lost what was not flushed, or their disks"
            }
            Exposure::LastReplicaStanding => {
                "the ISR had shrunk to one replica, which lost data and led again (ELR off)"
            }
            Exposure::QuorumDiskLost => "a controller lost its disk under kraft.version=0",
            Exposure::QuorumMajorityLost => "half of the controllers or more lost their disks",
            Exposure::SingleVoterPowerLoss => "the only controller lost power before it had flushed",
            Exposure::NotIdempotent => {
                "enable.idempotence=false: a retry can be appended twice, or behind later batches"
            }
            Exposure::ProducerEpochBump => {
                "the idempotent producer bumped its epoch and renumbered batches that had no outcome yet"
            }
            Exposure::ProducerRestarted => "the producer was restarted: a new process has a new producer id",
            Exposure::ProducerIdExpired => {
                "producer.id.expiration.ms had passed: the broker had forgotten the producer's sequence"
            }
            Exposure::MembershipOver => {
                "a consumer was taken out of its group (session.timeout.ms, max.poll.interval.ms) and did not know yet"
            }
            Exposure::StaleCoordinator => {
                "a broker answered that had coordinated the group before and did not know of its successor"
            }
            Exposure::SlowApplication => {
                "max.poll.records records can take the application longer than max.poll.interval.ms"
            }
            Exposure::ConsumerThrew => "poll threw, and the application ended",
            Exposure::GroupWithoutMembers => {
                "the group had no members left: then anybody may commit without an epoch, as fenced members of the consumer protocol do"
            }
            Exposure::NoOffsetsTopic => {
                "offsets.topic.replication.factor is larger than the number of brokers: __consumer_offsets cannot be created (INVALID_REPLICATION_FACTOR), and without it no group has a coordinator"
            }
            Exposure::ReaderThrew => "poll of a reader threw, and its application ended",
            Exposure::LedBeforeRegistering => {
                "a broker that had lost what was not flushed led on, as the metadata still said, until it could register: its coordinator wrote where its followers know other records of the same epoch"
            }
            Exposure::ProducerStateLost => {
                "nothing of the leader's log was left when it was loaded, by retention or with a disk, and no state of producers: a leader without it takes any sequence number"
            }
            Exposure::NoProducerId => {
                "the idempotent producer waited for a producer id, and its sender does nothing else meanwhile: delivery.timeout.ms ends nothing"
            }
            Exposure::RareHeartbeats => {
                "broker.heartbeat.interval.ms is more than half of broker.session.timeout.ms: Kafka says at start that brokers may lose their leases between two heartbeats"
            }
            Exposure::HastyQuorumFetch => {
                "controller.quorum.fetch.timeout.ms is shorter than the 500ms for which a leader of the quorum may hold back a fetch, and the way there and back: followers stand for election without need"
            }
            Exposure::HastyQuorumElection => {
                "controller.quorum.election.timeout.ms is shorter than the way of a vote there and back"
            }
            Exposure::HastyQuorumRequest => {
                "controller.quorum.request.timeout.ms is shorter than the 500ms for which a leader of the quorum may hold back a fetch, and the way there and back: followers give up fetches that are answered"
            }
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

/// What was put to the test in a trial and could not be judged: it did not hold, and it did not break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unjudged {
    /// What.
    pub invariant: Invariant,
    /// Why not, in words.
    pub because: String,
}

/// Whether Kafka had promised what broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It had: the model is wrong, or Kafka has a bug.
    Broken,
    /// It had not: settings and faults allow this.
    Exposed(Exposure),
}

/// One witness of a violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What did not hold.
    pub invariant: Invariant,
    /// Whether it was promised.
    pub verdict: Verdict,
    /// When it was noticed.
    pub at: Time,
    /// During which event, if during one.
    pub event: Option<EventId>,
    /// The partition it is about.
    pub partition: Option<PartitionId>,
    /// The record it is about.
    pub record: Option<RecordId>,
    /// The offset it is about.
    pub offset: Option<Offset>,
    /// The particulars, in a clause without names of machines (those are in the story).
    pub detail: String,
}
