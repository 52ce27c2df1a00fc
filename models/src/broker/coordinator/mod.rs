//! The coordinator runtime (`CoordinatorRuntime`): state machines whose state is a partition of an internal topic.
//!
//! Generic over the state machine ([`Shard`]) and over the broker around it ([`Host`]).
//!
//! | state | becomes | when |
//! |---|---|---|
//! | Initial | Loading | this broker was elected leader |
//! | Loading | Active | the partition was read to the end of the log, uncommitted records too |
//! | Loading | Failed | this broker led no longer, or its disk failed |
//! | Active | Failed, then Loading | an append landed elsewhere than expected |
//! | Failed | Loading | elected again |
//! | any | Closed, gone | another broker was elected, in a later epoch |
//!
//! While Loading everything is refused COORDINATOR_LOAD_IN_PROGRESS, where there is no coordinator NOT_COORDINATOR.
//!
//! A *write*: the shard says which records follow and what the answer is; the records are applied to the shard and
//! gathered in a batch; the batch is appended to the partition (acks=1: `min.insync.replicas` refuses nothing here,
//! but it holds the high watermark back); the answer waits until the high watermark has passed them. A write without
//! records waits for the records before it. A *read* sees what is committed and waits for nothing.
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | the append is refused | the shard goes back to where the batch began; all its operations fail |
//! | `offsets.commit.timeout.ms` passes (monotonic) | the operation fails; **its records stay**, in the log and in the shard |
//! | another leader is elected | operations that wait fail with NOT_COORDINATOR; whoever leads reads what is in the log |
//!
//! The high watermark is listened to from Active on, and not asked for then: what it reached between the end of
//! reading and that moment is noticed with its next move only. Until then reads see an older state, and writes without
//! records wait in vain.
//!
//! Batches are appended when `group.coordinator.append.linger.ms` (monotonic) is over; with -1 once everything is done
//! that had been asked of the partition when the batch began.
//!
//! Threads (`MultiThreadedEventProcessor`, `EventAccumulator`): each takes an event of a partition on which no other
//! thread works, a partition drawn from those that have some; events of one partition run in order, high watermarks
//! first.
//!
//! A partition whose log is empty is Active at once: Kafka loads it in no time. So the partitions of an internal topic
//! that nobody uses cost nothing.

mod accumulator;
mod context;
mod host;
mod load;
mod runtime;
mod shard;
#[cfg(test)]
mod tests;
mod timers;
mod write;

pub use context::{CoordinatorContext, CoordinatorState};
pub use host::{Appended, Host, LoadedBatch};
pub use runtime::{Asker, CoordinatorRuntime};
pub use shard::Shard;
