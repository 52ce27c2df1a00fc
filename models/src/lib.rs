//! Apache Kafka as state machines. Nothing here knows the scheduler.

#![deny(
    clippy::float_arithmetic,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

pub mod application;
pub mod broker;
pub mod client;
pub mod config;
pub mod consumer;
pub mod controller;
pub mod cuts;
pub mod documents;
pub mod groups;
pub mod history;
pub mod ids;
pub mod invariants;
pub mod kafka;
pub mod log;
pub mod metadata;
pub mod mutation;
pub mod notes;
pub mod operator;
pub mod probe;
pub mod producer;
pub mod protocol;
pub mod raft;
pub mod reader;
pub mod records;
pub mod server;
mod socket;
pub mod specification;
