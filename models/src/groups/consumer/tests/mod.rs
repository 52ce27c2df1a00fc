//! Members of a consumer group by hand: what they are told, what is written, what is loaded.

mod epochs;
mod membership;
mod migration;
mod offsets;
mod reconciliation;
mod topics;
mod walks;

use ktrial_sim::Duration;
use smallvec::smallvec;

use super::*;
use crate::config::MigrationPolicy;
use crate::groups::testing::{GROUP, GroupBench};
use crate::groups::{GroupRequest, GroupTimer, ResponseId};
use crate::ids::*;
use crate::metadata::{LeaderRecoveryState, MetadataRecord, PartitionRegistration};
use crate::notes::{GroupNote, MemberRemoval};
use crate::protocol::*;

/// A shard with topics and consumer groups.
struct Bench(GroupBench);

impl std::ops::Deref for Bench {
    type Target = GroupBench;

    fn deref(&self) -> &GroupBench {
        &self.0
    }
}

impl std::ops::DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut GroupBench {
        &mut self.0
    }
}

/// What a member was told: its epoch and what it may use, if that is told.
type Told = (i32, Option<Vec<u32>>);

impl Bench {
    /// A topic with partitions 0, 1, 2 on two racks, and no interval between assignments.
    fn new() -> Self {
        let mut bench = Bench(GroupBench::new());
        bench.settings.group_consumer_assignment_interval_ms = Duration::ZERO;
        bench.create_topic(0, 3);
        bench
    }

    /// Creates the topic of this number in the specification; partitions are numbered on.
    fn create_topic(&mut self, specification: u16, partitions: u32) {
        let topic = TopicId(self.image.topics().count() as u16);
        self.image.apply(&MetadataRecord::Topic { topic, specification });
        self.create_partitions(topic, 0..partitions);
        self.shard.topics_changed(&[specification]);
    }

    fn create_partitions(&mut self, topic: TopicId, indexes: std::ops::Range<u32>) {
        for index in indexes {
            let partition = PartitionId(self.image.partition_numbers());
            let registration = Box::new(PartitionRegistration {
                topic,
                index,
                replicas: smallvec![ServerId(1)],
                directories: smallvec![DirectoryId::UNASSIGNED],
                isr: smallvec![ServerId(1)],
                elr: smallvec![],
                last_known_elr: None,
                leader: Some(ServerId(1)),
                leader_epoch: LeaderEpoch(0),
                partition_epoch: PartitionEpoch(0),
                recovery: LeaderRecoveryState::Recovered,
            });
            self.image.apply(&MetadataRecord::Partition {
                partition,
                registration,
            });
        }
    }

    fn ask(&mut self, request: GroupRequest) -> Result<Response, ErrorCode> {
        self.ask_and(request, Ok(()))
    }

    fn ask_and(
        &mut self,
        request: GroupRequest,
        appended: Result<(), ErrorCode>,
    ) -> Result<Response, ErrorCode> {
        let response = self.send(request, appended)?;
        appended.map(|()| response.expect("it is answered with its records"))
    }

    fn beat(&mut self, request: ConsumerGroupHeartbeatRequest) -> Result<Told, ErrorCode> {
        match self.ask(GroupRequest::ConsumerGroupHeartbeat(Box::new(request)))? {
            Response::ConsumerGroupHeartbeat(response) => Ok(told(&response)),
            other => panic!("{other:?}"),
        }
    }

    /// A dynamic member joins, subscribed to the first topic.
    fn join(&mut self, member: u64) -> Told {
        self.beat(join_request(member)).expect("it may join")
    }

    /// A heartbeat in which nothing is new but what the member owns.
    fn owns(&mut self, member: u64, epoch: i32, owned: &[u32]) -> Result<Told, ErrorCode> {
        self.beat(ConsumerGroupHeartbeatRequest {
            owned: Some(partitions(owned)),
            ..heartbeat(member, epoch)
        })
    }

    /// A heartbeat in which nothing is new.
    fn stays(&mut self, member: u64, epoch: i32) -> Result<Told, ErrorCode> {
        self.beat(heartbeat(member, epoch))
    }

    fn group(&self) -> &ConsumerGroup {
        self.shard
            .consumer_group(GROUP)
            .expect("there is a consumer group")
    }

    fn members(&self) -> Vec<u64> {
        self.group().members().map(|member| member.id.0).collect()
    }

    /// A member's epoch, state, what it may use and what it is to give up.
    fn current(&self, member: u64) -> (i32, MemberState, Vec<u32>, Vec<u32>) {
        let member = self.group().member(MemberId(member)).expect("it is a member");
        let numbers = |list: &[(PartitionId, MemberEpoch)]| list.iter().map(|(id, _)| id.0).collect();
        let current = &member.current;
        (
            current.epoch.0,
            current.state,
            numbers(&current.assigned),
            numbers(&current.revoking),
        )
    }

    fn removals(&self) -> Vec<(u64, MemberRemoval)> {
        let removed = |note: &GroupNote| match note {
            GroupNote::Removed { member, why } => Some((member.0, *why)),
            _ => None,
        };
        self.notes.iter().filter_map(removed).collect()
    }
}

fn told(response: &ConsumerGroupHeartbeatResponse) -> Told {
    assert_eq!(response.error, ErrorCode::None);
    let assignment = response.assignment.as_ref();
    let numbers = assignment.map(|list| list.iter().map(|partition| partition.0).collect());
    (response.member_epoch.0, numbers)
}

fn partitions(numbers: &[u32]) -> Assignment {
    numbers.iter().map(|number| PartitionId(*number)).collect()
}

fn heartbeat(member: u64, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group: GROUP,
        client: ClientId(0),
        member: MemberId(member),
        member_epoch: MemberEpoch(epoch),
        instance: None,
        rack: None,
        rebalance_timeout: None,
        subscribed_topics: None,
        server_assignor: None,
        owned: None,
    }
}

fn join_request(member: u64) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout: Some(Duration::secs(300)),
        subscribed_topics: Some(smallvec![0]),
        owned: Some(partitions(&[])),
        ..heartbeat(member, 0)
    }
}

const DISABLED: MigrationPolicy = MigrationPolicy {
    upgrade: false,
    downgrade: false,
};

/// A JoinGroup of the classic protocol, subscribed to the first topic.
fn classic_join(member: Option<u64>) -> JoinGroupRequest {
    let subscription = Subscription {
        topics: smallvec![0],
        user_data: None,
        owned: smallvec![],
        generation: GenerationId::NONE,
        rack: None,
    };
    JoinGroupRequest {
        group: GROUP,
        client: ClientId(0),
        member: member.map(MemberId),
        instance: None,
        session_timeout: Duration::secs(45),
        rebalance_timeout: Duration::secs(300),
        protocol_type: ProtocolType::Consumer,
        protocols: smallvec![(Assignor::Range, std::sync::Arc::new(subscription))],
    }
}

fn all(numbers: &[u32]) -> Option<Vec<u32>> {
    Some(numbers.to_vec())
}
