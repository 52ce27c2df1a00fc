//! Metadata as it becomes known on a broker (`MetadataLoader`, `BrokerMetadataPublisher`,
//! `ReplicaManager.applyDelta`).
//!
//! | state | ends by |
//! |---|---|
//! | Idle | more of the metadata log is committed |
//! | Lagging | `Capacity::publish` is over: the metadata cache shows everything committed by then |
//! | BeforeRoles (an open cut) | its time |
//! | Loading, the first time only | the logs are read |
//! | Leaders, then Followers: one partition after the other | an open cut; a produce request that holds the partition's lock; the last partition |
//! | Fetchers: partitions are to be taken from them, and one works on an answer | the answer is done with: flushed, positions out of range asked for (`AbstractFetcherThread.partitionMapLock`) |
//!
//! One publication at a time; what is committed meanwhile comes with the next one. While it goes on, requests
//! see the new cache and some old roles.

use ktrial_sim::{Context, Duration, Identity};

use crate::broker::Broker;
use crate::broker::metadata_cache::View;
use crate::broker::partition::Partition;
use crate::broker::slots;
use crate::config::TopicSettings;
use crate::cuts;
use crate::ids::{DirectoryId, Offset, PartitionId, PartitionMap};
use crate::kafka::{Kafka, METADATA_LOG, site};
use crate::log::Log;
use crate::metadata::{CONTRADICTORY_LOG, DynamicSetting, MetadataRecord};
use crate::records::LogEntry;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Lagging,
    BeforeRoles,
    Loading,
    Leaders,
    Followers,
    /// Waits for the lock of a partition.
    Locked(PartitionId, bool),
    /// Waits for the fetchers, at the beginning or at the end of the roles.
    Fetchers {
        at_end: bool,
    },
}

/// How far the metadata is.
#[derive(Debug)]
pub struct Publisher {
    stage: Stage,
    committed: Offset,
    /// How many batches of the metadata log the cache shows.
    batches: usize,
    /// The offset behind the last record that the cache shows.
    shown: Offset,
    first: bool,
    /// Partitions of this broker that the publication in hand changes, in order.
    changed: Vec<PartitionId>,
    settings_changed: bool,
    next: usize,
    /// Followers that must start to fetch at the end.
    starting: Vec<PartitionId>,
    /// Followers that must stop to fetch at the end.
    ending: Vec<PartitionId>,
    /// The log directory that the publication before showed for each replica here.
    directories: PartitionMap<DirectoryId>,
}

impl Default for Publisher {
    /// Nothing is known.
    fn default() -> Self {
        Publisher {
            stage: Stage::Idle,
            committed: Offset(0),
            batches: 0,
            shown: Offset(0),
            first: true,
            changed: Vec::new(),
            settings_changed: false,
            next: 0,
            starting: Vec::new(),
            ending: Vec::new(),
            directories: PartitionMap::default(),
        }
    }
}

impl Publisher {
    /// Whether the first publication is done.
    pub fn has_published(&self) -> bool {
        !self.first
    }
}

impl Broker {
    pub(super) fn committed(&mut self, to: Offset, context: &mut Context<'_, Kafka>) {
        self.publisher.committed = self.publisher.committed.max(to);
        if self.publisher.stage == Stage::Idle {
            self.lag(context);
        }
    }

    fn lag(&mut self, context: &mut Context<'_, Kafka>) {
        if self.publisher.committed <= self.publisher.shown || self.stopping() {
            return;
        }
        let (least, most) = self.specification.capacity.publish;
        let who = Identity(
            u64::from(self.id.0) << 32 | u64::from(context.incarnation()),
            self.publisher.committed.0,
        );
        let spread = most.saturating_sub(least).0;
        let lag = Duration(least.0 + context.draw_below(site::PUBLISH, who, spread + 1));
        self.publisher.stage = Stage::Lagging;
        context.set_timer(slots::PUBLISHER, lag);
    }

    pub(super) fn publisher_woke(&mut self, context: &mut Context<'_, Kafka>) {
        match self.publisher.stage {
            Stage::Idle | Stage::Locked(..) | Stage::Fetchers { .. } => {}
            Stage::Lagging => self.show(context),
            Stage::BeforeRoles => self.load_or_assign(context),
            Stage::Loading => self.loaded(context),
            Stage::Leaders | Stage::Followers => self.assign_roles(context),
        }
    }

