//! Every setting of Kafka 4.3: name, type, default, range, scope, and what became of it here.

pub mod catalogue;
mod effective;
mod nearest;
mod place;
mod problem;
pub mod properties;
pub mod value;
mod view;

pub use effective::{Effective, RELEASE, Values};
pub use nearest::nearest;
pub use place::{Origin, Place};
pub use problem::{ConfigError, Refusal, Warning};
pub use view::{
    Acks, BrokerSettings, CleanupPolicy, Compression, ControllerSettings, IsolationLevel,
    MetadataRecoveryStrategy, Millionths, Partitioner, ProducerSettings, ReaderSettings, ReplicaSelector,
    TimestampType, TopicSettings,
};
