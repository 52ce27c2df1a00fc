//! A consumer with assigned partitions: `ClassicKafkaConsumer` without a group, `Fetcher`, `OffsetFetcher`,
//! `ConsumerNetworkClient`.

use std::collections::VecDeque;

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use super::collect::CompletedFetch;
use super::session::Session;
use super::subscription::{Assigned, FetchState, Position, Validation};
use crate::client::{
    ClientSettings, Completed, Environment, Metadata, NetworkClient, Node, Outcome, SocketEvent,
};
use crate::config::{OffsetReset, ReaderSettings};
use crate::ids::{PartitionId, ServerId};
use crate::mutation::Mutations;
use crate::notes::{ClientNote, Note};
use crate::protocol::{
    CurrentLeader, ErrorCode, FetchPartition, FetchRequest, FetchResponse, ListOffsetsRequest,
    ListOffsetsTarget, OffsetForLeaderEpochRequest, Request, Response,
};
use crate::specification::ReaderSpecification;

/// What a request of a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Fetch,
    ListOffsets(u32),
    OffsetForLeaderEpoch(u32),
}

/// Partitions of a request about positions; the position where it is to be checked.
type Asked = SmallVec<[(PartitionId, Option<Position>); 2]>;

/// A request that waits for its node to be ready.
#[derive(Debug)]
struct Unsent {
    server: ServerId,
    token: Token,
    request: Request,
    created: Time,
}

/// A consumer.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) settings: ReaderSettings,
    pub(super) client: ClientSettings,
    rack: Option<u16>,
    topics: Vec<u16>,
    pub(super) metadata: Metadata,
    network: NetworkClient<Token>,
    /// In the order in which they are asked for.
    pub(super) assigned: Vec<Assigned>,
    assigned_topics: SmallVec<[u16; 4]>,
    validated_version: u32,
    /// By server id.
    sessions: Vec<Session>,
    pending_fetches: SmallVec<[ServerId; 8]>,
    pub(super) buffer: VecDeque<CompletedFetch>,
    unsent: Vec<Unsent>,
    /// Positions asked about, by the number in the token.
    asked: Vec<Asked>,
    pub(super) inbox: VecDeque<SocketEvent>,
    wanted: Vec<FetchPartition>,
    pub(super) mutations: Mutations,
}

impl Core {
    pub(super) fn new(specification: &ReaderSpecification, mutations: Mutations) -> Self {
        let client = ClientSettings::from(&specification.settings);
        let mut metadata = Metadata::new(client, specification.bootstrap.clone());
        for topic in &specification.topics {
            metadata.add_topic(*topic, None);
        }
        Core {
            settings: specification.settings.clone(),
            client,
            rack: specification.rack,
            topics: specification.topics.clone(),
            metadata,
            network: NetworkClient::new(client),
            assigned: Vec::new(),
            assigned_topics: SmallVec::new(),
            validated_version: 0,
            sessions: Vec::new(),
            pending_fetches: SmallVec::new(),
            buffer: VecDeque::new(),
            unsent: Vec::new(),
            asked: Vec::new(),
            inbox: VecDeque::new(),
            wanted: Vec::new(),
            mutations,
        }
    }

    pub(super) fn index_of(&self, partition: PartitionId) -> Option<usize> {
        self.assigned
            .iter()
            .position(|assigned| assigned.partition == partition)
    }

    fn assigned_mut(&mut self, partition: PartitionId) -> Option<&mut Assigned> {
        let index = self.index_of(partition)?;
        Some(&mut self.assigned[index])
    }

    /// The application assigns all partitions of its topics as soon as it can list them.
    pub(super) fn assign(&mut self) {
        if self.assigned_topics.len() == self.topics.len() {
            return;
        }
        for topic in &self.topics {
            if self.assigned_topics.contains(topic) {
                continue;
            }
            if let Some(partitions) = self.metadata.partitions(*topic) {
                self.assigned_topics.push(*topic);
                let new = partitions.iter().map(|cached| Assigned::new(cached.partition));
                self.assigned.extend(new);
            }
        }
    }

