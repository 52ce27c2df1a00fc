//! The judges are judged: short courses of a cluster, good and bad, with the verdict they deserve.

mod court;
mod durability;
mod groups;
mod liveness;
mod log;
mod ordering;
mod replication;
