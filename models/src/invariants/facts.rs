//! What is known of the whole cluster: how it was set up, who is fenced, what its machines went through.

use std::collections::BTreeMap;

use ktrial_sim::{Duration, NodeId};

use crate::ids::{QuorumEpoch, ServerId, TopicId};
use crate::invariants::Exposure;
use crate::specification::ClusterSpecification;

/// What a crash took from a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The process died; what it had written is in the page cache.
    ProcessKilled,
    /// What was not flushed may be lost.
    PageCacheLost,
    /// Everything is lost.
    DiskLost,
}

/// A set of servers. Ids up to 127.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerSet(u128);

impl ServerSet {
    /// The largest id a set can hold.
    pub(super) const LARGEST: usize = 127;

    pub(super) fn of(servers: &[ServerId]) -> Self {
        let mut set = ServerSet::default();
        servers.iter().for_each(|server| set.insert(*server));
        set
    }

    #[inline]
    pub(super) fn insert(&mut self, server: ServerId) {
        self.0 |= 1 << server.0;
    }

    #[inline]
    pub(super) fn remove(&mut self, server: ServerId) {
        self.0 &= !(1 << server.0);
    }

    #[inline]
    pub(super) fn contains(self, server: ServerId) -> bool {
        self.0 >> server.0 & 1 == 1
    }

    pub(super) fn len(self) -> u32 {
        self.0.count_ones()
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) servers: usize,
    pub(super) eligible_leader_replicas: bool,
    kraft: u16,
    voters: ServerSet,
    voter_disks_lost: ServerSet,
    only_voter_lost_power: bool,
    /// Brokers that are registered and not fenced.
    pub(super) unfenced: ServerSet,
    /// Brokers that registered since they last lost something.
    pub(super) registered: ServerSet,
    /// min.insync.replicas of each topic specification.
    min_isr: Vec<u32>,
    /// unclean.leader.election.enable of each topic specification.
    unclean: Vec<bool>,
    /// The cluster's own values of these two: those of topics that brokers create.
    defaults: (u32, bool),
    pub(super) producer_id_expiration: Duration,
    /// The newest leader of the quorum: only what it tells of brokers counts, an older one may be late.
    pub(super) active: Option<(QuorumEpoch, NodeId)>,
    /// The specification of each topic that was created.
    topics: BTreeMap<TopicId, u16>,
}

impl Facts {
    pub(super) fn reset(&mut self, cluster: &ClusterSpecification) {
        assert!(
            cluster.servers.len() <= ServerSet::LARGEST,
            "the judges know {} servers at most",
            ServerSet::LARGEST
        );
        let voters = cluster.servers.iter().filter(|server| server.controller);
        let mut set = ServerSet::default();
        voters.for_each(|server| set.insert(server.id));
        let default = cluster.controller.min_insync_replicas;
        self.min_isr.clear();
        let topics = cluster.topics.iter();
        self.min_isr
            .extend(topics.map(|topic| topic.min_insync_replicas.unwrap_or(default)));
        let (topics, default) = (
            cluster.topics.iter(),
            cluster.controller.unclean_leader_election_enable,
        );
        self.unclean.clear();
        self.unclean
            .extend(topics.map(|topic| topic.unclean_leader_election_enable.unwrap_or(default)));
        *self = Facts {
            servers: cluster.servers.len(),
            eligible_leader_replicas: cluster.features.eligible_leader_replicas >= 1,
            kraft: cluster.features.kraft,
            voters: set,
            min_isr: std::mem::take(&mut self.min_isr),
            unclean: std::mem::take(&mut self.unclean),
            defaults: (
                cluster.controller.min_insync_replicas,
                cluster.controller.unclean_leader_election_enable,
            ),
            producer_id_expiration: cluster.broker.producer_id_expiration_ms,
            ..Facts::default()
        };
    }

    /// How many voters there are.
    pub(super) fn voters(&self) -> u32 {
        self.voters.len()
    }

    pub(super) fn is_voter(&self, server: ServerId) -> bool {
        self.voters.contains(server)
    }

    /// A topic was created from this specification; may be told twice.
    pub(super) fn topic_created(&mut self, topic: TopicId, specification: u16) {
        self.topics.insert(topic, specification);
    }

    /// The specification of a topic.
    pub(super) fn specification(&self, topic: TopicId) -> Option<u16> {
        self.topics.get(&topic).copied()
    }

    /// Whether a topic allows unclean elections.
    pub(super) fn unclean_allowed(&self, topic: TopicId) -> bool {
        let specification = self.specification(topic);
        let own = specification.and_then(|number| self.unclean.get(usize::from(number)));
        own.copied().unwrap_or(self.defaults.1)
    }

    /// min.insync.replicas of a topic, as controllers know it.
    pub(super) fn min_isr(&self, topic: TopicId, replicas: usize) -> u32 {
        let specification = self.specification(topic);
        let own = specification.and_then(|number| self.min_isr.get(usize::from(number)));
        let configured = own.copied().unwrap_or(self.defaults.0);
        configured.min(replicas as u32)
    }

    pub(super) fn fate(&mut self, server: ServerId, fate: Fate) {
        if fate >= Fate::PageCacheLost {
            self.registered.remove(server);
        }
        if self.voters.contains(server) {
            match fate {
                Fate::DiskLost => self.voter_disks_lost.insert(server),
                Fate::PageCacheLost => self.only_voter_lost_power |= self.voters.len() == 1,
                Fate::ProcessKilled => {}
            }
        }
    }

    /// What the metadata quorum went through that releases every promise that rests on it.
    pub(super) fn quorum_excuse(&self) -> Option<Exposure> {
        let lost = self.voter_disks_lost.len();
        if self.kraft == 0 && lost > 0 {
            return Some(Exposure::QuorumDiskLost);
        }
        if lost > 0 && (self.voters.len() - lost) * 2 <= self.voters.len() {
            return Some(Exposure::QuorumMajorityLost);
        }
        self.only_voter_lost_power
            .then_some(Exposure::SingleVoterPowerLoss)
    }
}