    /// `updateFetchPositions`. False: `poll` throws (no policy for a position that is needed).
    pub(super) fn update_positions(&mut self, environment: &mut impl Environment) -> bool {
        let now = environment.wall();
        if self.validated_version != self.metadata.version() {
            self.validated_version = self.metadata.version();
            for assigned in &mut self.assigned {
                let leader = self.metadata.current_leader(assigned.partition);
                assigned.maybe_validate(leader);
            }
        }
        self.validate(now, environment);
        let mut fine = true;
        for assigned in &mut self.assigned {
            if assigned.state == FetchState::Initializing {
                match self.settings.auto_offset_reset {
                    OffsetReset::None => fine = false,
                    _ => assigned.request_reset(),
                }
            }
        }
        self.reset(now);
        fine
    }

    fn ask(&mut self, of: Asked) -> u32 {
        let free = self.asked.iter().position(|asked| asked.is_empty());
        match free {
            Some(number) => {
                self.asked[number] = of;
                number as u32
            }
            None => {
                self.asked.push(of);
                self.asked.len() as u32 - 1
            }
        }
    }

    fn leaders(&self, needs: impl Fn(&Assigned) -> Option<ServerId>) -> SmallVec<[ServerId; 8]> {
        let mut leaders: SmallVec<[ServerId; 8]> = self.assigned.iter().filter_map(needs).collect();
        leaders.sort();
        leaders.dedup();
        leaders
    }

    /// Asks leaders whether positions are still in their logs (`OffsetFetcher.validatePositionsAsync`).
    fn validate(&mut self, now: Time, environment: &mut impl Environment) {
        let waits = |assigned: &Assigned| {
            assigned.state == FetchState::AwaitingValidation && !assigned.backs_off(now)
        };
        if !self.assigned.iter().any(waits) {
            return;
        }
        let leader = |assigned: &Assigned| assigned.position.filter(|_| waits(assigned))?.leader.leader;
        for server in self.leaders(leader) {
            // A node whose versions are not known is connected to first.
            if self.network.state(Node::Broker(server)) != Some(crate::client::ConnectionState::Ready) {
                self.network
                    .ready(Node::Broker(server), &mut self.metadata, now, environment);
                continue;
            }
            let (mut asked, mut partitions) = (SmallVec::new(), SmallVec::new());
            for assigned in &mut self.assigned {
                if leader(assigned) != Some(server) {
                    continue;
                }
                let position = assigned.position.expect("it awaits validation");
                assigned.next_retry = Some(now + self.settings.request_timeout_ms);
                asked.push((assigned.partition, Some(position)));
                let epoch = position.epoch.expect("only such positions are validated");
                partitions.push((assigned.partition, position.leader.epoch, epoch));
            }
            let token = Token::OffsetForLeaderEpoch(self.ask(asked));
            let request = Request::OffsetForLeaderEpoch(Box::new(OffsetForLeaderEpochRequest {
                replica: None,
                partitions,
            }));
            self.enqueue(server, token, request, now);
        }
    }

    /// Asks leaders for the ends of their logs (`OffsetFetcher.resetPositionsAsync`).
    fn reset(&mut self, now: Time) {
        let waits =
            |assigned: &Assigned| assigned.state == FetchState::AwaitingReset && !assigned.backs_off(now);
        if !self.assigned.iter().any(waits) {
            return;
        }
        let target = match self.settings.auto_offset_reset {
            OffsetReset::Earliest => ListOffsetsTarget::Earliest,
            OffsetReset::Latest => ListOffsetsTarget::Latest,
            OffsetReset::None => return,
            OffsetReset::ByDuration(_) => unreachable!("such settings stop the run"),
        };
        let unknown = |assigned: &Assigned| {
            waits(assigned) && self.metadata.current_leader(assigned.partition).leader.is_none()
        };
        if self.assigned.iter().any(unknown) {
            self.metadata.request_update(true);
        }
        let metadata = &self.metadata;
        let leader = |assigned: &Assigned| {
            let known = waits(assigned).then(|| metadata.current_leader(assigned.partition).leader);
            known.flatten()
        };
        for server in self.leaders(leader) {
            if self.network.is_unavailable(Node::Broker(server), now) {
                continue;
            }
            let (mut asked, mut partitions) = (SmallVec::new(), SmallVec::new());
            for assigned in &mut self.assigned {
                let leader = self.metadata.current_leader(assigned.partition);
                if !waits(assigned) || leader.leader != Some(server) {
                    continue;
                }
                assigned.next_retry = Some(now + self.settings.request_timeout_ms);
                asked.push((assigned.partition, None));
                partitions.push((assigned.partition, leader.epoch, target));
            }
            let token = Token::ListOffsets(self.ask(asked));
            let request = Request::ListOffsets(Box::new(ListOffsetsRequest {
                replica: None,
                isolation: self.settings.isolation_level,
                partitions,
            }));
            self.enqueue(server, token, request, now);
        }
    }

