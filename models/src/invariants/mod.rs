//! The judges: what must hold, what was promised, what was seen.
//!
//! [`Judges`] hear every note of a trial and what the script does to machines. They draw nothing and change nothing.
//! They keep, for each partition, the log of each replica as it told of it ([`replica_log`]), the committed log and
//! what was taken out of it again ([`committed`]), and the elections; for each send, of producers and of applications
//! that send records on, what its application was told and where it landed ([`sends`]). From these each family of invariants judges online: [`log`], [`replication`],
//! [`durability`], [`ordering`], [`groups`], [`liveness`] (how long things may take: [`convergence`]); what needs the end of the trial is judged in [`Judges::finish`].
//!
//! Whether Kafka promised what a witness shows is decided at the end, over its provenance ([`provenance`]): what
//! happened to each copy of that batch, who was elected how behind it, and what its client had asked for.

mod catalogue;
mod committed;
mod convergence;
mod durability;
mod exercised;
mod facts;
mod finding;
mod groups;
mod judges;
mod liveness;
mod log;
mod ordering;
mod partition;
mod provenance;
mod replica_log;
mod replication;
mod sends;
mod witness;

pub use catalogue::Invariant;
pub use convergence::{Convergence, MemberAtWork, convergence_excuse, time_to_converge};
pub use durability::{FinalLog, Unread};
pub use exercised::Exercised;
pub use facts::Fate;
pub use finding::{Exposure, Finding, Unjudged, Verdict};
pub use judges::Judges;
