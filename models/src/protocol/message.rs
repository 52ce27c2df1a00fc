//! What travels on a connection: requests and responses with a correlation id.

use ktrial_sim::Message as Carried;

use crate::ids::PartitionId;
use crate::protocol::{Request, Response, Subscription};

/// Pairs a response with its request on one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Correlation(pub u32);

/// A request or a response.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// From the one who opened the connection.
    Request(Correlation, Request),
    /// From the one who accepted it.
    Response(Correlation, Response),
}

// A message is moved a dozen times from the sender's lane to the reader's: what is large in it belongs into a box.
const _: () = assert!(size_of::<Message>() <= 40);

/// Message kinds, for faults that hold back all requests (or responses) of a kind. A response's kind is its
/// request's plus [`api::RESPONSE`].
pub mod api {
    /// Names by kind.
    pub const NAMES: [&str; 26] = [
        "ApiVersions",
        "Metadata",
        "Produce",
        "Fetch",
        "ListOffsets",
        "OffsetForLeaderEpoch",
        "InitProducerId",
        "AllocateProducerIds",
        "CreateTopics",
        "ElectLeaders",
        "BrokerRegistration",
        "BrokerHeartbeat",
        "AlterPartition",
        "Vote",
        "BeginQuorumEpoch",
        "EndQuorumEpoch",
        "FetchQuorum",
        "FindCoordinator",
        "JoinGroup",
        "SyncGroup",
        "Heartbeat",
        "LeaveGroup",
        "OffsetCommit",
        "OffsetFetch",
        "AssignReplicasToDirs",
        "ConsumerGroupHeartbeat",
    ];
    /// What a response adds to the kind of its request.
    pub const RESPONSE: u8 = 32;
}

/// Request header, response header and framing, in bytes.
const HEADER_BYTES: u32 = 40;
/// What one partition adds to a request or response, in bytes.
const PARTITION_BYTES: u32 = 50;
/// What one member of a group adds, with its ids and those of the group, in bytes.
const MEMBER_BYTES: u32 = 120;

impl Request {
    /// Its kind, an index into [`api::NAMES`].
    pub fn kind(&self) -> u8 {
        match self {
            Request::ApiVersions => 0,
            Request::Metadata(_) => 1,
            Request::Produce(_) => 2,
            Request::Fetch(_) => 3,
            Request::ListOffsets(_) => 4,
            Request::OffsetForLeaderEpoch(_) => 5,
            Request::InitProducerId => 6,
            Request::AllocateProducerIds(_) => 7,
            Request::CreateTopic(_) => 8,
            Request::ElectLeaders(_) => 9,
            Request::BrokerRegistration(_) => 10,
            Request::BrokerHeartbeat(_) => 11,
            Request::AlterPartition(_) => 12,
            Request::Vote(_) => 13,
            Request::BeginQuorumEpoch(_) => 14,
            Request::EndQuorumEpoch(_) => 15,
            Request::QuorumFetch(_) => 16,
            Request::FindCoordinator(_) => 17,
            Request::JoinGroup(_) => 18,
            Request::SyncGroup(_) => 19,
            Request::Heartbeat(_) => 20,
            Request::LeaveGroup(_) => 21,
            Request::OffsetCommit(_) => 22,
            Request::OffsetFetch(_) => 23,
            Request::AssignReplicasToDirs(_) => 24,
            Request::ConsumerGroupHeartbeat(_) => 25,
        }
    }

