//! What clients saw: the format `ktrial.history/1`, and the judges that need nothing else.
//!
//! A [`History`] is built in memory by a simulated trial or read from a file that a recorder of a
//! real cluster wrote; the same judges read both.
//!
//! * [`History::read`] and [`History::write`]: JSON Lines, plain or gzipped in, plain out. Three things go
//!   beyond what a recorder of a real cluster writes, and are optional: `features` in the header, `group` in
//!   `start`, and `outcome` (`failed` or `unknown`) in `error`, which somebody who saw every attempt may give.
//! * [`Ledger`]: the books, one entry a record and one final log a partition.
//! * [`judge`]: counts, and one [`Finding`] for each [`Invariant`]. Where isolation levels differ, *the log*
//!   is the final read with `read_uncommitted`; transactions are judged by the one with `read_committed`.
//! * [`Promises`]: whether Kafka promised that a violation cannot happen. [`SettingsAndFaults`] answers from the
//!   header, the faults and what brokers told; [`judge_with`] takes whoever knows better.
//! * [`Course`]: what a partition went through, with nodes renamed by role so that runs can be compared.

mod course;
mod course_roles;
mod event;
mod finding;
mod gaps;
mod header;
mod identity;
mod judges;
mod ledger;
mod lines;
mod outcome;
mod promise;
mod read;
mod record_index;
mod sentence;
mod settings;
mod shapes;
mod write;

pub use course::{CanonicalCourse, CanonicalStep, Course, Replicas, Step, Target};
pub use event::{
    Event, Extent, FinalRead, History, Isolation, KnownOutcome, Offsets, Operation, PartitionState, Placed,
    Span,
};
pub use finding::{Finding, Invariant, Verdict, Witness};
pub use gaps::gaps;
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
