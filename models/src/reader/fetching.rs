//! Fetches: `AbstractFetch`, `Fetcher`.

use ktrial_sim::Time;
use smallvec::SmallVec;

use super::collect::CompletedFetch;
use super::core::{Core, Token};
use super::session::Session;
use crate::client::{Environment, Node};
use crate::ids::{Offset, PartitionId, ServerId};
use crate::protocol::{CurrentLeader, ErrorCode, FetchPartition, FetchRequest, FetchResponse, Request};

impl Core {
    /// Where a partition is read: at its preferred replica if that is online, else at its leader.
    fn read_from(&mut self, index: usize, now: Time) -> Option<ServerId> {
        let assigned = &mut self.assigned[index];
        let position = assigned.position.expect("a fetchable partition has a position");
        let Some(leader) = position.leader.leader else {
            self.metadata.request_update(false);
            return None;
        };
        match assigned.preferred_replica(now) {
            Some(replica) if self.metadata.is_online(assigned.partition, replica) => Some(replica),
            Some(_) => {
                self.metadata.request_update(false);
                assigned.clear_preferred();
                Some(leader)
            }
            None => Some(leader),
        }
    }

    /// One request for each node that has none and of which nothing is buffered (`AbstractFetch.prepareFetchRequests`).
    pub(crate) fn send_fetches(&mut self, environment: &mut impl Environment) {
        let now = environment.wall();
        let mut targets: SmallVec<[(ServerId, usize); 16]> = SmallVec::new();
        let mut buffered_nodes: SmallVec<[ServerId; 8]> = SmallVec::new();
        for index in 0..self.assigned.len() {
            if !self.assigned[index].is_fetchable() {
                continue;
            }
            let partition = self.assigned[index].partition;
            let Some(server) = self.read_from(index, now) else {
                continue;
            };
            if self.buffer.iter().any(|fetch| fetch.data.partition == partition) {
                buffered_nodes.push(server);
            } else if !self.pending_fetches.contains(&server)
                && !self.network.is_unavailable(Node::Broker(server), now)
            {
                targets.push((server, index));
            }
        }
        if targets.is_empty() {
            return;
        }
        if !buffered_nodes.is_empty() {
            targets.retain(|(server, _)| !buffered_nodes.contains(server));
        }
        while let Some((server, _)) = targets.first().copied() {
            self.wanted.clear();
            for (other, index) in &targets {
                if *other != server {
                    continue;
                }
                let assigned = &self.assigned[*index];
                let position = assigned.position.expect("a fetchable partition has a position");
                self.wanted.push(FetchPartition {
                    partition: assigned.partition,
                    current_leader_epoch: position.leader.epoch,
                    fetch_offset: position.offset,
                    last_fetched_epoch: None,
                    log_start: Offset(0),
                    max_bytes: self.settings.max_partition_fetch_bytes,
                });
            }
            targets.retain(|(other, _)| *other != server);
            let index = usize::from(server.0);
            if index >= self.sessions.len() {
                self.sessions.resize(index + 1, Session::default());
            }
            let session = self.sessions[index].build(&self.wanted);
            let request = Request::Fetch(environment.contents().fetches.fill(|| FetchRequest {
                replica: None,
                max_wait: self.settings.fetch_max_wait_ms,
                min_bytes: self.settings.fetch_min_bytes,
                max_bytes: self.settings.fetch_max_bytes,
                isolation: self.settings.isolation_level,
                session: session.session,
                session_epoch: session.epoch,
                partitions: session.send,
                forgotten: session.forget,
                rack: self.rack,
            }));
            self.pending_fetches.push(server);
            self.enqueue(server, Token::Fetch, request, now);
        }
    }

    /// Whether something is buffered that can be handed out.
    pub(crate) fn has_available(&self) -> bool {
        let can_be_handed_out = |fetch: &CompletedFetch| {
            let index = self.index_of(fetch.data.partition);
            index.is_some_and(|index| self.assigned[index].is_fetchable())
        };
        !self.buffer.is_empty() && self.buffer.iter().any(can_be_handed_out)
    }

    /// `AbstractFetch.handleFetchSuccess`.
    pub(crate) fn fetched(&mut self, server: ServerId, response: &mut FetchResponse) {
        let session = &mut self.sessions[usize::from(server.0)];
        if !session.answered(response) {
            return;
        }
        let mut hints: SmallVec<[(PartitionId, CurrentLeader); 2]> = SmallVec::new();
        for data in response.partitions.drain(..) {
            let Some(asked) = session.partition(data.partition) else {
                continue;
            };
            if matches!(
                data.error,
                ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch
            ) {
                hints.extend(data.current_leader.map(|hint| (data.partition, hint)));
            }
            self.buffer.push_back(CompletedFetch {
                next_offset: asked.fetch_offset,
                data,
                server,
                initialized: false,
                put_back: false,
            });
        }
        for (partition, hint) in hints {
            if self.metadata.update_partition_leadership(partition, hint) {
                let leader = self.metadata.current_leader(partition);
                if let Some(assigned) = self.assigned_mut(partition) {
                    assigned.maybe_validate(leader);
                }
            }
        }
    }
}