    /// The cache shows everything committed.
    fn show(&mut self, context: &mut Context<'_, Kafka>) {
        let publisher = &mut self.publisher;
        publisher.changed.clear();
        publisher.settings_changed = false;
        let (disk, arena) = context.disk_and_arena();
        let entries = disk.file(METADATA_LOG).entries();
        let batches = entries[publisher.batches..].iter().map(LogEntry::metadata);
        let committed = publisher.committed;
        for batch in batches.take_while(|batch| batch.next_offset() <= committed) {
            for record in arena.metadata(batch.records) {
                if !self.image.fits(record) {
                    self.exits = Some(CONTRADICTORY_LOG);
                    publisher.stage = Stage::Idle;
                    return;
                }
                self.image.apply(record);
                match record {
                    MetadataRecord::Partition { partition, .. }
                    | MetadataRecord::PartitionChange { partition, .. } => {
                        publisher.changed.push(*partition);
                    }
                    MetadataRecord::Config { .. } => publisher.settings_changed = true,
                    _ => {}
                }
            }
            publisher.batches += 1;
            publisher.shown = batch.next_offset();
        }
        publisher.changed.sort_unstable();
        publisher.changed.dedup();
        let (image, me) = (&self.image, self.id);
        let mine = |id: &PartitionId| {
            let registration = image.partition(*id).expect("it was just changed");
            registration.replicas.contains(&me)
        };
        publisher.changed.retain(mine);
        publisher.stage = Stage::BeforeRoles;
        if publisher.changed.is_empty() && !publisher.first {
            self.roles_assigned(context);
            return;
        }
        let passage = u64::from(self.id.0) << 48 | self.publisher.shown.0;
        match context.cut(cuts::PUBLISH_BEFORE_ROLES, passage) {
            Some(open) => context.set_timer(slots::PUBLISHER, open),
            None => self.load_or_assign(context),
        }
    }

    fn load_or_assign(&mut self, context: &mut Context<'_, Kafka>) {
        if self.publisher.first {
            self.publisher.stage = Stage::Loading;
            self.load_logs(context);
        } else {
            self.begin_roles(context);
        }
    }

    fn loaded(&mut self, context: &mut Context<'_, Kafka>) {
        self.start_background(context);
        self.begin_roles(context);
    }

    fn begin_roles(&mut self, context: &mut Context<'_, Kafka>) {
        let leads = self.publisher.changed.iter().any(|id| self.is_led_here(*id));
        if leads && self.fetchers_apply() {
            self.publisher.stage = Stage::Fetchers { at_end: false };
            return;
        }
        self.publisher.next = 0;
        self.publisher.starting.clear();
        self.publisher.ending.clear();
        self.publisher.stage = Stage::Leaders;
        for index in 0..self.publisher.changed.len() {
            let id = self.publisher.changed[index];
            if self.is_led_here(id) {
                self.remove_from_fetchers(id);
            }
        }
        self.assign_roles(context);
    }

    fn is_led_here(&self, id: PartitionId) -> bool {
        self.image
            .partition(id)
            .is_some_and(|p| p.leader == Some(self.id))
    }

    /// Leaders first, then followers, one partition after the other.
    fn assign_roles(&mut self, context: &mut Context<'_, Kafka>) {
        loop {
            let leaders = self.publisher.stage == Stage::Leaders;
            let Some(id) = self.publisher.changed.get(self.publisher.next).copied() else {
                if leaders {
                    self.publisher.stage = Stage::Followers;
                    self.publisher.next = 0;
                    continue;
                }
                break;
            };
            if self.is_led_here(id) != leaders {
                self.publisher.next += 1;
                continue;
            }
            if self.locks.is_appending(id) {
                self.publisher.stage = Stage::Locked(id, leaders);
                return;
            }
            self.publisher.next += 1;
            if leaders {
                self.make_leader(id, context);
            } else {
                self.make_follower(id, context);
            }
            let passage = u64::from(self.id.0) << 48 | u64::from(id.0) << 32 | self.publisher.shown.0;
            if let Some(open) = context.cut(cuts::PUBLISH_NEXT_PARTITION, passage) {
                context.set_timer(slots::PUBLISHER, open);
                return;
            }
        }
        self.finish_roles(context);
    }

    fn finish_roles(&mut self, context: &mut Context<'_, Kafka>) {
        let fetching_changes = !self.publisher.starting.is_empty() || !self.publisher.ending.is_empty();
        if fetching_changes && self.fetchers_apply() {
            self.publisher.stage = Stage::Fetchers { at_end: true };
            return;
        }
        self.start_followers(context);
        self.check_directories(context);
        self.roles_assigned(context);
    }

    /// A fetcher is done with something: roles that wait for that go on.
    pub(super) fn fetcher_released(&mut self, context: &mut Context<'_, Kafka>) {
        if let Stage::Fetchers { at_end } = self.publisher.stage
            && !self.fetchers_apply()
        {
            if at_end {
                // What it wakes comes back here.
                self.publisher.stage = Stage::Followers;
                self.finish_roles(context);
            } else {
                self.begin_roles(context);
            }
        }
    }

    /// `ReplicaManager.maybeUpdateTopicAssignment`, for replicas whose directory is shown for the first time or anew.
    fn check_directories(&mut self, context: &mut Context<'_, Kafka>) {
        for index in 0..self.publisher.changed.len() {
            let id = self.publisher.changed[index];
            let registered = self
                .image
                .partition(id)
                .and_then(|known| known.directory(self.id));
            let hosted = self.partitions.get(id).is_some();
            if let Some(registered) = registered.filter(|_| hosted)
                && self.publisher.directories.insert(id, registered) != Some(registered)
            {
                self.assignments.published(id, registered, context);
            }
        }
    }

