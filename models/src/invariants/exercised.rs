//! How much there was to judge: an invariant that nothing put to the test did not hold, it is vacuous.

use super::Invariant;

/// What happened in a trial that could have violated something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exercised {
    /// Records that were sent.
    pub sent: u64,
    /// Sends that succeeded.
    pub acknowledged: u64,
    /// Sends that failed.
    pub failed: u64,
    /// Of those, sends that no broker can have taken.
    pub refused: u64,
    /// Batches for which a leader said success to acks=all.
    pub acknowledged_by_all: u64,
    /// Batches that leaders appended.
    pub appended: u64,
    /// Batches committed.
    pub committed: u64,
    /// Records handed to readers.
    pub polled: u64,
    /// Leaders elected since the first record was sent.
    pub elections: u64,
    /// Changes of partitions that controllers committed, creation included.
    pub isr_changes: u64,
    /// Assignments that members took over.
    pub assigned: u64,
    /// Positions that members were told of partitions for which some commit had been acknowledged.
    pub positions: u64,
    /// Commits that coordinators accepted in groups that had rebalanced before.
    pub commits: u64,
    /// Machines that lost their page cache or their disk.
    pub lossy_stops: u64,
    /// Faults that met somebody: what there was to converge from. The trial's director knows.
    pub faults: u64,
}

impl Exercised {
    /// How often an invariant could have been violated.
    pub fn count(&self, invariant: Invariant) -> u64 {
        match invariant {
            Invariant::AckedSurvives | Invariant::LostWrite | Invariant::InconsistentOffsets => {
                self.acknowledged
            }
            Invariant::AckNeedsMinIsr => self.acknowledged_by_all,
            Invariant::FailedWriteVisible => self.refused,
            Invariant::DuplicateRecord | Invariant::NonmonotonicSend => self.appended,
            Invariant::SendResolves => self.sent,
            Invariant::NonmonotonicPoll | Invariant::PollSkip | Invariant::ReadAboveHighWatermark => {
                self.polled
            }
            Invariant::LogMatching | Invariant::LogWellFormed => self.appended,
            Invariant::HighWatermarkValid => self.committed,
            Invariant::IsrLegal => self.isr_changes,
            Invariant::ElectionSafety | Invariant::LeaderCompleteness => self.elections,
            Invariant::DoubleAssignment => self.assigned,
            Invariant::LostOffsetCommit => self.positions,
            Invariant::StaleCommitAccepted => self.commits,
            Invariant::UncleanExclusion => self.lossy_stops,
            Invariant::Converges => self.faults,
        }
    }
}
