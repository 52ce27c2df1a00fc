//! The rules of [`super::Partition`], one by one.

mod follower;
mod high_watermark;
mod isr;
mod read;
mod roles;

use ktrial_sim::{Duration, EventId, Time};
use smallvec::SmallVec;

use super::{BrokerState, ClusterView, Partition, ReadInfo, RoleChange};
use crate::config::{Acks, TopicSettings};
use crate::ids::{
    BrokerEpoch, DirectoryId, LeaderEpoch, Offset, PartitionEpoch, PartitionId, ServerId, Servers, TopicId,
};
use crate::log::bench::Bench;
use crate::metadata::{LeaderRecoveryState, PartitionRegistration};
use crate::mutation::{Mutation, Mutations};
use crate::notes::{LeaderNote, LogNote, Note};
use crate::protocol::{
    AlterPartitionProposal, AlterPartitionResult, BrokerIdentity, ErrorCode, FetchPartition,
};

const ME: ServerId = ServerId(1);
const TWO: ServerId = ServerId(2);
const THREE: ServerId = ServerId(3);
const LAG: Duration = Duration::secs(30);

/// Broker n is registered with epoch 10 n.
struct View([BrokerState; 3]);

impl View {
    fn of(&mut self, server: ServerId) -> &mut BrokerState {
        &mut self.0[usize::from(server.0) - 1]
    }
}

impl ClusterView for View {
    fn broker(&self, server: ServerId) -> Option<BrokerState> {
        self.0.get(usize::from(server.0) - 1).copied()
    }

    fn own_epoch(&self) -> Option<BrokerEpoch> {
        Some(BrokerEpoch(10))
    }
}

fn servers(ids: &[u16]) -> Servers {
    ids.iter().map(|id| ServerId(*id)).collect()
}

/// Replicas 1, 2 and 3.
fn registration(leader: u16, leader_epoch: u32, partition_epoch: u32, isr: &[u16]) -> PartitionRegistration {
    PartitionRegistration {
        topic: TopicId(0),
        index: 0,
        replicas: servers(&[1, 2, 3]),
        directories: [DirectoryId::UNASSIGNED; 3].into_iter().collect(),
        isr: servers(isr),
        elr: Servers::new(),
        last_known_elr: None,
        leader: Some(ServerId(leader)),
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch: PartitionEpoch(partition_epoch),
        recovery: LeaderRecoveryState::Recovered,
    }
}

/// Broker 1 with the partition's log, at one minute by its clock.
struct Host {
    partition: Partition,
    view: View,
    bench: Bench,
}

impl Host {
    fn new(min_insync_replicas: u32) -> Self {
        Host::with(min_insync_replicas, Mutations::default())
    }

    fn mutant(min_insync_replicas: u32, mutation: Mutation) -> Self {
        Host::with(min_insync_replicas, Mutations::only(mutation))
    }

    fn with(min_insync_replicas: u32, mutations: Mutations) -> Self {
        let mut bench = Bench::default();
        bench.now = Time(60_000_000_000);
        let settings = TopicSettings {
            min_insync_replicas,
            ..TopicSettings::default()
        };
        let log = bench.loaded(settings, mutations, false).log;
        let broker = |epoch| BrokerState {
            epoch: BrokerEpoch(epoch),
            fenced: false,
            in_controlled_shutdown: false,
        };
        Host {
            partition: Partition::new(ME, LAG, mutations, log),
            view: View([broker(10), broker(20), broker(30)]),
            bench,
        }
    }

    /// Leads in epoch 1 with this ISR.
    fn leading(mut self, isr: &[u16]) -> Self {
        self.lead(1, 1, isr);
        self
    }

    fn lead(&mut self, leader_epoch: u32, partition_epoch: u32, isr: &[u16]) -> Option<RoleChange> {
        let registration = registration(1, leader_epoch, partition_epoch, isr);
        self.partition
            .make_leader(&registration, &self.view, &mut self.bench)
            .expect("the disk is well")
    }

