//! A broker's logs: loading at the start, background tasks, checkpoints, the failure of the disk (`LogManager`,
//! `ReplicaManager.checkpointHighWatermarks`, `LogDirFailureHandler`).
//!
//! | task | first run | then every | clock |
//! |---|---|---|---|
//! | high watermarks to their file | first publication | `replica.high.watermark.checkpoint.interval.ms` | monotonic |
//! | recovery points | `log.initial.task.delay.ms` after loading | `log.flush.offset.checkpoint.interval.ms` | monotonic |
//! | log starts | the same | `log.flush.start.offset.checkpoint.interval.ms` | monotonic |
//! | flusher: logs unflushed for `flush.ms` (wall) | the same | `log.flush.scheduler.interval.ms` | monotonic |
//! | retention | the same | `log.retention.check.interval.ms` | monotonic; ages: wall |
//! | producer ids that expire | `producer.id.expiration.check.interval.ms` after loading | the same | monotonic |
//! | flush of what lies before a rolled segment | at the roll | | |
//!
//! A broker has one log directory: its first failed write takes all partitions offline and ends the process.

use ktrial_sim::{Context, Duration, FileId, Identity, TimerSlot};

use crate::broker::{Broker, slots};
use crate::ids::{Offset, PartitionId, ServerId};
use crate::kafka::{Kafka, document, site};
use crate::log::{self, Log, StorageError};
use crate::notes::{Note, Phase};
use crate::specification::ClusterSpecification;

const MEBIBYTE: u64 = 1 << 20;

/// How long a flush of one log takes on this broker's disk.
#[derive(Clone, Copy, Debug)]
pub struct FlushTimes {
    server: ServerId,
    least: Duration,
    most: Duration,
}

impl FlushTimes {
    /// Those of the capacity model.
    pub fn new(server: ServerId, specification: &ClusterSpecification) -> Self {
        let (least, most) = specification.capacity.flush;
        FlushTimes { server, least, most }
    }

    /// The time of the flush of a partition's log up to `to`.
    pub fn draw(&self, partition: PartitionId, to: Offset, context: &mut Context<'_, Kafka>) -> Duration {
        let who = Identity(u64::from(self.server.0) << 32 | u64::from(partition.0), to.0);
        let spread = self.most.saturating_sub(self.least).0;
        let base = Duration(self.least.0 + context.draw_below(site::DISK, who, spread + 1));
        base.saturating_mul(u64::from(context.disk().health.slowness.max(1)))
    }
}

impl Broker {
    /// Loads every log that the metadata assigns to this broker; others are stray and stay as they are. The
    /// threads of `num.recovery.threads.per.data.dir` share the work.
    pub(super) fn load_logs(&mut self, context: &mut Context<'_, Kafka>) {
        context.note(Note::Phase(Phase::Recovering));
        // Deleted before anything is loaded, so that a crash while loading counts as one (KAFKA-10471).
        context.disk().delete_document(document::CLEAN_SHUTDOWN);
        let files: Vec<FileId> = context.disk().existing_ids().filter(|file| file.0 > 0).collect();
        let mut threads =
            vec![0u64; self.specification.broker.num_recovery_threads_per_data_dir.max(1) as usize];
        for file in files {
            let id = PartitionId(file.0 - 1);
            let registration = self.image.partition(id);
            if !registration.is_some_and(|partition| partition.replicas.contains(&self.id)) {
                continue;
            }
            let loaded = Log::load(
                id,
                self.topic_settings(id),
                self.specification.broker.producer_id_expiration_ms,
                self.specification.mutations,
                self.clean_start,
                context,
            );
            let Ok(loaded) = loaded else {
                self.disk_failed(context);
                return;
            };
            *threads.iter_mut().min().expect("there is a thread") += loaded.bytes_read;
            if loaded.log.has_unwritten_epochs() {
                self.write_epochs_later(id, context);
            }
            self.loaded_logs.insert(id, loaded.log);
        }
        let bytes = threads.into_iter().max().expect("there is a thread");
        let per_mib = u128::from(self.specification.capacity.recovery_per_mib.0);
        let took = (per_mib * u128::from(bytes) / u128::from(MEBIBYTE)) as u64;
        let slowness = u64::from(context.disk().health.slowness.max(1));
        context.set_timer(slots::PUBLISHER, Duration(took).saturating_mul(slowness));
    }

    /// The logs are loaded: background work begins (`LogManager.startupWithConfigOverrides`,
    /// `ReplicaManager.startup`).
    pub(super) fn start_background(&mut self, context: &mut Context<'_, Kafka>) {
        let settings = &self.specification.broker;
        context.set_timer(slots::ISR_EXPIRATION, Duration::ZERO);
        for task in [slots::RETENTION, slots::RECOVERY_POINTS, slots::LOG_STARTS] {
            context.set_timer(task, settings.log_initial_task_delay_ms);
        }
        if settings.log_flush_scheduler_interval_ms < Duration::FOREVER {
            context.set_timer(slots::FLUSHER, settings.log_initial_task_delay_ms);
        }
        context.set_timer(
            slots::PRODUCER_EXPIRATION,
            settings.producer_id_expiration_check_interval_ms,
        );
    }

    /// A task runs again after its period; one without a period ran once (`KafkaScheduler.schedule`).
    pub(super) fn again(task: TimerSlot, period: Duration, context: &mut Context<'_, Kafka>) {
        if period > Duration::ZERO {
            context.set_timer(task, period);
        }
    }

