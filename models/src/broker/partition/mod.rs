//! A partition on one broker, as leader or follower: `kafka.cluster.Partition` with `Replica` and
//! `PartitionState`.
//!
//! Pure: it neither sends nor waits. What must be sent (AlterPartition) or woken (purgatories) is returned.
//!
//! | function | Kafka's lock | may run between its steps |
//! |---|---|---|
//! | [`Partition::make_leader`], [`Partition::make_follower`] | `leaderIsrUpdateLock`, write | nothing |
//! | [`Partition::append_records_to_leader`] | read, and the log's own | fetches, other appends' high watermarks |
//! | [`Partition::read_for_follower`], [`Partition::read_for_consumer`] | read | appends |
//! | [`Partition::update_follower_fetch_state`] | read | anything, before and after |
//! | [`Partition::maybe_expand_isr`], [`Partition::maybe_shrink_isr`] | read, then write (rechecked) | anything, before and after |
//! | [`Partition::high_watermark_after_fetch`] | read | anything, before |
//! | [`Partition::complete_alter_partition`] | write | nothing |
//! | [`Partition::process_fetched`], [`Partition::truncate_on_divergence`] and the other follower functions | the fetcher's `partitionMapLock`, and the log's own | a change of role: the fetcher compares offset and epoch first |
//!
//! A follower's fetch is four of them in this order: read, update, expand, high watermark.
//!
//! Clock: only the leader's wall clock, for `replica.lag.time.max.ms`. No timers of its own: the broker calls
//! [`Partition::maybe_shrink_isr`] every half of that.
//!
//! Errors: Kafka's codes; whatever the disk refuses is KAFKA_STORAGE_ERROR, and the log is then offline.

mod follower;
mod isr;
mod leader;
mod read;
mod replica;
#[cfg(test)]
mod tests;
mod view;

use ktrial_sim::{Duration, EventId};
use smallvec::SmallVec;

pub use follower::{FetchStart, FollowerError, FollowerFetched};
pub use isr::AlterPartitionOutcome;
pub use leader::LeaderAppended;
pub use read::ReadInfo;
pub use replica::{FollowerFetch, Replica, ReplicaReference};
pub use view::{BrokerState, ClusterView};

use crate::ids::{LeaderEpoch, Offset, PartitionEpoch, PartitionId, ServerId, Servers};
use crate::log::{Log, Machine, StorageError};
use crate::metadata::{LeaderRecoveryState, PartitionRegistration};
use crate::mutation::{Mutation, Mutations};
use crate::notes::{LeaderNote, Note};
use crate::protocol::{AlterPartitionProposal, ErrorCode};

/// What metadata made of this broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleChange {
    /// It did not lead (or follow) before.
    pub is_new: bool,
    /// The leader epoch grew: a follower starts to fetch anew.
    pub new_leader_epoch: bool,
    /// A leader's high watermark moved: parked requests are looked at.
    pub high_watermark_moved: bool,
}

/// A partition on one broker.
#[derive(Clone, Debug)]
pub struct Partition {
    id: PartitionId,
    me: ServerId,
    mutations: Mutations,
    replica_lag_time_max: Duration,
    log: Log,
    leader: Option<ServerId>,
    /// Both epochs are none before the first metadata.
    leader_epoch: Option<LeaderEpoch>,
    partition_epoch: Option<PartitionEpoch>,
    /// Where the epoch in which this broker leads starts.
    leader_epoch_start: Option<Offset>,
    replicas: Servers,
    /// The committed ISR; empty on followers.
    isr: Servers,
    recovery: LeaderRecoveryState,
    pending: Option<Pending>,
    /// The other replicas, on leaders only.
    remotes: SmallVec<[Replica; 4]>,
    replicas_created: u32,
    appended_by: EventId,
}

/// A proposal that is on its way (`PendingPartitionChange`).
#[derive(Clone, Debug)]
struct Pending {
    sent: AlterPartitionProposal,
    /// Who joins; none: the ISR shrinks.
    joins: Option<ServerId>,
}

