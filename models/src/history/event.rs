//! A history in memory: the header and every event, in order of time.

use std::collections::BTreeMap;

use ktrial_sim::Time;

use super::header::Header;
use super::identity::{
    ErrorId, KeyId, Names, NodeId, Offset, PartitionId, ProcessId, RecordId, TextId, TopicId, TransactionId,
};

/// What clients of one cluster saw, and what was done to it meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Where it comes from and which settings were in force.
    pub header: Header,
    /// The names behind the integers in the events.
    pub names: Names,
    /// Ops of lines that were passed over because nobody knows them, with how many there were.
    pub unknown_ops: BTreeMap<String, u64>,
    events: Vec<Event>,
    placed: Vec<Placed>,
}

/// Something that happened at an instant, on the one clock of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds since the cluster's start.
    pub time: Time,
    /// What happened.
    pub operation: Operation,
}

/// A record seen at its place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placed {
    /// In which partition.
    pub partition: PartitionId,
    /// At which offset.
    pub offset: Offset,
    /// Which record.
    pub record: RecordId,
}

/// Records of one poll or one final read: a stretch of [`History::records`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    length: u32,
}

impl Span {
    /// Where they are among all records that were read.
    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len()
    }
    /// How many records.
    pub fn len(self) -> usize {
        self.length as usize
    }
    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.length == 0
    }
}

/// What became of a send that ended with an error, told by somebody who saw every attempt.
///
/// Only simulated histories have it; of a real one only the last error is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownOutcome {
    /// Every attempt was refused before the append, or none was sent.
    Failed,
    /// Some attempt may have been appended.
    Unknown,
}

/// Which records a reader is shown: Kafka's `isolation.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isolation {
    /// All, those of open and aborted transactions too.
    ReadUncommitted,
    /// Those of committed transactions and those of none.
    ReadCommitted,
}

impl Isolation {
    /// Kafka's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Isolation::ReadUncommitted => "read_uncommitted",
            Isolation::ReadCommitted => "read_committed",
        }
    }
    /// The level that Kafka calls so.
    pub fn parse(name: &str) -> Option<Isolation> {
        [Isolation::ReadUncommitted, Isolation::ReadCommitted]
            .into_iter()
            .find(|level| level.name() == name)
    }
}

/// Offsets of partitions: the next one to read, for each.
pub type Offsets = Box<[(PartitionId, Offset)]>;

/// What brokers tell of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Which partition.
    pub partition: PartitionId,
    /// Who leads it; nobody while it is offline.
    pub leader: Option<NodeId>,
    /// In-sync replicas.
    pub isr: Vec<NodeId>,
    /// Eligible leader replicas (KIP-966).
    pub elr: Vec<NodeId>,
    /// The last leader known after ISR and ELR ran empty (KIP-966).
    pub last_known_elr: Vec<NodeId>,
}

/// Which part of a log the final read went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first offset there was.
    pub start: Offset,
    /// The end of the log (of its visible part) before the read.
    pub end: Offset,
    /// Where the reader stood when it stopped; less than `end` when it gave up.
    pub reached: Offset,
}

/// One reading of a partition from its start to its end, after everything has healed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalRead {
    /// Which partition.
    pub partition: PartitionId,
    /// With which level.
    pub isolation: Isolation,
    /// How far it went, or why it could not be read.
    pub extent: Result<Extent, ErrorId>,
    /// The message of that error.
    pub message: Option<TextId>,
    /// What was read, in the order in which it came.
    pub records: Span,
}

/// What happened: the ops of the format `ktrial.history/1`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are those of the format, named in full.
pub enum Operation {
    /// A client began its life. A consumer may name its group.
    Start {
        process: ProcessId,
        group: Option<TextId>,
    },
    /// A client ended as it should.
    End { process: ProcessId },
    /// A client ended with an exception.
    Died {
        process: ProcessId,
        error: ErrorId,
        message: Option<TextId>,
    },
    /// The application called send.
    Send {
        process: ProcessId,
        record: RecordId,
        topic: TopicId,
        key: Option<KeyId>,
    },
    /// The callback without an error. No offset where the broker told none.
    Ok {
        record: RecordId,
        partition: u32,
        offset: Option<Offset>,
    },
    /// The callback with one.
    Error {
        record: RecordId,
        error: ErrorId,
        message: Option<TextId>,
        outcome: Option<KnownOutcome>,
    },
    /// A transaction began.
    Begin {
        process: ProcessId,
        transaction: TransactionId,
    },
    /// Its commit succeeded, with the offsets that were committed inside it.
    Committed {
        transaction: TransactionId,
        offsets: Offsets,
    },
    /// Its abort succeeded.
    Aborted { transaction: TransactionId },
    /// Something in it failed.
    TransactionError {
        transaction: TransactionId,
        error: ErrorId,
        message: Option<TextId>,
    },
    /// Its abort failed.
    AbortError {
        transaction: TransactionId,
        error: ErrorId,
        message: Option<TextId>,
    },
    /// One poll returned records.
    Poll { process: ProcessId, records: Span },
    /// The application finished with a record.
    Processed { process: ProcessId, record: RecordId },
    /// The application committed offsets.
    Commit { process: ProcessId, offsets: Offsets },
    /// The application could not commit them.
    CommitError {
        process: ProcessId,
        offsets: Offsets,
        error: ErrorId,
        message: Option<TextId>,
    },
    /// The rebalance listener was given partitions.
    Assigned {
        process: ProcessId,
        partitions: Box<[PartitionId]>,
    },
    /// The rebalance listener had to give partitions back.
    Revoked {
        process: ProcessId,
        partitions: Box<[PartitionId]>,
    },
    /// The rebalance listener was told that partitions are gone.
    Lost {
        process: ProcessId,
        partitions: Box<[PartitionId]>,
    },
    /// The application went to another position in partitions (`seek`). Recorders of before do not tell it.
    Seek {
        process: ProcessId,
        partitions: Box<[PartitionId]>,
    },
    /// Brokers tell something new of a partition.
    State(Box<PartitionState>),
    /// What was done to the cluster, and to whom.
    Fault { what: TextId, who: TextId },
    /// A partition was read from start to end.
    Final(Box<FinalRead>),
}

impl History {
    /// An empty history under a header.
    pub fn new(header: Header) -> Self {
        History {
            header,
            ..History::default()
        }
    }

    /// All events, in order of time.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The records of a poll or a final read of this history.
    pub fn records(&self, span: Span) -> &[Placed] {
        &self.placed[span.range()]
    }

    /// The records of all polls and final reads.
    pub(super) fn all_records(&self) -> &[Placed] {
        &self.placed
    }

    /// Keeps records for a poll or a final read that is pushed next.
    pub fn keep(&mut self, records: impl IntoIterator<Item = Placed>) -> Span {
        let start = self.placed.len();
        self.placed.extend(records);
        assert!(
            u32::try_from(self.placed.len()).is_ok(),
            "a history holds fewer than 2^32 reads"
        );
        Span {
            start: start as u32,
            length: (self.placed.len() - start) as u32,
        }
    }

    /// Appends an event, which must not be earlier than the last one.
    pub fn push(&mut self, time: Time, operation: Operation) {
        assert!(self.last_time() <= time, "events are pushed in order of time");
        self.events.push(Event { time, operation });
    }

    /// The time of the last event, or zero.
    pub fn last_time(&self) -> Time {
        self.events.last().map_or(Time::ZERO, |event| event.time)
    }
}