    /// Whether a change of role waits for a partition's lock.
    pub(super) fn role_waits(&self, id: PartitionId) -> bool {
        matches!(self.publisher.stage, Stage::Locked(locked, _) if locked == id)
    }

    /// An append gave a partition's lock back.
    pub(super) fn role_lock_released(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) {
        if let Stage::Locked(locked, leaders) = self.publisher.stage
            && locked == id
        {
            if self.locks.is_appending(id) {
                return;
            }
            self.publisher.stage = if leaders { Stage::Leaders } else { Stage::Followers };
            self.assign_roles(context);
        }
    }

    fn make_leader(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) {
        if !self.host(id, context) {
            return;
        }
        let view = View {
            image: &self.image,
            own_epoch: self.lifecycle.epoch(),
        };
        let registration = self.image.partition(id).expect("it was changed");
        let partition = self.partitions.get_mut(id).expect("it is hosted");
        match partition.make_leader(registration, &view, context) {
            Ok(Some(change)) if change.high_watermark_moved => self.complete_delayed(id, context),
            Ok(_) => {}
            Err(_) => self.disk_failed(context),
        }
    }

    fn make_follower(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) {
        if !self.host(id, context) {
            return;
        }
        let registration = self.image.partition(id).expect("it was changed");
        let stops = self.in_controlled_shutdown
            && (registration.leader.is_none() || !registration.isr.contains(&self.id));
        let partition = self.partitions.get_mut(id).expect("it is hosted");
        let change = partition.make_follower(registration, context);
        self.coordinator_follows(id);
        if stops {
            self.publisher.ending.push(id);
        } else if change.is_some_and(|change| change.new_leader_epoch) {
            self.publisher.starting.push(id);
        }
    }

    /// Fetchers are stopped for all of them before they are started, to get their positions right.
    fn start_followers(&mut self, context: &mut Context<'_, Kafka>) {
        let starting = std::mem::take(&mut self.publisher.starting);
        for id in &starting {
            self.remove_from_fetchers(*id);
        }
        for id in &starting {
            self.start_fetching(*id, context);
        }
        for id in &starting {
            self.complete_delayed(*id, context);
        }
        self.publisher.starting = starting;
        for id in std::mem::take(&mut self.publisher.ending) {
            self.remove_from_fetchers(id);
            self.complete_delayed(id, context);
        }
        self.wake_fetchers(context);
        self.shut_down_idle_fetchers(context);
    }

    /// Makes sure that there is a replica here: its log was loaded, or is created now.
    fn host(&mut self, id: PartitionId, context: &mut Context<'_, Kafka>) -> bool {
        if self.partitions.get(id).is_some() {
            return true;
        }
        let log = match self.loaded_logs.remove(id) {
            Some(log) => log,
            None => {
                let settings = self.topic_settings(id);
                match Log::load(
                    id,
                    settings,
                    self.specification.broker.producer_id_expiration_ms,
                    self.specification.mutations,
                    self.clean_start,
                    context,
                ) {
                    Ok(loaded) => loaded.log,
                    Err(_) => {
                        self.disk_failed(context);
                        return false;
                    }
                }
            }
        };
        let partition = Partition::new(
            self.id,
            self.specification.broker.replica_lag_time_max_ms,
            self.specification.mutations,
            log,
        );
        self.partitions.insert(id, Box::new(partition));
        true
    }

    /// What holds for a partition's log: the topic's settings with what the metadata says of min.insync.replicas.
    pub(super) fn topic_settings(&self, id: PartitionId) -> TopicSettings {
        let registration = self.image.partition(id).expect("the metadata knows it");
        let topic = self
            .image
            .topic(registration.topic)
            .expect("a partition has a topic");
        let mut settings = self.specification.topic(topic.specification).settings;
        settings.min_insync_replicas = self.image.resolve(
            DynamicSetting::MinInsyncReplicas,
            registration.topic,
            Some(self.id),
            settings.min_insync_replicas,
        );
        settings
    }

    fn roles_assigned(&mut self, context: &mut Context<'_, Kafka>) {
        let changed = std::mem::take(&mut self.publisher.changed);
        self.coordinators_elected(&changed, context);
        self.publisher.changed = changed;
        if std::mem::take(&mut self.publisher.settings_changed) {
            self.apply_settings();
        }
        let last = Offset(self.publisher.shown.0.saturating_sub(1));
        self.lifecycle.metadata_published(last);
        self.publisher.stage = Stage::Idle;
        if std::mem::take(&mut self.publisher.first) {
            self.first_published(context);
        }
        self.lag(context);
    }

    /// `DynamicConfigPublisher`: behind the roles, so a leader may judge by the old value for a moment.
    fn apply_settings(&mut self) {
        for index in 0..self.image.partition_numbers() {
            let id = PartitionId(index);
            if self.partitions.get(id).is_some() {
                let settings = self.topic_settings(id);
                let partition = self.partitions.get_mut(id).expect("it was just there");
                partition.log_mut().update_settings(settings);
            }
        }
    }
}
