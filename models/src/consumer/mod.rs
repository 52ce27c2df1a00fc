//! Consumers of groups: `ClassicKafkaConsumer` with `subscribe`.

pub mod assignor;
