//! What clients saw: the format `ktrial.history/1`, and the judges that need nothing else.
//!
//! A [`History`] is built in memory by a simulated trial or read from a file that a recorder of a
//! real cluster wrote; the same judges read both.

mod course;
mod course_roles;
mod event;
mod finding;
mod header;
mod identity;
mod judges;
mod ledger;
mod lines;
mod outcome;
mod promise;
mod read;
mod record_index;
mod settings;
mod write;

pub use course::{CanonicalCourse, CanonicalStep, Course, Replicas, Step, Target};
pub use event::{
    Event, Extent, FinalRead, History, Isolation, KnownOutcome, Offsets, Operation, PartitionState, Placed,
    Span,
};
pub use finding::{Finding, Invariant, Verdict, Witness};
pub use header::{Header, SCHEMA, Settings};
pub use identity::{
    DerivedId, ErrorId, KeyId, NameId, Names, NodeId, Offset, PartitionId, ProcessId, RecordId, TextId,
    TopicId, TransactionId,
};
pub use judges::{Counts, Report, judge, judge_with};
pub use ledger::{Acknowledged, Entry, Fate, FinalLog, Ledger, Sent, Transaction};
pub use outcome::Outcome;
pub use promise::{Promises, SettingsAndFaults, Standing};
pub use read::ReadError;
pub use record_index::Slot;
pub use settings::{Acks, ProducerSettings, TopicSettings, eligible_leader_replicas};