impl Partition {
    /// A partition that metadata has not spoken of yet, with the log it has on this broker.
    pub fn new(me: ServerId, replica_lag_time_max: Duration, mutations: Mutations, log: Log) -> Self {
        Partition {
            id: log.partition(),
            me,
            mutations,
            replica_lag_time_max,
            log,
            leader: None,
            leader_epoch: None,
            partition_epoch: None,
            leader_epoch_start: None,
            replicas: Servers::new(),
            isr: Servers::new(),
            recovery: LeaderRecoveryState::Recovered,
            pending: None,
            remotes: SmallVec::new(),
            replicas_created: 0,
            appended_by: EventId::default(),
        }
    }

    /// Which partition.
    pub fn id(&self) -> PartitionId {
        self.id
    }

    /// Its log.
    #[inline]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Its log, for the background tasks: flushes, epoch files, expired producers, changed settings.
    pub fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Gives the log back, when the partition stops.
    pub fn into_log(self) -> Log {
        self.log
    }

    /// Whether this broker leads, as far as it knows.
    #[inline]
    pub fn is_leader(&self) -> bool {
        self.leader == Some(self.me)
    }

    /// Who leads, as far as this broker knows.
    #[inline]
    pub fn leader(&self) -> Option<ServerId> {
        self.leader
    }

