//! Every setting of Kafka 4.3: name, type, default, range, scope, and what became of it here.
//!
//! [`SettingsBuilder`] takes what the user gave (files, the scenario's own values, `--set`), and
//! [`SettingsBuilder::resolve`] says what counts: a view for each role ([`BrokerSettings`],
//! [`ControllerSettings`], [`TopicSettings`], [`ProducerSettings`], [`ReaderSettings`]), every effective value
//! with its [`Origin`], what was set and does not simply count ([`Noted`]), warnings, and refusals: what Kafka
//! itself would not start with. Bad input comes back as errors with place and remedy, all at once.
//!
//! # Making a setting modelled
//!
//! Write the test in which changing the setting changes behaviour, then change the last column of the
//! setting's line in `catalogue/*.txt` from `unmodelled` to `modelled NAME_OF_THE_TEST`. Nothing else: the run
//! stops being stopped. A test finds names that no test has.
//! `testing` turns the text of settings into views for such tests in this crate; `tests/settings_modelled` does so
//! for whole clusters.
//!
//! # Making a setting known to the models
//!
//! Add a field to the view, named after the setting with `_` for `.`; its type says how the text is read
//! (`Duration` takes the unit from the name; `Option` means that a negative value is no limit).
//!
//! # Where things are
//!
//! `properties` reads files as Java does; `value` parses and validates one value; `catalogue` holds the tables;
//! `secrets` says what must not be shown;
//! `synonyms` says which server settings stand in for a topic's; `refusal/` has the checks across settings, with
//! the Kafka class of each; `unknown` answers names that do not exist; `resolve` applies precedence: `--set`
//! (the narrower, then the later), then the scenario's own values, then files, then defaults, and for topics
//! override, cluster-wide value, the node's own file, default; for groups their own value, the brokers', default.

mod assignment;
pub mod catalogue;
mod effective;
mod features;
mod nearest;
mod offset_reset;
mod place;
mod problem;
pub mod properties;
mod refusal;
mod report;
mod resolve;
mod secrets;
mod synonyms;
#[cfg(test)]
pub(crate) mod testing;
mod unknown;
pub mod value;
mod view;

pub use assignment::{Assignment, Target};
pub use effective::{Effective, RELEASE, Values};
pub use features::{Features, MetadataVersion};
pub use nearest::nearest;
pub use offset_reset::OffsetReset;
pub use place::{Origin, Place};
pub use problem::{ConfigError, Refusal, Warning};
pub use report::{Note, Noted};
pub use resolve::{Cluster, Resolution, ResolvedClient, ResolvedGroup, ResolvedTopic, SettingsBuilder};
pub use secrets::{HIDDEN, assignment_without_secrets, file_without_secrets};
pub use view::{
    Acks, BrokerSettings, CleanupPolicy, Compression, ControllerSettings, GroupProtocol, GroupSettings,
    IsolationLevel, MemberSettings, MetadataRecoveryStrategy, MigrationPolicy, Millionths, Partitioner,
    ProducerSettings, ReaderSettings, RebalanceProtocols, ReplicaSelector, ServerAssignors, TimestampType,
    TopicSettings,
};
