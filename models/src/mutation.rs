//! Deliberate deviations from Kafka: each must be found by some judge. For tests only.

/// Which deviations are switched on. A trial that a user runs has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mutations(u64);

/// One deviation from Kafka 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Mutation {
    /// A new follower truncates to its high watermark instead of asking where epochs diverge (before KIP-101).
    TruncateToHighWatermark,
    /// A leader answers a diverging follower with its own epoch's start only (KIP-101 without KIP-279).
    SingleStepDivergence,
    /// A leader does not compare the follower's leader epoch with its own (before KIP-320).
    UnfencedFollowerFetch,
    /// A follower joins the ISR although it has not reached the start of the leader's epoch.
    JoinIsrBelowEpochStart,
    /// The high watermark waits for the committed ISR only, not for the maximal one.
    HighWatermarkFromCommittedIsr,
    /// The controller does not compare broker epochs in a proposed ISR (before KIP-903).
    IgnoreBrokerEpochs,
    /// The high watermark moves although the ISR is smaller than min.insync.replicas.
    HighWatermarkBelowMinIsr,
    /// Consumers read up to the log end.
    ReadToLogEnd,
    /// The leader does not look for duplicate sequence numbers.
    NoDeduplication,
    /// `acks=all` is answered after the append.
    AcknowledgeAfterAppend,
    /// The controller keeps a fenced broker in the ISR.
    KeepFencedInIsr,
    /// The controller elects any live replica although unclean election is off.
    ElectAnyReplica,
    /// Two brokers may hold one leader epoch: the controller does not bump it.
    KeepLeaderEpoch,
    /// A controller votes twice in one epoch.
    VoteTwice,
    /// The epoch cache is not written when a leader starts.
    ForgetEpochStart,
    /// A refused batch is appended all the same.
    AppendRefused,
    /// Retried batches go to the tail of their partition's queue.
    RetryAtTail,
    /// A send that expires gets no outcome.
    DropExpired,
    /// The broker goes on to append with the offset of the batch before (two records at one offset).
    ReuseOffset,
    /// A restarted broker that lost its page cache claims a clean shutdown.
    ClaimCleanShutdown,
    /// A follower appends a batch without the records its leader has before it.
    SkipBatchOnFollower,
    /// A reader leaves out the first record of each batch that has more than one.
    SkipOnPoll,
    /// A reader hands out the last record of a batch again.
    RepeatOnPoll,
    /// A coordinator takes commits whoever sends them, of whichever generation.
    AcceptStaleCommits,
    /// A coordinator answers when its records are appended, whether they are committed or not.
    AnswerBeforeCommit,
    /// A coordinator loads its partition up to the high watermark that it knows then.
    LoadToHighWatermark,
    /// A group's leader assigns a partition to two members.
    AssignTwice,
    /// No deviation of Kafka's but a fault of ours: a process takes longer to start the more processes this thread has
    /// ever started, which no manifest says. For the double-run check to find.
    StartUpRemembersOtherTrials,
}

impl Mutations {
    /// Only this one.
    pub const fn only(mutation: Mutation) -> Self {
        Mutations(1 << mutation as u8)
    }

    /// Whether a deviation is switched on.
    #[inline]
    pub const fn has(self, mutation: Mutation) -> bool {
        self.0 >> mutation as u8 & 1 == 1
    }
}
