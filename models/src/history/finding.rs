//! What a judge hands back: counts, a verdict, and witnesses.

use std::fmt;

use ktrial_sim::Time;

use super::identity::{Offset, PartitionId, ProcessId, RecordId, TransactionId};

/// What can be judged from what clients saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// DUR-2: an acknowledged record is in the final log of its partition, unless retention or compaction took it.
    LostWrite,
    /// DUR-3: an offset names one record, for all acknowledgements, polls and final reads.
    InconsistentOffset,
    /// A record that a consumer was given is in the final log of its partition.
    ReadThenGone,
    /// DUR-5: a failed send is never read.
    FailedWriteVisible,
    /// ORD-1: a record stands at one place of the final logs.
    Duplicate,
    /// ORD-2: in a final log no record stands behind one that its process sent later.
    NonmonotonicSend,
    /// ORD-3: within a session offsets rise from record to record.
    NonmonotonicPoll,
    /// ORD-4: between two records that follow each other in a session, no visible one is left out.
    PollSkip,
    /// A group (or a process without one) is given each record at an offset once.
    ReadTwice,
    /// A send whose callback came with an error is not in the log. Only refusals promise that: see DUR-5.
    ErrorButInTheLog,
    /// LIV-1: every send ends, well or badly.
    SendResolves,
    /// LIV-2, the part that clients see: after healing every partition can be read to its end.
    FinalUnreadable,
    /// TXN-1: a reader of committed records is given none of an aborted transaction.
    AbortedRead,
    /// TXN-3: of a committed transaction every record is visible, of an aborted one none.
    TornTransaction,
    /// TXN-7: every input of a transfer has an output.
    InputWithoutOutput,
    /// TXN-7: no input of a transfer has two.
    InputCountedTwice,
}

impl Invariant {
    /// All of them, in the order of reports.
    pub const ALL: [Invariant; 16] = [
        Invariant::LostWrite,
        Invariant::InconsistentOffset,
        Invariant::ReadThenGone,
        Invariant::FailedWriteVisible,
        Invariant::Duplicate,
        Invariant::NonmonotonicSend,
        Invariant::NonmonotonicPoll,
        Invariant::PollSkip,
        Invariant::ReadTwice,
        Invariant::ErrorButInTheLog,
        Invariant::SendResolves,
        Invariant::FinalUnreadable,
        Invariant::AbortedRead,
        Invariant::TornTransaction,
        Invariant::InputWithoutOutput,
        Invariant::InputCountedTwice,
    ];

    /// Its short name; nothing for those that are no invariant of the catalogue.
    pub fn code(self) -> Option<&'static str> {
        Some(match self {
            Invariant::LostWrite => "DUR-2",
            Invariant::InconsistentOffset => "DUR-3",
            Invariant::FailedWriteVisible => "DUR-5",
            Invariant::Duplicate => "ORD-1",
            Invariant::NonmonotonicSend => "ORD-2",
            Invariant::NonmonotonicPoll => "ORD-3",
            Invariant::PollSkip => "ORD-4",
            Invariant::SendResolves => "LIV-1",
            Invariant::FinalUnreadable => "LIV-2",
            Invariant::AbortedRead => "TXN-1",
            Invariant::TornTransaction => "TXN-3",
            Invariant::InputWithoutOutput | Invariant::InputCountedTwice => "TXN-7",
            Invariant::ReadThenGone | Invariant::ReadTwice | Invariant::ErrorButInTheLog => return None,
        })
    }

    /// Its name in words.
    pub fn name(self) -> &'static str {
        match self {
            Invariant::LostWrite => "lost-write",
            Invariant::InconsistentOffset => "inconsistent-offsets",
            Invariant::ReadThenGone => "read-then-gone",
            Invariant::FailedWriteVisible => "failed-write-visible",
            Invariant::Duplicate => "duplicate",
            Invariant::NonmonotonicSend => "nonmonotonic-send",
            Invariant::NonmonotonicPoll => "nonmonotonic-poll",
            Invariant::PollSkip => "poll-skip",
            Invariant::ReadTwice => "read-twice",
            Invariant::ErrorButInTheLog => "error-but-in-the-log",
            Invariant::SendResolves => "send-resolves",
            Invariant::FinalUnreadable => "final-unreadable",
            Invariant::AbortedRead => "aborted-read",
            Invariant::TornTransaction => "torn-transaction",
            Invariant::InputWithoutOutput => "input-without-output",
            Invariant::InputCountedTwice => "input-counted-twice",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            Some(code) => write!(f, "{code} {}", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

/// One violation: who, which record, where, when. What does not apply is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// The client that sent or read; nobody for a final read.
    pub process: Option<ProcessId>,
    /// The record.
    pub record: Option<RecordId>,
    /// The partition it was told or seen in.
    pub partition: Option<PartitionId>,
    /// The offset it was told or seen at.
    pub offset: Option<Offset>,
    /// When it was sent, acknowledged or read, whichever the invariant is about.
    pub time: Option<Time>,
    /// The other record: at the same offset, sent later, left out.
    pub other: Option<RecordId>,
    /// The other offset: of the other copy, of the other record.
    pub other_offset: Option<Offset>,
    /// The transaction.
    pub transaction: Option<TransactionId>,
    /// Whether what contradicts was read by somebody, rather than only acknowledged.
    pub read: bool,
}

/// How a violation, or its absence, is to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Exercised, and nothing found.
    Pass,
    /// Found, although Kafka promised that it cannot happen.
    Broken,
    /// Found, and the settings or faults permit it, for these reasons.
    Exposed(Vec<String>),
    /// Nothing happened that could have violated it.
    Vacuous,
}

/// What one invariant came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which invariant.
    pub invariant: Invariant,
    /// How often it could have been violated.
    pub exercised: u64,
    /// How often it could not be told, because the reader did not get so far or retention passed.
    pub undecided: u64,
    /// How often it was violated.
    pub violations: u64,
    /// Violations that Kafka had promised cannot happen.
    pub promised: u64,
    /// Why the other violations were not promised against, with counts.
    pub reasons: Vec<(String, u64)>,
    /// Some violations, at most [`Finding::WITNESSES`]: promised ones first, else in the order of the judge.
    pub witnesses: Vec<Witness>,
}

impl Finding {
    /// How many witnesses are kept.
    pub const WITNESSES: usize = 32;

    /// The verdict that the counts give.
    pub fn verdict(&self) -> Verdict {
        if self.promised > 0 {
            Verdict::Broken
        } else if self.violations > 0 {
            Verdict::Exposed(self.reasons.iter().map(|(reason, _)| reason.clone()).collect())
        } else if self.exercised == 0 {
            Verdict::Vacuous
        } else {
            Verdict::Pass
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invariant_has_the_name_here_that_it_has_in_the_catalogue() {
        use crate::invariants::Invariant as Known;
        for invariant in Invariant::ALL
            .into_iter()
            .filter(|invariant| *invariant != Invariant::FinalUnreadable)
        {
            let known = Known::ALL
                .iter()
                .find(|known| Some(known.id()) == invariant.code());
            assert!(
                known.is_none_or(|known| known.name() == invariant.name()),
                "{invariant}"
            );
        }
    }
}
