//! What became of each send.

use ktrial_sim::{Duration, NodeId, Time};

use crate::config::Acks;
use crate::ids::{Offset, PartitionId, RecordId};
use crate::notes::FailureClass;
use crate::specification::ProducerSpecification;

/// What its application was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    #[default]
    Nothing,
    Success,
    Failure(FailureClass),
    /// Its process ended before it was told anything.
    Orphaned,
}

/// Where a record stands in a log: the place in the trial's arena tells it from any other batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Landing {
    pub(super) partition: PartitionId,
    pub(super) offset: Offset,
    /// Its number in the arena.
    pub(super) slot: u32,
}

/// One send.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Send {
    pub(super) sent: Time,
    pub(super) told: Told,
    /// Where a leader appended it last.
    pub(super) landed: Option<Landing>,
    /// Where it was committed last, and by which [`super::committed::Commit`] of its partition.
    pub(super) committed: Option<(Landing, u32)>,
    pub(super) committed_at: Time,
    pub(super) partition: Option<PartitionId>,
    /// How often it stands in the committed log now.
    pub(super) copies: u32,
    /// How often it stands in the final log.
    pub(super) found: u32,
    /// It was read.
    pub(super) read: bool,
    /// In the end it stands in the leader's log above the high watermark.
    pub(super) waits: bool,
    /// What is wrong with it was told already.
    pub(super) blamed: bool,
}

/// A producer: what it promises by its settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    pub(super) acks: Acks,
    pub(super) idempotent: bool,
    pub(super) one_at_a_time: bool,
    pub(super) patience: Duration,
    /// Since when its process has run undisturbed.
    pub(super) undisturbed: Time,
}

/// All sends of a trial.
#[derive(Debug, Default)]
pub(super) struct Sends {
    first: u16,
    clients: Vec<Client>,
    sends: Vec<Vec<Send>>,
}

/// What the answers of a request need beyond `delivery.timeout.ms`: scheduling, timers that read milliseconds.
const SLACK: Duration = Duration::secs(2);

impl Sends {
    pub(super) fn reset(&mut self, first: NodeId, producers: &[ProducerSpecification]) {
        self.first = first.0;
        self.clients.clear();
        self.clients.extend(producers.iter().map(|producer| {
            let settings = &producer.settings;
            let waits = settings.max_block_ms.saturating_add(settings.delivery_timeout_ms);
            Client {
                acks: settings.acks,
                idempotent: settings.enable_idempotence,
                one_at_a_time: settings.max_in_flight_requests_per_connection == 1 || settings.retries == 0,
                patience: waits.saturating_add(SLACK),
                undisturbed: Time::ZERO,
            }
        }));
        self.sends.iter_mut().for_each(Vec::clear);
        self.sends.resize_with(producers.len(), Vec::new);
    }

    #[inline]
    fn index(&self, node: NodeId) -> Option<usize> {
        let index = usize::from(node.0.checked_sub(self.first)?);
        (index < self.clients.len()).then_some(index)
    }

    pub(super) fn producers(&self) -> usize {
        self.clients.len()
    }

    /// The number of a record's producer.
    #[inline]
    pub(super) fn producer(&self, record: RecordId) -> Option<usize> {
        self.index(record.producer)
    }

    pub(super) fn client(&self, node: NodeId) -> Option<&Client> {
        self.clients.get(self.index(node)?)
    }

    pub(super) fn client_mut(&mut self, node: NodeId) -> Option<&mut Client> {
        let index = self.index(node)?;
        self.clients.get_mut(index)
    }

    pub(super) fn get(&self, record: RecordId) -> Option<&Send> {
        self.sends
            .get(self.index(record.producer)?)?
            .get(record.number as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, record: RecordId) -> Option<&mut Send> {
        let index = self.index(record.producer)?;
        self.sends[index].get_mut(record.number as usize)
    }

    pub(super) fn sent(&mut self, record: RecordId, at: Time) {
        if let Some(index) = self.index(record.producer) {
            let sends = &mut self.sends[index];
            sends.resize_with(sends.len().max(record.number as usize + 1), Send::default);
            sends[record.number as usize].sent = at;
        }
    }

    /// The process of a producer ended or starts: what its forerunner sent and was not told of has no one to be told to.
    pub(super) fn begins_anew(&mut self, node: NodeId, at: Time) {
        let Some(index) = self.index(node) else { return };
        self.clients[index].undisturbed = at;
        let untold = self.sends[index]
            .iter_mut()
            .filter(|send| send.told == Told::Nothing);
        untold.for_each(|send| send.told = Told::Orphaned);
    }

    /// All sends with their records.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RecordId, &Send)> {
        self.sends.iter().enumerate().flat_map(move |(index, sends)| {
            let producer = NodeId(self.first + index as u16);
            sends
                .iter()
                .zip(0..)
                .map(move |(send, number)| (RecordId { producer, number }, send))
        })
    }
}
