//! Apache Kafka as state machines. Nothing here knows the scheduler.

#![deny(
    clippy::float_arithmetic,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

pub mod config;
pub mod history;
