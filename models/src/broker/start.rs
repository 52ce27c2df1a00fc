//! The start of a broker's process, up to the wish to be unfenced (`BrokerServer.startup`).

use std::sync::Arc;

use ktrial_sim::{Context, Duration, Identity};

use crate::broker::lifecycle::Lifecycle;
use crate::broker::{Broker, slots};
use crate::documents::Document;
use crate::ids::{BrokerEpoch, DirectoryId, IncarnationId};
use crate::kafka::{Kafka, METADATA_LOG, document, site};
use crate::metadata::MetadataRecord;
use crate::mutation::Mutation;
use crate::notes::{Note, Phase};
use crate::protocol::BrokerRegistrationRequest;
use crate::socket;

impl Broker {
    /// The process starts; everything comes from the disk and the metadata log.
    pub fn start(&mut self, context: &mut Context<'_, Kafka>) {
        let specification = Arc::clone(&self.specification);
        *self = Broker::new(self.id, Arc::clone(&specification));
        context.note(Note::Phase(Phase::CatchingUp));
        let buffer = specification.broker.socket_receive_buffer_bytes;
        context.set_receive_buffer(socket::receive_buffer(buffer));
        let previous_epoch = self.previous_epoch(context);
        self.clean_start = context.disk().document(document::CLEAN_SHUTDOWN).is_some();
        let who = Identity(u64::from(self.id.0), u64::from(context.incarnation()));
        let directory = Self::directory(context);
        self.assignments.start(directory);
        let registration = BrokerRegistrationRequest {
            broker: self.id,
            incarnation: IncarnationId(context.draw(site::UUID, who)),
            rack: specification.servers[usize::from(self.id.0) - 1].rack,
            directory,
            previous_epoch,
        };
        self.lifecycle = Lifecycle::new(registration, &specification);
        let timeout = specification.broker.initial_broker_registration_timeout_ms;
        self.lifecycle.start(timeout, context);
        self.settle(context);
    }

    /// The epoch in the clean-shutdown file.
    fn previous_epoch(&self, context: &mut Context<'_, Kafka>) -> Option<BrokerEpoch> {
        if self.specification.mutations.has(Mutation::ClaimCleanShutdown) {
            return self.last_known_epoch(context);
        }
        match context.disk().document(document::CLEAN_SHUTDOWN) {
            Some(Document::CleanShutdown(epoch)) => Some(*epoch),
            _ => None,
        }
    }

    /// The newest registration of this broker in its copy of the metadata log.
    fn last_known_epoch(&self, context: &mut Context<'_, Kafka>) -> Option<BrokerEpoch> {
        let (disk, arena) = context.disk_and_arena();
        let batches = disk.file(METADATA_LOG).entries().iter().rev();
        batches
            .flat_map(|entry| arena.metadata(entry.metadata().records))
            .find_map(|record| match record {
                MetadataRecord::RegisterBroker { broker, epoch, .. } if *broker == self.id => Some(*epoch),
                _ => None,
            })
    }

    /// The id in `meta.properties`, which is there: this process has read it for the metadata log already.
    fn directory(context: &mut Context<'_, Kafka>) -> DirectoryId {
        match context.disk().document(document::META_PROPERTIES) {
            Some(Document::MetaProperties(directory)) => *directory,
            other => unreachable!("the disk of a server that runs is formatted: {other:?}"),
        }
    }

    /// The first publication is done: checkpoints of high watermarks begin, and the fence may go.
    pub(super) fn first_published(&mut self, context: &mut Context<'_, Kafka>) {
        context.set_timer(slots::HIGH_WATERMARKS, Duration::ZERO);
        self.maybe_ready(context);
    }

    pub(super) fn maybe_ready(&mut self, context: &mut Context<'_, Kafka>) {
        if self.caught_up && self.publisher.has_published() {
            self.lifecycle.ready_to_unfence(context);
        }
    }
}
