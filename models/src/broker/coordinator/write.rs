//! Writing: batches, what waits for them, and what becomes of it.

use crate::broker::coordinator::context::{CoordinatorContext, CoordinatorState, OperationId, PendingBatch};
use crate::broker::coordinator::runtime::{CoordinatorRuntime, Event, Operation, Task};
use crate::broker::coordinator::{Host, Shard};
use crate::groups::{CoordinatorRecord, ResponseId, Written};
use crate::ids::{Offset, PartitionId};
use crate::mutation::Mutation;
use crate::notes::{CoordinatorNote, Note};
use crate::protocol::ErrorCode;

/// A batch's header.
const BATCH_OVERHEAD: u32 = 61;

impl<S: Shard> CoordinatorRuntime<S> {
    /// Applies and gathers what an operation writes (`CoordinatorContext.append`).
    pub(super) fn write(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        asker: Option<ResponseId>,
        written: Written<S::Append>,
        host: &mut impl Host,
    ) {
        let Written {
            records,
            response,
            append,
            replay,
        } = written;
        let operation = self.begin(Operation {
            asker,
            response,
            append,
            timeout: None,
        });
        if records.is_empty() {
            self.wait_for_pending(partition, context, operation, host);
        } else {
            self.gather(partition, context, operation, records, replay, host);
        }
        self.watch(partition, operation, host);
    }

