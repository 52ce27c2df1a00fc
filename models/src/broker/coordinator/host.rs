//! What the runtime needs of its broker (`PartitionWriter`, `CoordinatorLoader`, the clocks and timers).

use ktrial_sim::{Duration, Time};

use crate::broker::coordinator::Asker;
use crate::config::BrokerSettings;
use crate::groups::CoordinatorRecord;
use crate::ids::{Offset, PartitionId};
use crate::metadata::MetadataImage;
use crate::mutation::Mutations;
use crate::notes::Note;
use crate::protocol::{ErrorCode, Response};
use crate::specification::GroupConfigs;

/// Records that were appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset behind the last of them.
    pub next: Offset,
    /// How long the appending thread still has to wait for the disk (`flush.messages`), for each batch anew;
    /// followers and the high watermark are looked at behind that, in [`Host::finish_append`].
    pub flush: Option<Duration>,
}

/// A batch of the log as it is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedBatch {
    /// The offset behind its last record.
    pub next: Offset,
    /// What its records say.
    pub records: Vec<CoordinatorRecord>,
}

/// The broker around a runtime.
pub trait Host {
    /// The wall clock.
    fn wall(&self) -> Time;
    /// The monotonic clock.
    fn monotonic(&self) -> Time;
    /// The broker's settings and metadata.
    fn view(&self) -> (&BrokerSettings, &GroupConfigs, &MetadataImage);
    /// Deviations from Kafka.
    fn mutations(&self) -> Mutations;
    /// Which of so many partitions with events a free thread takes.
    fn choose(&mut self, among: usize) -> usize;
    /// Lets a thread work: it comes back with its number when the time is over.
    fn work(&mut self, thread: u16, wait: Option<Duration>);
    /// The runtime wants to be woken at this monotonic time.
    fn wake(&mut self, at: Time);
    /// Appends one batch with acks=1.
    ///
    /// # Errors
    /// Those of an append; nothing was appended.
    fn append(
        &mut self,
        partition: PartitionId,
        records: Vec<CoordinatorRecord>,
    ) -> Result<Appended, ErrorCode>;
    /// The second half of an append: the flush it waited for, the high watermark, whoever waits for records.
    fn finish_append(&mut self, partition: PartitionId, flush: bool);
    /// The largest batch a partition takes (`max.message.bytes`).
    fn max_batch_bytes(&self, partition: PartitionId) -> u32;
    /// How far a partition is committed.
    fn high_watermark(&self, partition: PartitionId) -> Offset;
    /// How long reading a partition takes.
    fn load_time(&mut self, partition: PartitionId) -> Duration;
    /// Reads a partition to its end; none if this broker does not lead it any more, or cannot read it.
    fn load(&mut self, partition: PartitionId) -> Option<Vec<LoadedBatch>>;
    /// Sends an answer.
    fn answer(&mut self, to: Asker, response: Response);
    /// Tells those who watch.
    fn note(&mut self, note: Note);
}
