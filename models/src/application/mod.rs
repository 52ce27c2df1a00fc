//! What people write around a consumer: the application above `KafkaConsumer`, and its process.
//!
//! Poll; commit, if it commits before; process each record for a drawn while; commit, if it commits after; and again. A
//! client that throws ends the application, which closes the client. What the application sees of the client beneath it
//! is a [`ConsumerClient`]. Whether it has to end it sees after each poll (no `wakeup`).

mod client;
mod process;
mod records;

pub(crate) use client::{ConsumerClient, Positions, Returned, Woken};
pub use process::{Consumer, Process};
