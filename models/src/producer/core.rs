//! What the two threads of one producer's process share.

use std::collections::VecDeque;

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use super::accumulator::Accumulator;
use super::batch::BatchId;
use super::sender::Phase;
use super::still::Still;
use super::transactions::TransactionManager;
use crate::client::{ClientSettings, Metadata, NetworkClient, SocketEvent};
use crate::config::ProducerSettings;
use crate::mutation::Mutations;
use crate::specification::ProducerSpecification;

/// What a request of a producer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A Produce, by its number in [`Core::requests`].
    Produce(u32),
    /// An InitProducerId.
    InitProducerId,
}

/// `KafkaProducer` with its `Sender`.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) settings: ProducerSettings,
    pub(super) topic: u16,
    pub(super) mutations: Mutations,
    pub(super) metadata: Metadata,
    pub(super) network: NetworkClient<Token>,
    pub(super) accumulator: Accumulator,
    /// None without idempotence.
    pub(super) transactions: Option<TransactionManager>,
    /// Batches of each Produce on its way.
    pub(super) requests: Vec<SmallVec<[BatchId; 2]>>,
    pub(super) free_requests: Vec<u32>,
    /// `Sender.inFlightBatches`: by partition, in order of draining.
    pub(super) in_flight: Vec<VecDeque<BatchId>>,
    /// What the select will find.
    pub(super) inbox: VecDeque<SocketEvent>,
    pub(super) phase: Phase,
    /// When the select ends by itself, on the monotonic clock.
    pub(super) select_until: Time,
    /// What a turn without news comes to; none: that is to be found out.
    pub(super) still: Option<Still>,
    /// The thread is late: what else it finds when it looks is still being handed to it.
    pub(super) gathering: bool,
    /// `close` was called.
    pub(super) closing: bool,
    /// The sender's thread has ended.
    pub(super) ended: bool,
    pub(super) pending: u32,
    pub(super) passages: u64,
    pub(super) round_robin: u32,
}

impl Core {
    pub(super) fn new(specification: &ProducerSpecification, mutations: Mutations) -> Self {
        let settings = specification.settings.clone();
        let client = ClientSettings::from(&settings);
        Core {
            topic: specification.topic,
            mutations,
            metadata: Metadata::new(client, specification.bootstrap.clone()),
            network: NetworkClient::new(client),
            accumulator: Accumulator::new(&settings, specification.topic),
            transactions: settings.enable_idempotence.then(TransactionManager::new),
            requests: Vec::new(),
            free_requests: Vec::new(),
            in_flight: Vec::new(),
            inbox: VecDeque::new(),
            phase: Phase::Selecting,
            select_until: Time::NEVER,
            still: None,
            gathering: false,
            closing: false,
            ended: false,
            pending: 0,
            passages: 0,
            round_robin: 0,
            settings,
        }
    }

    /// Whether order is kept by muting partitions.
    pub(super) fn guarantees_order(&self) -> bool {
        self.settings.max_in_flight_requests_per_connection == 1
    }

    /// The lesser of two waits of which one may be endless.
    pub(super) fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
        match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    pub(super) fn in_flight(&mut self, index: u32) -> &mut VecDeque<BatchId> {
        let index = index as usize;
        if index >= self.in_flight.len() {
            self.in_flight.resize_with(index + 1, VecDeque::new);
        }
        &mut self.in_flight[index]
    }

    pub(super) fn remove_in_flight(&mut self, batch: BatchId) {
        let index = self.accumulator.batches.get(batch).index;
        self.in_flight(index).retain(|other| *other != batch);
    }
}
