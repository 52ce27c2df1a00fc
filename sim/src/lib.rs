//! The simulation engine: time, chance, connections, disks and clocks. Nothing here knows Kafka.

#![deny(
    clippy::float_arithmetic,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

mod chance;
mod clock;
mod context;
mod delivery;
mod digest;
mod disk;
mod event;
mod fault;
mod kernel;
mod machine;
mod network;
mod node;
mod queue;
mod repeat;
mod simulation;
mod slab;
mod time;
mod timers;
mod told;
mod trace;
mod transport;

pub use chance::{Chance, Identity, Sequence, Site};
pub use clock::Clock;
pub use context::Context;
pub use digest::Digest;
pub use disk::{Disk, DiskError, DiskHealth, DocumentId, Entry, File, FileId, PowerLoss};
pub use event::EventId;
pub use fault::{ArmedCut, Crash, Hold, HoldId};
pub use kernel::Counters;
pub use machine::Status;
pub use network::{
    ConnectionId, FIRST_RETRANSMISSION, FIRST_SYN_RETRANSMISSION, LINEAR_SYN_RETRANSMISSIONS,
    LONGEST_RETRANSMISSION, Link, ORPHAN_RETRANSMISSIONS, RETRANSMISSIONS, SEGMENT_BOOKKEEPING,
    SYN_RETRANSMISSIONS,
};
pub use node::{Arena, Closure, Input, Message, Node, NodeId, Port, Protocol, TimerSlot};
pub use queue::Queue;
pub use repeat::{Divergence, Footprint, run_twice};
pub use simulation::{Director, Simulation, Unattended};
pub use time::{Duration, Time};
pub use trace::Trace;