    fn follow(&mut self, leader: u16, leader_epoch: u32, partition_epoch: u32) -> Option<RoleChange> {
        let registration = registration(leader, leader_epoch, partition_epoch, &[1, 2, 3]);
        self.partition.make_follower(&registration, &mut self.bench)
    }

    /// Appends a batch of so many records; its base offset.
    fn append(&mut self, count: u32, acks: Acks) -> Result<u64, ErrorCode> {
        let batch = self.bench.batch(count);
        let appended = self
            .partition
            .append_records_to_leader(&batch, acks, &self.view, &mut self.bench);
        appended.map(|appended| appended.appended.base_offset.0)
    }

    /// A follower's fetch without anything behind the read.
    fn read(&mut self, follower: ServerId, request: &FetchPartition) -> Result<ReadInfo, ErrorCode> {
        Ok(self.read_both(follower, request)?.1)
    }

    fn read_both(
        &mut self,
        follower: ServerId,
        request: &FetchPartition,
    ) -> Result<(super::FollowerFetch, ReadInfo), ErrorCode> {
        let identity = BrokerIdentity {
            broker: follower,
            epoch: self.view.of(follower).epoch,
        };
        let mut into = SmallVec::new();
        self.partition
            .read_for_follower(identity, request, 1_000, true, &mut into, &mut self.bench)
    }

    /// A whole fetch of a follower whose log ends at `offset`, in the present epoch: the proposal it brings about.
    fn fetch(&mut self, follower: ServerId, offset: u64) -> Option<AlterPartitionProposal> {
        let request = request(self.partition.leader_epoch(), offset);
        let (fetch, _) = self.read_both(follower, &request).expect("an ordinary fetch");
        let (view, bench) = (&self.view, &mut self.bench);
        let changed = self.partition.update_follower_fetch_state(&fetch, view, bench);
        let proposal = self.partition.maybe_expand_isr(fetch.replica, view, bench);
        if changed.expect("an incarnation that is registered") {
            self.partition.high_watermark_after_fetch(fetch.time, view, bench);
        }
        proposal
    }

    fn shrink(&mut self) -> Option<AlterPartitionProposal> {
        self.partition.maybe_shrink_isr(&self.view, &mut self.bench)
    }

    fn complete(
        &mut self,
        sent: &AlterPartitionProposal,
        answer: Result<&AlterPartitionResult, ErrorCode>,
    ) -> super::AlterPartitionOutcome {
        self.partition
            .complete_alter_partition(sent, answer, &self.view, &mut self.bench)
    }

    fn wait(&mut self, millis: u64) {
        self.bench.now += Duration::millis(millis);
    }

    fn high_watermark(&self) -> u64 {
        self.partition.log().high_watermark().0
    }

    fn end(&self) -> u64 {
        self.partition.log().end().0
    }
}

fn request(epoch: Option<LeaderEpoch>, offset: u64) -> FetchPartition {
    FetchPartition {
        partition: PartitionId(0),
        current_leader_epoch: epoch,
        fetch_offset: Offset(offset),
        last_fetched_epoch: None,
        log_start: Offset(0),
        max_bytes: 1_000,
    }
}

/// The controller's answer that grants a proposal.
fn granted(proposal: &AlterPartitionProposal) -> AlterPartitionResult {
    AlterPartitionResult {
        partition: proposal.partition,
        error: ErrorCode::None,
        leader: Some(ME),
        leader_epoch: proposal.leader_epoch,
        isr: proposal.isr.iter().map(|member| member.0).collect(),
        recovery: proposal.recovery,
        partition_epoch: PartitionEpoch(proposal.partition_epoch.0 + 1),
    }
}

fn members(proposal: &AlterPartitionProposal) -> Vec<u16> {
    proposal.isr.iter().map(|member| member.0.0).collect()
}
