//! What people write around a consumer: the application above `KafkaConsumer`, and its process.
//!
//! Poll; commit, if it commits before; process each record for a drawn while and have a sink take effect of it
//! ([`work`]); commit, if it commits after, then or behind every n-th poll ([`progress`]); and
//! again. Records can fail ([`failures`]). A client that throws ends the
//! application, which closes the client. How long all that may take, judges ask [`effort`]. What the application sees
//! of the client beneath it is a [`ConsumerClient`].
//! Work can also be that of a worker thread beside the one that polls ([`worker`]).
//! Whether it has to end it sees after each poll (no `wakeup`). What sinks keep survives it ([`Outside`]).

mod client;
mod effort;
mod failures;
mod letters;
mod listener;
mod outside;
mod process;
mod progress;
mod records;
#[cfg(test)]
mod tests;
mod work;
mod worker;

pub(crate) use client::{Callback, ConsumerClient, Event, Positions, Returned, Woken};
pub use outside::Outside;
pub use process::{Consumer, Process};