    /// Estimated size without headers, in bytes.
    fn body_bytes(&self) -> u32 {
        match self {
            Request::Produce(produce) => produce
                .batches
                .iter()
                .map(|(_, batch)| PARTITION_BYTES + batch.bytes)
                .sum(),
            Request::Fetch(fetch) => PARTITION_BYTES * fetch.partitions.len() as u32 + 30,
            Request::AlterPartition(alter) => PARTITION_BYTES * alter.partitions.len() as u32,
            Request::AssignReplicasToDirs(assign) => PARTITION_BYTES * assign.partitions.len() as u32,
            Request::JoinGroup(join) => {
                let metadata = join
                    .protocols
                    .iter()
                    .map(|(_, subscription)| subscription.bytes());
                MEMBER_BYTES + metadata.sum::<u32>()
            }
            Request::SyncGroup(sync) => {
                let assignments = sync.assignments.iter().map(|(_, assigned)| assigned.len() as u32);
                MEMBER_BYTES + assignments.map(|count| MEMBER_BYTES + 4 * count).sum::<u32>()
            }
            Request::LeaveGroup(leave) => MEMBER_BYTES * leave.members.len() as u32,
            Request::ConsumerGroupHeartbeat(beat) => {
                let topics = beat.subscribed_topics.as_ref().map_or(0, |topics| topics.len());
                let owned = beat.owned.as_ref().map_or(0, |owned| owned.len());
                MEMBER_BYTES + 20 * topics as u32 + 4 * owned as u32
            }
            Request::OffsetCommit(commit) => {
                let lengths = commit
                    .partitions
                    .iter()
                    .map(|partition| partition.metadata_length);
                MEMBER_BYTES + PARTITION_BYTES * commit.partitions.len() as u32 + lengths.sum::<u32>()
            }
            Request::OffsetFetch(fetch) => {
                let partitions = fetch.partitions.as_ref().map_or(0, |partitions| partitions.len());
                MEMBER_BYTES + 4 * partitions as u32
            }
            _ => 60,
        }
    }

    #[inline]
    fn digest(&self) -> u64 {
        match self {
            Request::Produce(produce) => {
                produce
                    .batches
                    .iter()
                    .fold(produce.batches.len() as u64, |hash, (p, batch)| {
                        mix(
                            hash,
                            u64::from(p.0),
                            u64::from(batch.records.start) << 32 | u64::from(batch.records.count),
                        )
                    })
            }
            Request::Fetch(fetch) => fetch
                .partitions
                .iter()
                .fold(u64::from(fetch.session_epoch as u32), |hash, p| {
                    mix(hash, u64::from(p.partition.0), p.fetch_offset.0)
                }),
            Request::QuorumFetch(fetch) => mix(1, u64::from(fetch.epoch.0), fetch.fetch_offset.0),
            Request::Vote(vote) => mix(
                2,
                u64::from(vote.epoch.0),
                vote.last_offset.0 << 1 | u64::from(vote.pre_vote),
            ),
            Request::AlterPartition(alter) => alter.partitions.iter().fold(3, |hash, p| {
                mix(hash, u64::from(p.partition_epoch.0), p.isr.len() as u64)
            }),
            Request::AssignReplicasToDirs(assign) => {
                let first = mix(7, assign.identity.epoch.0, assign.directory.0);
                assign
                    .partitions
                    .iter()
                    .fold(first, |hash, partition| mix(hash, u64::from(partition.0), 0))
            }
            Request::BrokerHeartbeat(beat) => mix(4, beat.identity.epoch.0, beat.metadata_offset.0),
            Request::JoinGroup(join) => {
                let metadata = join.protocols.iter();
                let member = mix(
                    5,
                    u64::from(join.group.0),
                    join.member.map_or(0, |member| member.0),
                );
                metadata.fold(member, |hash, (assignor, subscription)| {
                    mix(hash, *assignor as u64, subscription.digest())
                })
            }
            Request::SyncGroup(sync) => sync.assignments.iter().fold(
                mix(u64::from(sync.group.0), sync.member.0, sync.generation.0 as u64),
                |hash, (member, assigned)| mix(hash, member.0, digest_of(assigned)),
            ),
            Request::Heartbeat(beat) => mix(u64::from(beat.group.0), beat.member.0, beat.generation.0 as u64),
            Request::LeaveGroup(leave) => {
                leave
                    .members
                    .iter()
                    .fold(u64::from(leave.group.0), |hash, identity| {
                        mix(
                            hash,
                            identity.member.map_or(0, |member| member.0),
                            identity.instance.map_or(0, |instance| u64::from(instance.0) + 1),
                        )
                    })
            }
            Request::ConsumerGroupHeartbeat(beat) => mix(
                digest_of(beat.owned.as_deref().unwrap_or_default()),
                beat.member.0,
                u64::from(beat.group.0) << 32 | u64::from(beat.member_epoch.0 as u32),
            ),
            Request::OffsetCommit(commit) => commit.partitions.iter().fold(
                mix(
                    u64::from(commit.group.0),
                    commit.member.map_or(0, |member| member.0),
                    commit.generation.0 as u64,
                ),
                |hash, p| mix(hash, u64::from(p.partition.0), p.committed.offset.0),
            ),
            Request::OffsetFetch(fetch) => {
                let partitions = fetch.partitions.as_deref().unwrap_or_default();
                mix(6, u64::from(fetch.group.0), digest_of(partitions))
            }
            _ => 0,
        }
    }
}

