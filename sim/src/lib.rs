//! The simulation engine: time, chance, connections, disks and clocks. Nothing here knows Kafka.

#![deny(
    clippy::float_arithmetic,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

mod time;

pub use time::{Duration, Time};
