//! The simulation engine: time, chance, connections, disks and clocks. Nothing here knows Kafka.

#![deny(
    clippy::float_arithmetic,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

mod chance;
mod clock;
mod digest;
mod disk;
mod fault;
mod kernel;
mod network;
mod node;
mod queue;
mod simulation;
mod time;
mod trace;

pub use chance::{Chance, Identity, Sequence, Site};
pub use clock::Clock;
pub use digest::Digest;
pub use disk::{Disk, DiskError, DiskHealth, DocumentId, Entry, File, FileId, PowerLoss};
pub use fault::{Crash, HoldId};
pub use kernel::{ArmedCut, Counters, EventId, Hold, Status};
pub use network::{
    ConnectionId, FIRST_RETRANSMISSION, FIRST_SYN_RETRANSMISSION, LONGEST_RETRANSMISSION, Link,
    RETRANSMISSIONS, SYN_RETRANSMISSIONS,
};
pub use node::{Arena, Closure, Input, Message, Node, NodeId, Port, Protocol, TimerSlot};
pub use queue::Queue;
pub use simulation::{Context, Director, Simulation, Unattended};
pub use time::{Duration, Time};
pub use trace::Trace;
