//! The broker's replica fetchers (`ReplicaFetcherManager`): which partition is fetched by which.

use ktrial_sim::{ConnectionId, Context};

use crate::broker::Broker;
use crate::broker::fetcher::{Fetcher, Surroundings};
use crate::ids::PartitionId;
use crate::kafka::Kafka;

impl Broker {
    /// A follower's new leader is fetched from (`addFetcherForPartitions`). Without a leader, or with one that the
    /// metadata does not know, nobody is.
    pub(super) fn start_fetching(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) {
        let partition = self.partitions.get_mut(id).expect("followers are hosted");
        let Some((leader, epoch)) = partition.leader().zip(partition.leader_epoch()) else {
            return;
        };
        if self.image.broker(leader).is_none() {
            return;
        }
        let Ok(start) = partition.start_fetching(context) else {
            self.disk_failed(context);
            return;
        };
        if partition.log().has_unwritten_epochs() {
            self.write_epochs_later(id, context);
        }
        let registration = self.image.partition(id).expect("it was changed");
        let number = 31 * u32::from(registration.topic.0) + registration.index;
        let source = (
            leader,
            number % self.specification.broker.num_replica_fetchers.max(1),
        );
        let own = |slot: &Option<Box<Fetcher>>| slot.as_ref().is_some_and(|f| f.source() == source);
        let found = self.fetchers.iter().position(own);
        let slot = found.unwrap_or_else(|| {
            let free = self.fetchers.iter().position(Option::is_none);
            let slot = free.unwrap_or_else(|| {
                self.fetchers.push(None);
                self.fetchers.len() - 1
            });
            let fetcher = Fetcher::new(source.0, source.1, slot, &self.specification.broker);
            self.fetchers[slot] = Some(Box::new(fetcher));
            slot
        });
        let fetcher = self.fetchers[slot].as_mut().expect("it was just made");
        fetcher.add(id, epoch, start);
    }

    /// Nobody fetches a partition any more.
    pub(super) fn remove_from_fetchers(&mut self, id: PartitionId) {
        for fetcher in self.fetchers.iter_mut().flatten() {
            fetcher.remove(id);
        }
    }

    /// Partitions were added: idle fetchers look again.
    pub(super) fn wake_fetchers(&mut self, context: &mut Context<'_, Kafka>) {
        for slot in 0..self.fetchers.len() {
            self.with_fetcher(slot, context, Fetcher::wake);
        }
    }

    pub(super) fn shut_down_idle_fetchers(&mut self, context: &mut Context<'_, Kafka>) {
        for slot in &mut self.fetchers {
            if slot.as_ref().is_some_and(|fetcher| fetcher.has_no_partitions())
                && let Some(mut fetcher) = slot.take()
            {
                fetcher.shut_down(context);
            }
        }
    }

    pub(super) fn shut_down_fetchers(&mut self, context: &mut Context<'_, Kafka>) {
        for mut fetcher in self.fetchers.drain(..).flatten() {
            fetcher.shut_down(context);
        }
    }

    /// The fetcher that opened a connection.
    pub(super) fn fetcher_of(&self, connection: ConnectionId) -> Option<usize> {
        let own = |slot: &Option<Box<Fetcher>>| slot.as_ref().is_some_and(|f| f.owns(connection));
        self.fetchers.iter().position(own)
    }

    /// Lets a fetcher work, and looks after what it did.
    pub(super) fn with_fetcher(
        &mut self,
        slot: usize,
        context: &mut Context<'_, Kafka>,
        act: impl FnOnce(&mut Fetcher, &mut Surroundings<'_>, &mut Context<'_, Kafka>),
    ) {
        let Some(mut fetcher) = self.fetchers.get_mut(slot).and_then(Option::take) else {
            return;
        };
        let identity = self.identity();
        let mut around = Surroundings {
            partitions: &mut self.partitions,
            settings: &self.specification.broker,
            identity,
            flush: self.flush,
        };
        act(&mut fetcher, &mut around, context);
        let mut effects = std::mem::take(&mut self.effects);
        fetcher.take_effects(&mut effects);
        self.fetchers[slot] = Some(fetcher);
        for id in effects.moved.drain(..) {
            self.complete_fetches(id, context);
        }
        for (id, below) in effects.rolled.drain(..) {
            self.flush_in_background(id, below, context);
        }
        for id in effects.cut.drain(..) {
            self.write_epochs_later(id, context);
        }
        if std::mem::take(&mut effects.disk_failed) {
            self.disk_failed(context);
        }
        self.effects = effects;
        self.fetcher_released(context);
    }

    /// Whether a fetcher works on an answer, so that no partition can be taken from any of them: Kafka takes every
    /// fetcher's lock for that (`AbstractFetcherManager.removeFetcherForPartitions`).
    pub(super) fn fetchers_apply(&self) -> bool {
        let mut fetchers = self.fetchers.iter().flatten();
        fetchers.any(|fetcher| fetcher.is_applying())
    }
}
