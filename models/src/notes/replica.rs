//! What replicas tell: their logs, and what leaders do.

use ktrial_sim::EventId;
use smallvec::SmallVec;

use crate::ids::{LeaderEpoch, Offset, PartitionEpoch, ServerId, Servers};
use crate::log::RetentionReason;
use crate::protocol::ErrorCode;
use crate::records::{Batch, Records};

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
