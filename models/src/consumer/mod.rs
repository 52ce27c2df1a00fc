//! A Java consumer of a group: `ClassicKafkaConsumer` with `subscribe`, the classic protocol; that of the consumer
//! protocol is in [`asynchronous`]. The application above it is in [`crate::application`].
//!
//! Two lanes: the application's thread polls, commits and processes; the heartbeat thread ([`heartbeat_thread`]) keeps
//! the membership. They share the network, which one of them uses at a time: while the application waits in a select
//! the heartbeat thread waits for it ([`thread`]). What the application's thread calls and where it waits is in [`calls`], joining in
//! [`rebalance`], answers in [`answers`], commits in [`commits`], committed positions in [`committed`]; fetching is
//! that of [`crate::reader`].
//!
//! | timer | clock | starts | ends |
//! |---|---|---|---|
//! | `poll` | wall | the call | records are there |
//! | `default.api.timeout.ms` | wall | commitSync | TimeoutException |
//! | JoinGroup's time-out | wall | it is sent | `max.poll.interval.ms` + 5 s, or `request.timeout.ms` if that is longer |
//! | `auto.commit.interval.ms` | wall | an assignment, a commit | the next poll commits |
//! | `retry.backoff.ms` | wall | a request failed | again; doubles with jitter |
//! | close | wall | the call | after 30 s it ends without its answers |
//!
//! A listener that commits does so inside of `poll` or `close`, which wait for it. What it does not: subscriptions by
//! pattern or that change, interceptors, `wakeup`.

mod answers;
pub mod assignor;
pub mod asynchronous;
mod calls;
mod commits;
mod committed;
mod either;
mod exception;
mod heartbeat;
mod heartbeat_thread;
mod member;
mod metadata_snapshot;
mod rebalance;
mod slots;
#[cfg(test)]
mod tests;
mod thread;
mod timer;

pub use asynchronous::AsyncConsumer;
pub use either::KafkaConsumer;
pub(crate) use exception::Exception;
pub use thread::ClassicConsumer;