    pub(super) fn stop_background(context: &mut Context<'_, Kafka>) {
        for task in [
            slots::ISR_EXPIRATION,
            slots::HIGH_WATERMARKS,
            slots::RETENTION,
            slots::RECOVERY_POINTS,
            slots::LOG_STARTS,
            slots::FLUSHER,
            slots::PRODUCER_EXPIRATION,
        ] {
            context.clear_timer(task);
        }
    }

    pub(super) fn checkpoint_high_watermarks(&mut self, context: &mut Context<'_, Kafka>) {
        let logs = self.partitions.iter().map(|(_, partition)| partition.log());
        if log::checkpoint_high_watermarks(logs, context).is_err() {
            self.disk_failed(context);
        }
    }

    pub(super) fn checkpoint_recovery_points(&mut self, context: &mut Context<'_, Kafka>) {
        let logs = self.partitions.iter().map(|(_, partition)| partition.log());
        if log::checkpoint_recovery_points(logs, context).is_err() {
            self.disk_failed(context);
        }
    }

    pub(super) fn checkpoint_log_starts(&mut self, context: &mut Context<'_, Kafka>) {
        let logs = self.partitions.iter().map(|(_, partition)| partition.log());
        if log::checkpoint_log_starts(logs, context).is_err() {
            self.disk_failed(context);
        }
    }

    /// `LogManager.cleanupLogs`. Logs that are compacted are the cleaner's.
    pub(super) fn clean_up_logs(&mut self, context: &mut Context<'_, Kafka>) {
        for index in 0..self.image.partition_numbers() {
            let id = PartitionId(index);
            let Some(partition) = self.partitions.get_mut(id) else {
                continue;
            };
            let log = partition.log_mut();
            if log.is_offline() || log.settings().cleanup_policy.compact {
                continue;
            }
            let deleted = log.delete_old_segments(context);
            let unwritten_epochs = log.has_unwritten_epochs();
            match deleted {
                Ok(deleted) => {
                    if let Some(below) = deleted.rolled {
                        self.flush_in_background(id, below, context);
                    }
                    if unwritten_epochs {
                        self.write_epochs_later(id, context);
                    }
                }
                Err(StorageError) => return self.disk_failed(context),
            }
        }
    }

    /// `LogManager.flushDirtyLogs`: logs that were not flushed for `flush.ms`, by anybody. Where there is nothing to
    /// flush the time runs on, so the first record after a pause is flushed by the next look.
    pub(super) fn flush_dirty_logs(&mut self, context: &mut Context<'_, Kafka>) {
        let now = context.wall();
        for index in 0..self.image.partition_numbers() {
            let id = PartitionId(index);
            let Some(partition) = self.partitions.get(id) else {
                continue;
            };
            let log = partition.log();
            let (end, due) = (log.end(), log.settings().flush_ms.as_millis());
            let unflushed = now.millis().saturating_sub(log.last_flush().millis());
            if unflushed >= due && end > log.recovery_point() {
                self.flush_in_background(id, end, context);
            }
        }
    }

    /// A background task brings a log to the platter up to `to`.
    pub(super) fn flush_in_background(
        &mut self,
        id: PartitionId,
        to: Offset,
        context: &mut Context<'_, Kafka>,
    ) {
        let free = self.flushes.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.flushes.push(None);
            self.flushes.len() - 1
        });
        self.flushes[slot] = Some((id, to));
        let after = self.flush.draw(id, to, context);
        context.alarm(slots::FLUSHED | slot as u32, after);
    }

    pub(super) fn flushed_in_background(&mut self, slot: usize, context: &mut Context<'_, Kafka>) {
        let (id, to) = self.flushes[slot].take().expect("the flush was under way");
        if let Some(partition) = self.partitions.get_mut(id)
            && partition.log_mut().flush(to, context).is_err()
        {
            self.disk_failed(context);
        }
    }

    /// `leader-epoch-cache-flush`: what a truncation leaves to a background task.
    pub(super) fn write_epochs_later(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) {
        let after = self.flush.draw(id, Offset(u64::MAX), context);
        context.alarm(slots::EPOCHS | id.0, after);
    }

    pub(super) fn write_epochs(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) {
        if let Some(partition) = self.partitions.get_mut(id)
            && partition.log().has_unwritten_epochs()
            && context.disk().health.refuses.is_none()
        {
            partition.log_mut().write_epochs(context);
        }
    }

    pub(super) fn expire_producers(&mut self, context: &mut Context<'_, Kafka>) {
        for (_, partition) in self.partitions.iter_mut() {
            partition.log_mut().remove_expired_producers(context);
        }
    }

    /// A write failed: the only log directory is offline, and with it the broker (`handleLogDirFailure`).
    pub(super) fn disk_failed(&mut self, context: &mut Context<'_, Kafka>) {
        if std::mem::replace(&mut self.log_directory_failed, true) {
            return;
        }
        for (_, partition) in self.partitions.iter_mut() {
            partition.log_mut().fail(context);
        }
        let passage = u64::from(self.id.0) << 32 | u64::from(context.incarnation());
        match context.cut(crate::cuts::LOG_DIRECTORY_FAILED, passage) {
            Some(open) => context.alarm(slots::HALT, open),
            None => self.exits = Some("all log directories have failed"),
        }
    }
}
