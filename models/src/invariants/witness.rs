//! Witnesses of violations, as they are kept until the end of a trial.

use std::fmt;

use ktrial_sim::{EventId, Time};

use crate::ids::{LeaderEpoch, Offset, PartitionId, RecordId, ServerId};
use crate::invariants::{Exposure, Invariant};
use crate::records::Batch;

/// What decides whether the thing was promised.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ground {
    /// Always promised.
    Always,
    /// Promised as long as the metadata quorum kept its memory.
    Quorum,
    /// Not promised, whatever else happened.
    Exposed(Exposure),
    /// A committed batch was taken out of the committed log: its number among those.
    Removed(usize),
    /// A batch that some leader had committed was overwritten.
    Overwritten(Batch),
    /// An acknowledged record is gone.
    Lost(RecordId),
    /// Two records had one offset; whether they were read there.
    Names([(RecordId, bool); 2]),
    /// A record stands behind a later one of its producer.
    Order(RecordId, RecordId),
    /// What the partition of `__consumer_offsets` that keeps a group has committed is gone.
    GroupLog(PartitionId),
    /// A replica that had lost data was made a member or leader in this epoch; whether it is the only member.
    Admitted(ServerId, LeaderEpoch, bool),
}

/// The particulars, put into words only if they are shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Detail {
    Text(&'static str),
    /// A text between two numbers: `{0} {text} {1}`.
    Between(u64, &'static str, u64),
    /// A text and an offset.
    At(&'static str, Offset),
    /// An entry of the list of what is pending.
    Pending(usize),
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Detail::Text(text) => f.write_str(text),
            Detail::Between(one, text, other) => write!(f, "{one} {text} {other}"),
            Detail::At(text, offset) => write!(f, "{text} {offset}"),
            Detail::Pending(number) => write!(f, "pending {number}"),
        }
    }
}

/// A witness whose verdict is still to be found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Witness {
    pub(super) invariant: Invariant,
    pub(super) at: Time,
    pub(super) event: Option<EventId>,
    pub(super) partition: Option<PartitionId>,
    pub(super) record: Option<RecordId>,
    pub(super) offset: Option<Offset>,
    pub(super) ground: Ground,
    pub(super) detail: Detail,
}

/// All witnesses of a trial, and what is going on just now.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    pub(super) at: Time,
    pub(super) event: Option<EventId>,
    pub(super) all: Vec<Witness>,
}

/// Where a witness stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) partition: Option<PartitionId>,
    pub(super) record: Option<RecordId>,
    pub(super) offset: Option<Offset>,
}

impl Place {
    pub(super) fn partition(partition: PartitionId) -> Self {
        Place {
            partition: Some(partition),
            ..Place::default()
        }
    }

    pub(super) fn offset(partition: PartitionId, offset: Offset) -> Self {
        Place {
            partition: Some(partition),
            offset: Some(offset),
            record: None,
        }
    }

    pub(super) fn record(partition: PartitionId, record: RecordId, offset: Offset) -> Self {
        Place {
            partition: Some(partition),
            record: Some(record),
            offset: Some(offset),
        }
    }
}

impl Witnesses {
    pub(super) fn reset(&mut self) {
        self.all.clear();
    }

    #[cold]
    pub(super) fn add(&mut self, invariant: Invariant, place: Place, ground: Ground, detail: Detail) {
        self.all.push(Witness {
            invariant,
            at: self.at,
            event: self.event,
            partition: place.partition,
            record: place.record,
            offset: place.offset,
            ground,
            detail,
        });
    }
}