impl Response {
    /// Its request's kind, an index into [`api::NAMES`].
    pub fn kind(&self) -> u8 {
        match self {
            Response::ApiVersions => 0,
            Response::Metadata(_) => 1,
            Response::Produce(_) => 2,
            Response::Fetch(_) => 3,
            Response::ListOffsets(_) => 4,
            Response::OffsetForLeaderEpoch(_) => 5,
            Response::InitProducerId(_) => 6,
            Response::AllocateProducerIds(_) => 7,
            Response::CreateTopic(_) => 8,
            Response::ElectLeaders(..) => 9,
            Response::BrokerRegistration(_) => 10,
            Response::BrokerHeartbeat(_) => 11,
            Response::AlterPartition(_) => 12,
            Response::Vote(_) => 13,
            Response::BeginQuorumEpoch(_) => 14,
            Response::EndQuorumEpoch(_) => 15,
            Response::QuorumFetch(_) => 16,
            Response::FindCoordinator(_) => 17,
            Response::JoinGroup(_) => 18,
            Response::SyncGroup(_) => 19,
            Response::Heartbeat(_) => 20,
            Response::LeaveGroup(_) => 21,
            Response::OffsetCommit(_) => 22,
            Response::OffsetFetch(_) => 23,
            Response::AssignReplicasToDirs(_) => 24,
            Response::ConsumerGroupHeartbeat(_) => 25,
        }
    }

    fn body_bytes(&self) -> u32 {
        match self {
            Response::Fetch(fetch) => fetch
                .partitions
                .iter()
                .map(|p| PARTITION_BYTES + p.batches.iter().map(|batch| batch.bytes).sum::<u32>())
                .sum(),
            Response::Metadata(metadata) => metadata
                .topics
                .iter()
                .map(|topic| 40 + PARTITION_BYTES * topic.partitions.len() as u32)
                .sum(),
            Response::QuorumFetch(fetch) => fetch
                .batches
                .iter()
                .map(|batch| 61 + 80 * batch.records.count)
                .sum(),
            Response::JoinGroup(join) => {
                let members = join
                    .members
                    .iter()
                    .map(|member| MEMBER_BYTES + member.metadata.bytes());
                MEMBER_BYTES + members.sum::<u32>()
            }
            Response::SyncGroup(sync) => {
                40 + 4 * sync
                    .assignment
                    .as_ref()
                    .map_or(0, |assigned| assigned.len() as u32)
            }
            Response::ConsumerGroupHeartbeat(beat) => {
                40 + 4 * beat
                    .assignment
                    .as_ref()
                    .map_or(0, |assigned| assigned.len() as u32)
            }
            Response::OffsetFetch(fetch) => 40 + PARTITION_BYTES * fetch.partitions.len() as u32,
            _ => 40,
        }
    }

