//! What became of each send: of producers, and of applications above consumers that send records on.

use std::sync::Arc;

use ktrial_sim::{Duration, NodeId, Time};

use super::witness::Ground;
use crate::config::Acks;
use crate::ids::{Offset, PartitionId, RecordId};
use crate::invariants::Exposure;
use crate::notes::FailureClass;
use crate::records::{Batch, Contents, Record};
use crate::specification::{ConsumerSpecification, ProducerSpecification};

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
    /// A replica's retention deleted it once it was committed.
    pub(super) expired: bool,
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
    /// When its process got a producer id.
    pub(super) identified: Option<Time>,
    /// Since when its process has run undisturbed, or from when on its clock counts.
    pub(super) undisturbed: Time,
}

impl Client {
    fn new(producer: &ProducerSpecification) -> Self {
        let settings = &producer.settings;
        let waits = settings.max_block_ms.saturating_add(settings.delivery_timeout_ms);
        Client {
            acks: settings.acks,
            idempotent: settings.enable_idempotence,
            one_at_a_time: settings.max_in_flight_requests_per_connection == 1 || settings.retries == 0,
            patience: waits.saturating_add(SLACK),
            identified: None,
            undisturbed: Time::ZERO,
        }
    }

    /// LIV-1: if a send of it should have an outcome by now, what decides whether that was promised.
    #[inline]
    pub(super) fn lateness(&self, send: &Send, now: Time) -> Option<Ground> {
        let from = send.sent.max(self.undisturbed);
        let late = |from| now.since(from) > self.patience;
        if !late(from) {
            return None;
        }
        // `Sender.runOnce` comes to expired batches only when nothing is to be asked of a transaction manager.
        let unidentified = self.idempotent && self.identified.is_none_or(|at| !late(from.max(at)));
        Some(match unidentified {
            true => Ground::Exposed(Exposure::NoProducerId),
            false => Ground::Always,
        })
    }

    /// It was given a producer id, or bumps the epoch of the one it has.
    pub(super) fn is_identified(&mut self, at: Time) {
        self.identified.get_or_insert(at);
    }
}

/// All sends of a trial.
#[derive(Debug, Default)]
pub(super) struct Sends {
    /// The machine of each client.
    nodes: Vec<NodeId>,
    clients: Vec<Client>,
    /// The client on each machine from `first` on.
    first: u16,
    on_machine: Vec<Option<u16>>,
    sends: Vec<Vec<Send>>,
}

/// What the answers of a request need beyond `delivery.timeout.ms`: scheduling, timers that read milliseconds.
const SLACK: Duration = Duration::secs(2);

impl Sends {
    /// The machines of producers begin at `first`, those of members of groups at `first_member`.
    pub(super) fn reset(
        &mut self,
        (first, producers): (NodeId, &[ProducerSpecification]),
        (first_member, members): (NodeId, &[Arc<ConsumerSpecification>]),
    ) {
        let members = members.iter().zip(first_member.0..);
        let sending = members.filter_map(|(member, node)| Some((member.letters.as_ref()?, node)));
        let senders = producers.iter().zip(first.0..).chain(sending);
        self.first = first.0;
        self.nodes.clear();
        self.clients.clear();
        self.on_machine.clear();
        for (sender, node) in senders {
            let place = usize::from(node - first.0);
            self.on_machine.resize(place + 1, None);
            self.on_machine[place] = Some(self.clients.len() as u16);
            self.nodes.push(NodeId(node));
            self.clients.push(Client::new(sender));
        }
        self.sends.iter_mut().for_each(Vec::clear);
        self.sends.resize_with(self.clients.len(), Vec::new);
    }

    #[inline]
    fn index(&self, node: NodeId) -> Option<usize> {
        let place = usize::from(node.0.checked_sub(self.first)?);
        self.on_machine.get(place)?.map(usize::from)
    }

    pub(super) fn producers(&self) -> usize {
        self.clients.len()
    }

    /// The number of a record's producer.
    #[inline]
    pub(super) fn producer(&self, record: RecordId) -> Option<usize> {
        self.index(record.producer)
    }

    #[inline]
    pub(super) fn client(&self, node: NodeId) -> Option<&Client> {
        self.clients.get(self.index(node)?)
    }

    pub(super) fn client_mut(&mut self, node: NodeId) -> Option<&mut Client> {
        let index = self.index(node)?;
        self.clients.get_mut(index)
    }

    #[inline]
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

    /// Retention deleted a batch that was committed.
    pub(super) fn expire(&mut self, batch: &Batch, contents: &Contents) {
        for record in contents.records(batch.records) {
            if let Some(send) = self.get_mut(record.id) {
                send.expired = true;
            }
        }
    }

    /// Who wrote a batch, and all its sends. A batch has one producer.
    #[inline]
    pub(super) fn of_batch(&mut self, records: &[Record]) -> Option<(&Client, &mut [Send])> {
        let index = self.index(records.first()?.id.producer)?;
        Some((&self.clients[index], &mut self.sends[index]))
    }

    /// The sends of the producer on a machine.
    #[inline]
    pub(super) fn of_node(&mut self, producer: NodeId) -> Option<&mut [Send]> {
        let index = self.index(producer)?;
        Some(&mut self.sends[index])
    }

    /// The sends of a producer by its number.
    #[inline]
    pub(super) fn of(&mut self, producer: usize) -> &mut [Send] {
        &mut self.sends[producer]
    }

    #[inline]
    pub(super) fn sent(&mut self, record: RecordId, at: Time) {
        if let Some(index) = self.index(record.producer) {
            let (sends, number) = (&mut self.sends[index], record.number as usize);
            if number >= sends.len() {
                sends.resize_with(number + 1, Send::default);
            }
            sends[number].sent = at;
        }
    }

    /// The process of a producer ended or starts: what its forerunner sent and was not told of has no one to be told to.
    pub(super) fn begins_anew(&mut self, node: NodeId, at: Time) {
        let Some(index) = self.index(node) else { return };
        self.clients[index].undisturbed = at;
        self.clients[index].identified = None;
        let untold = self.sends[index]
            .iter_mut()
            .filter(|send| send.told == Told::Nothing);
        untold.for_each(|send| send.told = Told::Orphaned);
    }

    /// All sends with their records.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RecordId, &Send)> {
        self.sends.iter().zip(&self.nodes).flat_map(|(sends, producer)| {
            let producer = *producer;
            sends
                .iter()
                .zip(0..)
                .map(move |(send, number)| (RecordId { producer, number }, send))
        })
    }
}
