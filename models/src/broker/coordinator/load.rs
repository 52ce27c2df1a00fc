//! Taking partitions over and giving them up (`CoordinatorLoaderImpl`, `scheduleLoadOperation`,
//! `scheduleUnloadOperation`).
//!
//! One loader thread reads one partition after the other. It reads to the end of the log, beyond the high watermark:
//! what the leader before has written and nobody has committed yet is applied, and becomes committed with the rest
//! when the high watermark moves.

use crate::broker::coordinator::context::{CoordinatorContext, CoordinatorState};
use crate::broker::coordinator::runtime::{CoordinatorRuntime, Event, Task};
use crate::broker::coordinator::{Host, LoadedBatch, Shard};
use crate::ids::{LeaderEpoch, PartitionId};
use crate::mutation::Mutation;
use crate::notes::{CoordinatorNote, Note};
use crate::protocol::ErrorCode;

impl<S: Shard> CoordinatorRuntime<S> {
    pub(super) fn load(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        epoch: LeaderEpoch,
        host: &mut impl Host,
    ) {
        if context.epoch >= Some(epoch) {
            return;
        }
        context.epoch = Some(epoch);
        // A coordinator that is active stays so: nobody else wrote to its log in between.
        if matches!(
            context.state,
            CoordinatorState::Initial | CoordinatorState::Failed
        ) {
            self.begin_load(partition, context, host);
        }
    }

    pub(super) fn begin_load(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        host: &mut impl Host,
    ) {
        context.state = CoordinatorState::Loading;
        context.shard = S::default();
        self.loads += 1;
        context.load = self.loads;
        let epoch = context.epoch.unwrap_or_default();
        host.note(Note::Coordinator(partition, CoordinatorNote::Loading(epoch)));
        self.loading.push_back((partition, context.load));
        if self.loading.len() == 1 {
            self.load_next(host);
        }
    }

    fn load_next(&mut self, host: &mut impl Host) {
        if let Some((partition, load)) = self.loading.front().copied() {
            let at = host.monotonic() + host.load_time(partition);
            self.timers.add(at, Task::Load(partition, load));
        }
    }

    /// The loader's thread has read a partition; what it read is applied at once, to the shard it was read for.
    /// Whichever coordinator the partition has by now hears that it was read: Kafka asks for no more than that
    /// (`CoordinatorContext.load`).
    pub(super) fn read(&mut self, partition: PartitionId, load: u32, host: &mut impl Host) {
        self.loading.pop_front();
        let batches = host.load(partition);
        let read = batches.is_some();
        let high_watermark = host.high_watermark(partition);
        let now = host.wall();
        let context = self.contexts.get_mut(partition);
        if let Some(context) = context.filter(|context| context.load == load) {
            for LoadedBatch { next, records } in batches.into_iter().flatten() {
                let skipped = next > high_watermark && host.mutations().has(Mutation::LoadToHighWatermark);
                let replayed = records.iter().filter(|_| !skipped);
                replayed.for_each(|record| context.shard.replay(record, now));
                context.written = next;
                context.shard.snapshot(next);
                context.committed = high_watermark.min(next);
                context.shard.committed(context.committed);
            }
        }
        self.events.add_last(partition, Event::Loaded(read));
        self.load_next(host);
    }

    pub(super) fn loaded(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        read: bool,
        host: &mut impl Host,
    ) {
        if context.state != CoordinatorState::Loading {
            return;
        }
        if !read {
            return self.fail_coordinator(partition, context, host);
        }
        context.state = CoordinatorState::Active;
        context.listening = true;
        let note = CoordinatorNote::Active {
            written: context.written,
            committed: context.committed,
        };
        host.note(Note::Coordinator(partition, note));
        self.with_shard(partition, context, host, |shard, around| shard.loaded(around));
    }

    pub(super) fn fail_coordinator(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        host: &mut impl Host,
    ) {
        context.state = CoordinatorState::Failed;
        self.empty(partition, context, host);
        host.note(Note::Coordinator(partition, CoordinatorNote::Failed));
    }

    pub(super) fn unload(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        host: &mut impl Host,
    ) {
        self.empty(partition, context, host);
        host.note(Note::Coordinator(partition, CoordinatorNote::Unloaded));
    }

    /// Fails what waits, and forgets (`CoordinatorContext.unload`).
    fn empty(&mut self, partition: PartitionId, context: &mut CoordinatorContext<S>, host: &mut impl Host) {
        context.listening = false;
        context.high_watermark = None;
        self.forget_timers(context);
        for (_, operations) in std::mem::take(&mut context.deferred) {
            for operation in operations {
                self.complete(
                    partition,
                    context,
                    operation,
                    Err(ErrorCode::NotCoordinator),
                    host,
                );
            }
        }
        if let Some(batch) = context.batch.take() {
            self.fail_batch(partition, context, batch, ErrorCode::NotCoordinator, host);
        }
        self.with_shard(partition, context, host, |shard, around| shard.unloaded(around));
        // What failed may have set some again.
        self.forget_timers(context);
        context.shard = S::default();
    }

    fn forget_timers(&mut self, context: &mut CoordinatorContext<S>) {
        for handle in std::mem::take(&mut context.timers).into_values() {
            self.timers.cancel(handle);
        }
    }
}