    #[inline]
    fn digest(&self) -> u64 {
        match self {
            Response::Produce(produce) => produce.partitions.iter().fold(1, |hash, p| {
                mix(
                    hash,
                    p.error as i16 as u64,
                    p.base_offset.map_or(u64::MAX, |offset| offset.0),
                )
            }),
            Response::Fetch(fetch) => fetch
                .partitions
                .iter()
                .fold(fetch.error as i16 as u64, |hash, p| {
                    mix(
                        hash,
                        p.error as i16 as u64 ^ p.high_watermark.0,
                        p.batches.len() as u64,
                    )
                }),
            Response::QuorumFetch(fetch) => mix(
                2,
                u64::from(fetch.state.epoch.0),
                fetch.high_watermark.map_or(0, |offset| offset.0) << 8 | fetch.batches.len() as u64,
            ),
            Response::Vote(vote) => mix(3, u64::from(vote.state.epoch.0), u64::from(vote.granted)),
            Response::AlterPartition(Ok(partitions)) => partitions.iter().fold(4, |hash, p| {
                mix(hash, p.error as i16 as u64, u64::from(p.partition_epoch.0))
            }),
            Response::FindCoordinator(found) => match found {
                Ok(server) => u64::from(server.0),
                Err(error) => mix(5, *error as i16 as u64, 0),
            },
            Response::JoinGroup(join) => join.members.iter().fold(
                mix(
                    join.error as i16 as u64,
                    join.generation.0 as u64,
                    join.member.map_or(0, |member| member.0),
                ),
                |hash, joined| mix(hash, joined.member.0, joined.metadata.digest()),
            ),
            Response::SyncGroup(sync) => mix(
                6,
                sync.error as i16 as u64,
                digest_of(sync.assignment.as_deref().unwrap_or_default()),
            ),
            Response::Heartbeat(error) => *error as i16 as u64,
            Response::LeaveGroup(leave) => leave
                .members
                .iter()
                .fold(leave.error as i16 as u64, |hash, (_, error)| {
                    mix(hash, *error as i16 as u64, 7)
                }),
            Response::ConsumerGroupHeartbeat(beat) => mix(
                9,
                beat.error as i16 as u16 as u64 | u64::from(beat.member_epoch.0 as u32) << 16,
                digest_of(beat.assignment.as_deref().unwrap_or_default()),
            ),
            Response::OffsetCommit(commit) => commit.partitions.iter().fold(8, |hash, (partition, error)| {
                mix(hash, u64::from(partition.0), *error as i16 as u64)
            }),
            Response::OffsetFetch(fetch) => {
                fetch
                    .partitions
                    .iter()
                    .fold(fetch.error as i16 as u64, |hash, p| {
                        mix(
                            hash,
                            u64::from(p.partition.0) << 32 | p.error as i16 as u16 as u64,
                            p.committed.map_or(u64::MAX, |committed| committed.offset.0),
                        )
                    })
            }
            _ => 0,
        }
    }
}

impl Subscription {
    /// Estimated size, in bytes.
    fn bytes(&self) -> u32 {
        let user_data = self.user_data.as_ref().map_or(0, |data| data.previous.len());
        20 + 20 * self.topics.len() as u32 + 4 * (self.owned.len() + user_data) as u32
    }

    fn digest(&self) -> u64 {
        let topics = self.topics.iter().fold(self.generation.0 as u64, |hash, topic| {
            mix(hash, u64::from(*topic), 1)
        });
        let previous = self.user_data.as_ref().map(|data| digest_of(&data.previous));
        mix(topics, digest_of(&self.owned), previous.unwrap_or_default())
    }
}

fn digest_of(partitions: &[PartitionId]) -> u64 {
    partitions
        .iter()
        .fold(partitions.len() as u64, |hash, id| mix(hash, u64::from(id.0), 2))
}

#[inline]
fn mix(hash: u64, a: u64, b: u64) -> u64 {
    (hash.rotate_left(5) ^ a)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(23)
        ^ b.wrapping_mul(0xa076_1d64_78bd_642f)
}

impl Carried for Message {
    #[inline]
    fn bytes(&self) -> u32 {
        match self {
            Message::Request(_, request) => HEADER_BYTES + request.body_bytes(),
            Message::Response(_, response) => HEADER_BYTES + response.body_bytes(),
        }
    }

    #[inline]
    fn kind(&self) -> u8 {
        match self {
            Message::Request(_, request) => request.kind(),
            Message::Response(_, response) => api::RESPONSE + response.kind(),
        }
    }

    #[inline]
    fn digest(&self) -> u64 {
        match self {
            Message::Request(correlation, request) => mix(
                u64::from(request.kind()),
                u64::from(correlation.0),
                request.digest(),
            ),
            Message::Response(correlation, response) => mix(
                u64::from(response.kind() | 64),
                u64::from(correlation.0),
                response.digest(),
            ),
        }
    }
}