    fn begin(&mut self, operation: Operation<S>) -> OperationId {
        self.operation_count += 1;
        let number = self.operation_count;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.operations.push((0, None));
            self.operations.len() as u32 - 1
        });
        self.operations[slot as usize] = (number, Some(operation));
        OperationId { slot, number }
    }

    /// An operation that is not over by now may wait for `offsets.commit.timeout.ms`.
    fn watch(&mut self, partition: PartitionId, id: OperationId, host: &mut impl Host) {
        let (number, operation) = &mut self.operations[id.slot as usize];
        if let Some(operation) = operation
            && *number == id.number
        {
            let after = host.view().0.offsets_commit_timeout_ms;
            let task = Task::Operation(partition, id);
            operation.timeout = Some(self.timers.add(host.monotonic() + after, task));
        }
    }

    /// An operation without records is over when everything before it is.
    fn wait_for_pending(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        operation: OperationId,
        host: &mut impl Host,
    ) {
        if let Some(batch) = &mut context.batch {
            batch.operations.push(operation);
        } else if context.committed < context.written {
            Self::defer(context, vec![operation]);
        } else {
            self.complete(partition, context, operation, Ok(()), host);
        }
    }

    fn defer(context: &mut CoordinatorContext<S>, mut operations: Vec<OperationId>) {
        match context.deferred.back_mut() {
            Some((offset, waiting)) if *offset == context.written => waiting.append(&mut operations),
            _ => context.deferred.push_back((context.written, operations)),
        }
    }

    fn gather(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        operation: OperationId,
        mut records: Vec<CoordinatorRecord>,
        replay: bool,
        host: &mut impl Host,
    ) {
        let most = host.max_batch_bytes(partition);
        let bytes: u32 = records.iter().map(CoordinatorRecord::bytes).sum();
        // What belongs together goes into one batch, if need be one of its own.
        if context
            .batch
            .as_ref()
            .is_some_and(|batch| batch.bytes + bytes > most)
            && let Err(error) = self.flush_batch(partition, context, host)
        {
            return self.complete(partition, context, operation, Err(error), host);
        }
        let now = host.wall();
        if context.batch.is_none() {
            self.open_batch(partition, context, host);
        }
        let batch = context.batch.as_mut().expect("it is open");
        if replay {
            records
                .iter()
                .for_each(|record| context.shard.replay(record, now));
        }
        batch.bytes += bytes;
        batch.records.append(&mut records);
        batch.operations.push(operation);
        let lingered = now.since(batch.since);
        let linger = host.view().0.group_coordinator_append_linger_ms;
        if linger.is_some_and(|linger| lingered >= linger) || batch.bytes >= most {
            // Who waits for it has been told.
            let _ = self.flush_batch(partition, context, host);
        }
    }

    fn open_batch(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        host: &mut impl Host,
    ) {
        context.batches += 1;
        let linger = match host.view().0.group_coordinator_append_linger_ms {
            None => {
                self.events.add_last(partition, Event::Flush(context.batches));
                None
            }
            Some(linger) if linger > ktrial_sim::Duration::ZERO => {
                let task = Task::Linger(partition, context.batches);
                Some(self.timers.add(host.monotonic() + linger, task))
            }
            Some(_) => None,
        };
        context.batch = Some(PendingBatch {
            base: context.written,
            records: Vec::new(),
            bytes: BATCH_OVERHEAD,
            since: host.wall(),
            operations: Vec::new(),
            linger,
        });
    }

    /// Appends what was gathered (`flushCurrentBatch`).
    ///
    /// # Errors
    /// Why it was not appended: the shard is back where the batch began, and its operations have failed.
    pub(super) fn flush_batch(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        host: &mut impl Host,
    ) -> Result<(), ErrorCode> {
        let Some(mut batch) = context.batch.take() else {
            return Ok(());
        };
        let expected = batch.base.plus(batch.records.len() as u64);
        let appended = match host.append(partition, std::mem::take(&mut batch.records)) {
            Ok(appended) => appended,
            Err(error) => {
                self.fail_batch(partition, context, batch, error, host);
                return Err(error);
            }
        };
        if let Some(flush) = appended.flush {
            self.flush = Some(self.flush.unwrap_or_default().saturating_add(flush));
        }
        if appended.flush.is_none() {
            host.finish_append(partition, false);
            self.appended = true;
        }
        if appended.next != expected {
            // The log is not where this coordinator believes it to be: it is read anew.
            self.fail_batch(partition, context, batch, ErrorCode::NotCoordinator, host);
            self.fail_coordinator(partition, context, host);
            self.begin_load(partition, context, host);
            return Err(ErrorCode::NotCoordinator);
        }
        context.written = appended.next;
        context.shard.snapshot(appended.next);
        if let Some(linger) = batch.linger {
            self.timers.cancel(linger);
        }
        if host.mutations().has(Mutation::AnswerBeforeCommit) {
            for operation in std::mem::take(&mut batch.operations) {
                self.complete(partition, context, operation, Ok(()), host);
            }
        }
        Self::defer(context, batch.operations);
        Ok(())
    }

    pub(super) fn fail_batch(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        batch: PendingBatch,
        error: ErrorCode,
        host: &mut impl Host,
    ) {
        context.shard.revert(batch.base);
        if let Some(linger) = batch.linger {
            self.timers.cancel(linger);
        }
        let to = batch.base;
        host.note(Note::Coordinator(
            partition,
            CoordinatorNote::RolledBack { to, error },
        ));
        for operation in batch.operations {
            self.complete(partition, context, operation, Err(error), host);
        }
    }

    /// The high watermark moved (`HighWatermarkListener`).
    pub(super) fn committed(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        host: &mut impl Host,
    ) {
        let Some(to) = context.high_watermark.take() else {
            return;
        };
        // Kafka throws (and logs) if it lies behind what was written, and so does nothing either.
        if context.state != CoordinatorState::Active || to > context.written {
            return;
        }
        self.committed_up_to(partition, context, to, host);
    }

    pub(super) fn committed_up_to(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        to: Offset,
        host: &mut impl Host,
    ) {
        context.committed = to;
        context.shard.committed(to);
        while context.deferred.front().is_some_and(|(offset, _)| *offset <= to) {
            let (_, operations) = context.deferred.pop_front().expect("there is one");
            for operation in operations {
                self.complete(partition, context, operation, Ok(()), host);
            }
        }
    }

    /// An operation is over, one way or the other. Only the first time counts.
    pub(super) fn complete(
        &mut self,
        partition: PartitionId,
        context: &mut CoordinatorContext<S>,
        id: OperationId,
        result: Result<(), ErrorCode>,
        host: &mut impl Host,
    ) {
        let (number, slot) = &mut self.operations[id.slot as usize];
        if *number != id.number {
            return;
        }
        let Some(operation) = slot.take() else {
            return;
        };
        self.free.push(id.slot);
        if let Some(timeout) = operation.timeout {
            self.timers.cancel(timeout);
        }
        if let Some(append) = operation.append {
            self.with_shard(partition, context, host, |shard, around| {
                shard.appended(append, result, around);
            });
        }
        match (operation.asker, operation.response, result) {
            (Some(asker), Some(response), Ok(())) => self.answer(asker, response, host),
            (Some(asker), _, Err(error)) => self.fail(asker, error, true, host),
            // The group answers when it comes to that.
            _ => {}
        }
    }
}
