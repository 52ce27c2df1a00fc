//! What travels on a connection: requests and responses with a correlation id.

use ktrial_sim::Message as Carried;

use crate::protocol::{Request, Response};

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
    pub const NAMES: [&str; 17] = [
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
    ];
    /// What a response adds to the kind of its request.
    pub const RESPONSE: u8 = 32;
}

/// Request header, response header and framing, in bytes.
const HEADER_BYTES: u32 = 40;
/// What one partition adds to a request or response, in bytes.
const PARTITION_BYTES: u32 = 50;

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
            _ => 60,
        }
    }

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
            Request::BrokerHeartbeat(beat) => mix(4, beat.identity.epoch.0, beat.metadata_offset.0),
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
            _ => 40,
        }
    }

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
            _ => 0,
        }
    }
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