    fn enqueue(&mut self, server: ServerId, token: Token, request: Request, now: Time) {
        self.unsent.push(Unsent {
            server,
            token,
            request,
            created: now,
        });
    }

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
    pub(super) fn send_fetches(&mut self, now: Time) {
        let mut targets: SmallVec<[(ServerId, usize); 16]> = SmallVec::new();
        let mut buffered_nodes: SmallVec<[ServerId; 8]> = SmallVec::new();
        for index in 0..self.assigned.len() {
            if !self.assigned[index].is_fetchable() {
                continue;
            }
            let partition = self.assigned[index].partition;
            let buffered = self.buffer.iter().any(|fetch| fetch.data.partition == partition);
            let Some(server) = self.read_from(index, now) else {
                continue;
            };
            match buffered {
                true => buffered_nodes.push(server),
                false => targets.push((server, index)),
            }
        }
        targets.retain(|(server, _)| {
            !self.network.is_unavailable(Node::Broker(*server), now)
                && !self.pending_fetches.contains(server)
                && !buffered_nodes.contains(server)
        });
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
                    log_start: crate::ids::Offset(0),
                    max_bytes: self.settings.max_partition_fetch_bytes,
                });
            }
            targets.retain(|(other, _)| *other != server);
            self.wanted.sort_by_key(|wanted| wanted.partition);
            let index = usize::from(server.0);
            if index >= self.sessions.len() {
                self.sessions.resize(index + 1, Session::default());
            }
            let session = self.sessions[index].build(&self.wanted);
            let request = Request::Fetch(Box::new(FetchRequest {
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
    pub(super) fn has_available(&self) -> bool {
        self.buffer.iter().any(|fetch| {
            self.index_of(fetch.data.partition)
                .is_some_and(|index| self.assigned[index].is_fetchable())
        })
    }

    /// Whether every assigned partition has a position to fetch from.
    pub(super) fn has_all_positions(&self) -> bool {
        self.assigned.iter().all(Assigned::is_fetchable)
    }

    /// `ConsumerNetworkClient.poll` up to the select: how long that may last.
    pub(super) fn before_select(&mut self, most: Duration, environment: &mut impl Environment) -> Duration {
        let now = environment.wall();
        let mut wait = self
            .try_send(now, environment)
            .map_or(most, |delay| delay.min(most));
        if self.network.in_flight() == 0 {
            wait = wait.min(self.client.retry_backoff);
        }
        self.network
            .before_select(Some(wait), &mut self.metadata, now, environment)
    }

    fn try_send(&mut self, now: Time, environment: &mut impl Environment) -> Option<Duration> {
        let mut delay: Option<Duration> = None;
        let mut index = 0;
        while index < self.unsent.len() {
            let node = Node::Broker(self.unsent[index].server);
            if self.network.ready(node, &mut self.metadata, now, environment) {
                let Unsent { token, request, .. } = self.unsent.remove(index);
                self.network.send(node, token, request, true, now, environment);
                continue;
            }
            if let Some(wait) = self.network.poll_delay(node, now) {
                delay = Some(delay.map_or(wait, |least| least.min(wait)));
            }
            index += 1;
        }
        delay
    }

    /// What follows the select: answers, disconnections of nodes with unsent requests, then all callbacks.
    pub(super) fn after_select(&mut self, environment: &mut impl Environment) {
        let mut completed = self
            .network
            .after_select(&mut self.inbox, &mut self.metadata, environment);
        let now = environment.wall();
        for Completed { token, node, outcome } in completed.drain(..) {
            self.ended(token, node.server(), outcome, environment);
        }
        self.network.recycle(completed);
        let mut index = 0;
        while index < self.unsent.len() {
            let unsent = &self.unsent[index];
            let failed = self.network.connection_failed(Node::Broker(unsent.server));
            if failed || now.since(unsent.created) >= self.settings.request_timeout_ms {
                let Unsent { token, server, .. } = self.unsent.remove(index);
                self.ended(token, server, Outcome::Disconnected, environment);
            } else {
                index += 1;
            }
        }
        self.try_send(now, environment);
    }

    /// Whether the next select returns at once.
    pub(super) fn has_unreported_sends(&self) -> bool {
        self.network.has_unreported_sends()
    }

    /// Closes all connections.
    pub(super) fn shut_down(&mut self, environment: &mut impl Environment) {
        self.network.shut_down(environment);
    }

    fn ended(
        &mut self,
        token: Token,
        server: ServerId,
        outcome: Outcome,
        environment: &mut impl Environment,
    ) {
        match (token, outcome) {
            (Token::Fetch, Outcome::Response(Response::Fetch(response))) => {
                self.pending_fetches.retain(|pending| *pending != server);
                self.fetched(server, response);
            }
            (Token::Fetch, _) => {
                self.pending_fetches.retain(|pending| *pending != server);
                let session = &mut self.sessions[usize::from(server.0)];
                session.failed();
                let partitions: SmallVec<[PartitionId; 16]> = session.partitions().collect();
                for partition in partitions {
                    if let Some(assigned) = self.assigned_mut(partition) {
                        assigned.clear_preferred();
                    }
                }
            }
            (Token::ListOffsets(number), Outcome::Response(Response::ListOffsets(answers))) => {
                self.asked[number as usize].clear();
                for (partition, error, offset, epoch) in answers {
                    if error != ErrorCode::None {
                        self.retry_later(partition, environment);
                        continue;
                    }
                    if let Some(epoch) = epoch {
                        self.metadata.update_last_seen_epoch_if_newer(partition, epoch);
                    }
                    let leader = self.metadata.current_leader(partition);
                    self.found(
                        partition,
                        Position {
                            offset,
                            epoch: None,
                            leader,
                        },
                        environment,
                    );
                }
            }
            (
                Token::OffsetForLeaderEpoch(number),
                Outcome::Response(Response::OffsetForLeaderEpoch(answers)),
            ) => {
                let asked = std::mem::take(&mut self.asked[number as usize]);
                for (partition, error, end) in answers {
                    if error != ErrorCode::None {
                        self.retry_later(partition, environment);
                        continue;
                    }
                    let about = asked.iter().find(|(other, _)| *other == partition);
                    if let Some((_, Some(position))) = about {
                        self.validated(partition, *position, end, environment);
                    }
                }
            }
            (Token::ListOffsets(number) | Token::OffsetForLeaderEpoch(number), _) => {
                for (partition, _) in std::mem::take(&mut self.asked[number as usize]) {
                    self.retry_later(partition, environment);
                }
            }
        }
    }

    fn retry_later(&mut self, partition: PartitionId, environment: &mut impl Environment) {
        let next = environment.wall() + self.client.retry_backoff;
        if let Some(assigned) = self.assigned_mut(partition) {
            assigned.next_retry = Some(next);
        }
        self.metadata.request_update(false);
    }

    fn found(&mut self, partition: PartitionId, position: Position, environment: &mut impl Environment) {
        let Some(assigned) = self.assigned_mut(partition) else {
            return;
        };
        if assigned.state != FetchState::AwaitingReset {
            return;
        }
        assigned.seek(position);
        if let Some(from) = assigned.given_up.take() {
            environment.note(Note::Client(ClientNote::PositionReset {
                partition,
                from,
                to: position.offset,
            }));
        }
    }

    fn validated(
        &mut self,
        partition: PartitionId,
        asked: Position,
        end: Option<(crate::ids::LeaderEpoch, crate::ids::Offset)>,
        environment: &mut impl Environment,
    ) {
        let policy = self.settings.auto_offset_reset;
        let Some(assigned) = self.assigned_mut(partition) else {
            return;
        };
        if let Validation::Truncated { from, to } = assigned.complete_validation(asked, end, policy) {
            environment.note(Note::Client(ClientNote::PositionReset { partition, from, to }));
        }
    }

    /// `AbstractFetch.handleFetchSuccess`.
    fn fetched(&mut self, server: ServerId, response: Box<FetchResponse>) {
        let session = &mut self.sessions[usize::from(server.0)];
        if !session.answered(&response) {
            return;
        }
        let mut hints: SmallVec<[(PartitionId, CurrentLeader); 2]> = SmallVec::new();
        for data in response.partitions {
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
