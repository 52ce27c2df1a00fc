//! What Java clients have in common: `NetworkClient`, `Metadata`, back-off.
//!
//! States of a node (`ClusterConnectionStates`): unknown → connecting → checking API versions → ready → disconnected
//! → connecting. Requests go only to a ready node; one that is on its way to the socket blocks the next.
//!
//! | timer | clock | starts | what it does |
//! |---|---|---|---|
//! | `request.timeout.ms` | wall | a request is sent | closes the connection; all its requests fail, oldest first |
//! | `reconnect.backoff.ms` | wall | connection lost | no connecting before; drawn once per failure |
//! | `socket.connection.setup.timeout.ms` | wall | connecting | gives the attempt up; doubles |
//! | `connections.max.idle.ms` | monotonic | last input or output | closes the oldest idle connection, one per poll |
//! | `metadata.max.age.ms` | wall | full update | metadata are asked for |
//! | `retry.backoff.ms` of metadata | wall | any answer or failure | no asking before |
//! | `metadata.recovery.rebootstrap.trigger.ms` | wall | first try without answer | starts from the bootstrap servers |
//!
//! A client's thread waits in a select. What wakes it (bytes, a timer, another thread) makes it look at everything
//! in the order of `NetworkClient.poll`: sends done, answers, disconnections, connections, set-up time-outs, request
//! time-outs, rebootstrap, and then all callbacks in that order. Time-outs are noticed only when it wakes.

mod backoff;
mod connection;
mod environment;
mod errors;
mod least_loaded;
mod metadata;
mod network_client;
mod poll;
mod settings;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod updater;

pub use backoff::ExponentialBackoff;
pub use connection::{ConnectionState, Node};
pub use environment::Environment;
pub use errors::{is_invalid_metadata, is_retriable};
pub use least_loaded::Survey;
pub use metadata::{CachedPartition, LeaderAndEpoch, Metadata};
pub use network_client::{Completed, Limits, NetworkClient, Outcome, SocketEvent};
pub use settings::ClientSettings;
pub use updater::MetadataUpdater;

pub(crate) use backoff::draw;
