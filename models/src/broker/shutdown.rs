//! An orderly stop (`BrokerServer.shutdown`, `LogManager.shutdown`).
//!
//! | stage | what happens | ends by |
//! |---|---|---|
//! | Asking | the controller moves leaderships away; everything is served meanwhile | its consent, or five minutes |
//! | Draining | the port is closed, connections too; the queue of requests is emptied, those in hand run to their end | the last handler |
//! | Flushing | fetchers, purgatories and channels stop, high watermarks are written; logs are flushed | the disk |
//! | Stopped | snapshots, checkpoints, and last of all the clean-shutdown file | |
//!
//! Killed before the last act, the stop was not clean. A process that has not yet come to serve stops at once and
//! writes nothing (`KafkaServer.maybeChangeStatus`), so its next start counts as unclean.

use ktrial_sim::{Context, Duration};

use crate::broker::{Broker, slots};
use crate::documents::Document;
use crate::ids::PartitionId;
use crate::kafka::{Kafka, document};
use crate::log;
use crate::notes::{Note, Phase};
use crate::protocol::BROKER_PORT;

/// How long the controller is asked in all (`Server.shutdown`'s default).
const CONTROLLED_SHUTDOWN: Duration = Duration::secs(300);

/// Where a stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Nobody asked for one.
    None,
    /// The controller is asked.
    Asking,
    /// Requests in hand run to their end.
    Draining,
    /// Logs are flushed.
    Flushing,
    /// Done.
    Stopped,
}

impl Broker {
    pub(super) fn stopping(&self) -> bool {
        self.stop > Stop::Asking
    }

    pub(super) fn begin_stop(&mut self, context: &mut Context<'_, Kafka>) {
        if self.stop != Stop::None {
            return;
        }
        if !self.serving {
            self.stop = Stop::Stopped;
            return;
        }
        context.note(Note::Phase(Phase::ShuttingDown));
        self.stop = Stop::Asking;
        if !self.specification.broker.controlled_shutdown_enable {
            self.drain(context);
            return;
        }
        self.in_controlled_shutdown = true;
        if self.lifecycle.begin_controlled_shutdown(context) {
            context.set_timer(slots::SHUTDOWN, CONTROLLED_SHUTDOWN);
        } else {
            self.drain(context);
        }
    }

    /// The controller agrees, or is not waited for any longer.
    pub(super) fn drain(&mut self, context: &mut Context<'_, Kafka>) {
        if self.stop != Stop::Asking {
            return;
        }
        self.stop = Stop::Draining;
        context.clear_timer(slots::SHUTDOWN);
        self.lifecycle.shut_down(context);
        context.stop_listening(BROKER_PORT);
        context.clear_timer(slots::IDLE);
        for connection in self.accepted.drain() {
            context.close(connection);
        }
        self.handlers.stop_taking();
        context.clear_timer(slots::PUBLISHER);
        self.handlers_idle(context);
    }

    /// A handler is free: the last one lets a stop go on.
    pub(super) fn handlers_idle(&mut self, context: &mut Context<'_, Kafka>) {
        if self.stop == Stop::Draining && self.in_hand.iter().all(Option::is_none) {
            self.flush_all(context);
        }
    }

    fn flush_all(&mut self, context: &mut Context<'_, Kafka>) {
        self.stop = Stop::Flushing;
        Self::stop_background(context);
        self.alter.shut_down(context);
        self.forwarding.shut_down(context);
        self.assignments.shut_down(context);
        self.shut_down_fetchers(context);
        self.shut_down_coordinators(context);
        self.parked_fetches.clear();
        self.parked_produce.clear();
        context.clear_timer(slots::PURGATORY);
        self.checkpoint_high_watermarks(context);
        let mut threads =
            vec![Duration::ZERO; self.specification.broker.num_recovery_threads_per_data_dir.max(1) as usize];
        for (id, partition) in self.partitions.iter() {
            let end = partition.log().end();
            if end > partition.log().recovery_point() {
                let took = self.flush.draw(id, end, context);
                let thread = threads.iter_mut().min().expect("there is a thread");
                *thread = thread.saturating_add(took);
            }
        }
        let longest = threads.into_iter().max().expect("there is a thread");
        context.set_timer(slots::STOPPING, longest);
    }

    /// The logs are on the platter.
    pub(super) fn flushed_all(&mut self, context: &mut Context<'_, Kafka>) {
        self.stop = Stop::Stopped;
        if self.close_logs(context).is_err() {
            // Not a clean stop: the marker is missing. The process ends all the same.
            return;
        }
        let epoch = self.lifecycle.epoch().unwrap_or_default();
        context
            .disk()
            .write_document(document::CLEAN_SHUTDOWN, Document::CleanShutdown(epoch));
    }

    fn close_logs(&mut self, context: &mut Context<'_, Kafka>) -> Result<(), log::StorageError> {
        for index in 0..self.image.partition_numbers() {
            if let Some(partition) = self.partitions.get_mut(PartitionId(index)) {
                partition.log_mut().close(context)?;
            }
        }
        let logs = || self.partitions.iter().map(|(_, partition)| partition.log());
        log::checkpoint_recovery_points(logs(), context)?;
        log::checkpoint_log_starts(logs(), context)
    }
}