    /// The leader epoch; none before the first metadata.
    #[inline]
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        self.leader_epoch
    }

    /// The partition epoch; none before the first metadata.
    pub fn partition_epoch(&self) -> Option<PartitionEpoch> {
        self.partition_epoch
    }

    /// Where the epoch starts in which this broker leads.
    pub fn leader_epoch_start(&self) -> Option<Offset> {
        self.leader_epoch_start
    }

    /// All replicas in order of preference.
    pub fn replicas(&self) -> &Servers {
        &self.replicas
    }

    /// The committed ISR; empty on followers.
    pub fn isr(&self) -> &Servers {
        &self.isr
    }

    /// Whether a server is in the maximal ISR: the committed one and who is proposed to join it (KIP-497). A
    /// proposal to shrink takes nobody out.
    #[inline]
    pub fn in_maximal_isr(&self, server: ServerId) -> bool {
        self.isr.contains(&server) || self.joining() == Some(server)
    }

    /// Members of the maximal ISR.
    #[inline]
    pub fn maximal_isr_len(&self) -> usize {
        self.isr.len() + usize::from(self.joining().is_some())
    }

    /// The maximal ISR, sorted.
    pub fn maximal_isr(&self) -> Servers {
        let mut isr = self.isr.clone();
        if let Some(server) = self.joining() {
            isr.insert(isr.partition_point(|member| *member < server), server);
        }
        isr
    }

    #[inline]
    fn joining(&self) -> Option<ServerId> {
        self.pending.as_ref()?.joins
    }

    /// The proposal on its way, if there is one.
    pub fn pending(&self) -> Option<&AlterPartitionProposal> {
        Some(&self.pending.as_ref()?.sent)
    }

    /// What the leader knows of the other replicas; empty on followers.
    pub fn remotes(&self) -> &[Replica] {
        &self.remotes
    }

    /// `min.insync.replicas` or the replication factor, whichever is less (`effectiveMinIsr`). Only on leaders.
    #[inline]
    pub fn effective_min_isr(&self) -> usize {
        (self.log.settings().min_insync_replicas as usize).min(self.remotes.len() + 1)
    }

    /// Whether this leader's committed ISR is too small (the metric `UnderMinIsr`).
    #[inline]
    pub fn is_under_min_isr(&self) -> bool {
        self.is_leader() && self.isr.len() < self.effective_min_isr()
    }

    /// Whether fewer replicas are in sync than there are (the metric `UnderReplicated`).
    pub fn is_under_replicated(&self) -> bool {
        self.is_leader() && self.isr.len() < self.replicas.len()
    }

    /// This broker leads by metadata. Ignored (`None`) if older than what is known. In a new leader epoch the
    /// epoch's start is written to the epoch file at once, the other replicas start over, and the high watermark
    /// is looked at.
    ///
    /// # Errors
    /// The disk refused: the partition is offline.
    pub fn make_leader(
        &mut self,
        registration: &PartitionRegistration,
        view: &impl ClusterView,
        machine: &mut impl Machine,
    ) -> Result<Option<RoleChange>, StorageError> {
        if self.partition_epoch > Some(registration.partition_epoch) {
            return Ok(None);
        }
        let now = machine.wall();
        let is_new = !self.is_leader();
        let new_leader_epoch = self.leader_epoch < Some(registration.leader_epoch);
        self.replicas.clone_from(&registration.replicas);
        self.update_remotes();
        self.isr.clone_from(&registration.isr);
        // A leader has recovered by leading; it says so in its next AlterPartition.
        self.recovery = LeaderRecoveryState::Recovered;
        self.pending = None;
        if new_leader_epoch {
            let start = self.log.end();
            if !self.mutations.has(Mutation::ForgetEpochStart) {
                self.log
                    .assign_epoch_start(registration.leader_epoch, start, machine)?;
            }
            for replica in &mut self.remotes {
                let in_sync = registration.isr.contains(&replica.server);
                replica.reset(now, start, is_new, in_sync, machine.event());
            }
            self.leader_epoch = Some(registration.leader_epoch);
            self.leader_epoch_start = Some(start);
            let leads = LeaderNote::Leads {
                epoch: registration.leader_epoch,
                start,
                end: start,
            };
            machine.tell(Note::Leader(self.id, leads));
        }
        self.partition_epoch = Some(registration.partition_epoch);
        self.leader = Some(self.me);
        let high_watermark_moved = self.maybe_increment_high_watermark(now, view, machine);
        Ok(Some(RoleChange {
            is_new,
            new_leader_epoch,
            high_watermark_moved,
        }))
    }

    /// This broker follows by metadata (there may be no leader). Ignored (`None`) if older than what is known.
    pub fn make_follower(
        &mut self,
        registration: &PartitionRegistration,
        machine: &mut impl Machine,
    ) -> Option<RoleChange> {
        if self.partition_epoch > Some(registration.partition_epoch) {
            return None;
        }
        let is_new = self.is_leader() || self.partition_epoch.is_none();
        let new_leader_epoch = self.leader_epoch < Some(registration.leader_epoch);
        self.leader = registration.leader;
        self.leader_epoch = Some(registration.leader_epoch);
        self.leader_epoch_start = None;
        self.partition_epoch = Some(registration.partition_epoch);
        self.replicas.clone_from(&registration.replicas);
        self.remotes.clear();
        self.isr.clear();
        self.recovery = registration.recovery;
        self.pending = None;
        if new_leader_epoch {
            let follows = LeaderNote::Follows {
                epoch: registration.leader_epoch,
                leader: registration.leader,
            };
            machine.tell(Note::Leader(self.id, follows));
        }
        Some(RoleChange {
            is_new,
            new_leader_epoch,
            high_watermark_moved: false,
        })
    }

    /// Replicas that stay keep their state, new ones begin without any (`updateAssignmentAndIsr`).
    fn update_remotes(&mut self) {
        let (replicas, me) = (&self.replicas, self.me);
        self.remotes
            .retain(|replica| replica.server != me && replicas.contains(&replica.server));
        for server in replicas {
            if *server != me && self.remotes.iter().all(|replica| replica.server != *server) {
                self.replicas_created += 1;
                self.remotes.push(Replica::new(*server, self.replicas_created));
            }
        }
    }

    /// Compares the leader epoch in a request with the one known here (KIP-320).
    ///
    /// # Errors
    /// FENCED_LEADER_EPOCH: the request's is older. UNKNOWN_LEADER_EPOCH: it is newer.
    #[inline]
    pub fn check_current_leader_epoch(&self, request: Option<LeaderEpoch>) -> Result<(), ErrorCode> {
        match request {
            Some(_) if self.leader_epoch > request => Err(ErrorCode::FencedLeaderEpoch),
            Some(_) if self.leader_epoch < request => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// The checks before any look into the log (`localLogWithEpochOrThrow`).
    #[inline]
    fn check_log(&self, request: Option<LeaderEpoch>, require_leader: bool) -> Result<(), ErrorCode> {
        self.check_current_leader_epoch(request)?;
        if require_leader && !self.is_leader() {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        match self.log.is_offline() {
            true => Err(ErrorCode::KafkaStorageError),
            false => Ok(()),
        }
    }

    fn replica(&self, server: ServerId) -> Option<&Replica> {
        self.remotes.iter().find(|replica| replica.server == server)
    }

    fn replica_by(&self, reference: ReplicaReference) -> Option<&Replica> {
        self.remotes
            .iter()
            .find(|replica| replica.reference() == reference)
    }
}
