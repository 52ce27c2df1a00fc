//! Members of groups by hand.

use std::sync::Arc;

use ktrial_models::config::TopicSettings;
use ktrial_models::ids::{
    ClientId, GenerationId, GroupId, MemberEpoch, MemberId, Offset, PartitionId, ServerId,
};
use ktrial_models::probe::Ask;
use ktrial_models::protocol::{
    Assignment, Assignor, CommittedOffset, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    CoordinatorKey, Correlation, ErrorCode, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    OffsetCommitPartition, OffsetCommitRequest, OffsetFetchRequest, ProtocolType, Request, Response,
    Subscription, SyncGroupRequest, SyncGroupResponse,
};
use ktrial_models::specification::{CONSUMER_OFFSETS, ClusterSpecification, Groups};
use ktrial_sim::Duration;
use smallvec::smallvec;

use super::Cluster;

/// The only group there is.
pub const GROUP: GroupId = GroupId(0);

/// The same cluster with a group called `billing`.
pub fn with_group(mut specification: ClusterSpecification) -> ClusterSpecification {
    let names = vec!["billing".to_owned()];
    specification.groups = Groups::new(names, &specification.broker, TopicSettings::default());
    specification
}

/// A JoinGroup with Kafka's default timeouts.
pub fn join_request(member: Option<MemberId>) -> JoinGroupRequest {
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
        member,
        instance: None,
        session_timeout: Duration::secs(45),
        rebalance_timeout: Duration::secs(300),
        protocol_type: ProtocolType::Consumer,
        protocols: smallvec![(Assignor::Range, Arc::new(subscription))],
    }
}

/// A heartbeat of a member of a consumer group that has nothing new to say.
pub fn consumer_heartbeat(member: u64, epoch: i32) -> ConsumerGroupHeartbeatRequest {
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

/// The first heartbeat of a member of a consumer group that subscribes to these topics.
pub fn consumer_join(member: u64, topics: &[u16]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout: Some(Duration::secs(300)),
        subscribed_topics: Some(topics.iter().copied().collect()),
        owned: Some([].into()),
        ..consumer_heartbeat(member, 0)
    }
}

/// A heartbeat that says what the member owns.
pub fn consumer_owns(member: u64, epoch: i32, owned: &[u32]) -> ConsumerGroupHeartbeatRequest {
    let owned = owned.iter().map(|partition| PartitionId(*partition));
    ConsumerGroupHeartbeatRequest {
        owned: Some(owned.collect()),
        ..consumer_heartbeat(member, epoch)
    }
}

impl Cluster {
    /// Sends a ConsumerGroupHeartbeat, without waiting.
    pub fn send_beat(&mut self, to: ServerId, request: ConsumerGroupHeartbeatRequest) -> Correlation {
        self.send(
            to,
            Ask::Request(Request::ConsumerGroupHeartbeat(Box::new(request))),
        )
    }

    /// Sends a ConsumerGroupHeartbeat and waits for the answer.
    pub fn beat_in_full(
        &mut self,
        to: ServerId,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let mut sent = self.send_beat(to, request.clone());
        if let Some(Err(_)) = self.await_answer(sent) {
            // On a connection of before the broker's last start.
            sent = self.send_beat(to, request);
        }
        match self.await_answer(sent) {
            Some(Ok(Response::ConsumerGroupHeartbeat(response))) => *response,
            other => panic!("{other:?}"),
        }
    }

    /// The same: the error, or the member's epoch and what it may use, if that is told.
    pub fn beat(
        &mut self,
        to: ServerId,
        request: ConsumerGroupHeartbeatRequest,
    ) -> Result<(i32, Option<Vec<u32>>), ErrorCode> {
        let response = self.beat_in_full(to, request);
        let assignment = response.assignment.as_ref();
        let numbers = assignment.map(|list| list.iter().map(|partition| partition.0).collect());
        match response.error {
            ErrorCode::None => Ok((response.member_epoch.0, numbers)),
            error => Err(error),
        }
    }

    /// Asks brokers that run until one knows who coordinates the group and that one has read its partition.
    pub fn coordinator(&mut self) -> ServerId {
        for _ in 0..600 {
            let broker = self
                .brokers()
                .into_iter()
                .find(|id| self.runs(*id))
                .expect("a broker runs");
            let found = self.ask(broker, Request::FindCoordinator(CoordinatorKey::Group(GROUP)));
            if let Some(Ok(Response::FindCoordinator(Ok(coordinator)))) = found
                && self.runs(coordinator)
                && self
                    .broker(coordinator)
                    .group_coordinator(GROUP)
                    .is_some_and(|context| {
                        context.state() == ktrial_models::broker::coordinator::CoordinatorState::Active
                    })
            {
                return coordinator;
            }
            self.run_for(Duration::millis(100));
        }
        panic!("nobody coordinates: {:#?}", self.told);
    }

    /// The partition of `__consumer_offsets` that keeps the group, in the eyes of a broker.
    pub fn offsets_partition(&self, broker: ServerId) -> PartitionId {
        let image = self.broker(broker).metadata();
        let topic = image.topic_of(CONSUMER_OFFSETS).expect("the topic is there");
        let partitions = &image.topic(topic).expect("it is there").partitions;
        let index = ktrial_models::groups::partition_of("billing", partitions.len() as u32);
        partitions[index as usize]
    }

