//! Every invariant by its id and name.

use std::fmt;

macro_rules! invariants {
    ($($variant:ident, $id:literal, $name:literal, $about:literal;)*) => {
        /// Something that must hold, always or where Kafka promises it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant {
            $(#[doc = $about] $variant,)*
        }

        impl Invariant {
            /// All of them, in order of their ids.
            pub const ALL: &'static [Invariant] = &[$(Invariant::$variant,)*];

            /// Its id, such as `DUR-2`.
            pub fn id(self) -> &'static str {
                match self { $(Invariant::$variant => $id,)* }
            }

            /// Its name, such as `lost-write`.
            pub fn name(self) -> &'static str {
                match self { $(Invariant::$variant => $name,)* }
            }

            /// What it says.
            pub fn about(self) -> &'static str {
                match self { $(Invariant::$variant => $about,)* }
            }
        }
    };
}

invariants! {
    AckedSurvives, "DUR-1", "acked-survives", "Each acknowledged record is in at least one replica's log, counting the disks of stopped brokers.";
    LostWrite, "DUR-2", "lost-write", "Each acknowledged record can be read from the leader after healing.";
    InconsistentOffsets, "DUR-3", "inconsistent-offsets", "An offset of a partition names one record for all acknowledgements and reads, for ever.";
    AckNeedsMinIsr, "DUR-4", "ack-needs-min-isr", "An acks=all success means that the high watermark is past the record and the maximal ISR has at least min.insync.replicas members.";
    FailedWriteVisible, "DUR-5", "failed-write-visible", "A send of which every attempt was refused before the append is never read.";
    LogMatching, "LOG-1", "log-matching", "Any two replicas hold the same record and epoch at every offset below both high watermarks.";
    LogWellFormed, "LOG-2", "log-well-formed", "Offsets rise and epochs never fall along a log; start <= high watermark <= end; the epoch cache fits the log.";
    HighWatermarkValid, "LOG-4", "hw-valid", "A leader's high watermark is at most the log end it has on record for every member of its maximal ISR, and stands still while the ISR is smaller than min.insync.replicas.";
    DuplicateRecord, "ORD-1", "duplicate", "One send stands at one offset at most.";
    NonmonotonicSend, "ORD-2", "nonmonotonic-send", "The sends of one producer to one partition stand in their order.";
    NonmonotonicPoll, "ORD-3", "nonmonotonic-poll", "A reader's offsets rise.";
    PollSkip, "ORD-4", "poll-skip", "A reader leaves out no record between two that it reads.";
    ReadAboveHighWatermark, "ORD-5", "read-above-hw", "No consumer gets an offset at or above the serving replica's high watermark.";
    IsrLegal, "REP-1", "isr-legal", "ISR and ELR are disjoint subsets of the replicas, a leader is in the ISR and not fenced, and the ELR is empty where the ISR has min.insync.replicas members.";
    ElectionSafety, "REP-2", "election-safety", "At most one broker leads a partition in a leader epoch, and one controller an epoch of the quorum.";
    LeaderCompleteness, "REP-4", "leader-completeness", "An elected leader holds every committed record.";
    UncleanExclusion, "REP-7", "unclean-exclusion", "After losing unflushed data a replica is in no ISR or ELR and leads nothing until it has caught up.";
    DoubleAssignment, "GRP-1", "double-assignment", "No partition is owned by two members of a group at the same time.";
    LostOffsetCommit, "GRP-2", "lost-offset-commit", "After a commit is acknowledged nobody is told an older position.";
    StaleCommitAccepted, "GRP-3", "stale-commit-accepted", "A commit of a former member or of another generation is refused.";
    SendResolves, "LIV-1", "send-resolves", "Each send ends within delivery.timeout.ms by its client's clock, while the client runs.";
    Converges, "LIV-2", "converges-after-heal", "After the last fault leaders, ISRs, sends and reads converge.";
}

impl Invariant {
    /// The invariant of this id or name.
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.id().eq_ignore_ascii_case(text) || known.name() == text)
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id(), self.name())
    }
}