    /// Commits an offset, without waiting. No member: from outside of the group's membership.
    pub fn send_commit(
        &mut self,
        to: ServerId,
        member: Option<(MemberId, i32)>,
        partition: PartitionId,
        offset: u64,
    ) -> Correlation {
        let request = OffsetCommitRequest {
            group: GROUP,
            generation: member.map_or(GenerationId::NONE, |(_, generation)| GenerationId(generation)),
            member: member.map(|(id, _)| id),
            instance: None,
            partitions: smallvec![OffsetCommitPartition {
                partition,
                committed: CommittedOffset {
                    offset: Offset(offset),
                    leader_epoch: None,
                },
                metadata_length: 0,
            }],
        };
        self.send(to, Ask::Request(Request::OffsetCommit(Box::new(request))))
    }

    /// The error a commit was answered with.
    pub fn commit_answer(&self, correlation: Correlation) -> Option<ErrorCode> {
        match self.answer(correlation)? {
            Ok(Response::OffsetCommit(response)) => Some(response.partitions[0].1),
            other => panic!("{other:?}"),
        }
    }

    /// Commits an offset and waits for the answer.
    pub fn commit(
        &mut self,
        to: ServerId,
        member: Option<(MemberId, i32)>,
        partition: PartitionId,
        offset: u64,
    ) -> ErrorCode {
        let mut sent = self.send_commit(to, member, partition, offset);
        if let Some(Err(_)) = self.await_answer(sent) {
            // On a connection of before the broker's last start.
            sent = self.send_commit(to, member, partition, offset);
            self.await_answer(sent);
        }
        self.commit_answer(sent).expect("the commit is answered")
    }

    /// What the group has committed: the error of the whole, and the offset.
    pub fn committed(
        &mut self,
        at: ServerId,
        partition: PartitionId,
        require_stable: bool,
    ) -> (ErrorCode, Option<u64>) {
        let request = OffsetFetchRequest {
            group: GROUP,
            member: None,
            member_epoch: GenerationId::NONE,
            partitions: Some(smallvec![partition]),
            require_stable,
        };
        let mut answer = self.ask(at, Request::OffsetFetch(Box::new(request.clone())));
        if let Some(Err(_)) = answer {
            // On a connection of before the broker's last start.
            answer = self.ask(at, Request::OffsetFetch(Box::new(request)));
        }
        match answer {
            Some(Ok(Response::OffsetFetch(response))) => {
                let fetched = response.partitions.first().and_then(|fetched| fetched.committed);
                (response.error, fetched.map(|committed| committed.offset.0))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Sends a JoinGroup, without waiting.
    pub fn send_join(&mut self, to: ServerId, request: JoinGroupRequest) -> Correlation {
        self.send(to, Ask::Request(Request::JoinGroup(Box::new(request))))
    }

    /// Sends a JoinGroup and waits for the answer.
    pub fn join(&mut self, to: ServerId, request: JoinGroupRequest) -> JoinGroupResponse {
        let sent = self.send_join(to, request);
        match self.await_answer(sent) {
            Some(Ok(Response::JoinGroup(response))) => *response,
            other => panic!("{other:?}"),
        }
    }

    /// Joins as a new dynamic member: with the id that the first answer gives.
    pub fn join_anew(&mut self, to: ServerId) -> JoinGroupResponse {
        let refused = self.join(to, join_request(None));
        assert_eq!(refused.error, ErrorCode::MemberIdRequired);
        self.join(to, join_request(refused.member))
    }

    /// Sends a SyncGroup, with what everybody is assigned if the member leads.
    pub fn sync(
        &mut self,
        to: ServerId,
        member: MemberId,
        generation: i32,
        assigned: &[(MemberId, PartitionId)],
    ) -> SyncGroupResponse {
        let assignments = assigned.iter().map(|(member, partition)| {
            let partitions: Assignment = [*partition].into();
            (*member, partitions)
        });
        let request = SyncGroupRequest {
            group: GROUP,
            generation: GenerationId(generation),
            member,
            instance: None,
            protocol_type: Some(ProtocolType::Consumer),
            protocol: Some(Assignor::Range),
            assignments: assignments.collect(),
        };
        match self.ask(to, Request::SyncGroup(Box::new(request))) {
            Some(Ok(Response::SyncGroup(response))) => *response,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a heartbeat and waits for the answer.
    pub fn heartbeat(&mut self, to: ServerId, member: MemberId, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group: GROUP,
            generation: GenerationId(generation),
            member,
            instance: None,
        };
        match self.ask(to, Request::Heartbeat(Box::new(request))) {
            Some(Ok(Response::Heartbeat(error))) => error,
            other => panic!("{other:?}"),
        }
    }

    /// A stable group of one member, in its first generation.
    pub fn stable_group(&mut self, coordinator: ServerId) -> MemberId {
        let joined = self.join_anew(coordinator);
        assert_eq!(
            (joined.error, joined.generation),
            (ErrorCode::None, GenerationId(1))
        );
        let member = joined.member.expect("it has an id");
        let synced = self.sync(coordinator, member, 1, &[(member, PartitionId(0))]);
        assert_eq!(synced.error, ErrorCode::None);
        member
    }
}
