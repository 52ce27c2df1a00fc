//! A consumer without its group: `ConsumerNetworkClient` and what it sends and gets.

use std::collections::VecDeque;

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use super::collect::CompletedFetch;
use super::session::Session;
use super::subscription::{Assigned, Position};
use crate::client::{
    ClientSettings, Completed, Environment, Limits, Metadata, NetworkClient, Node, Outcome, SocketEvent,
};
use crate::config::ReaderSettings;
use crate::ids::{Offset, PartitionId, ServerId};
use crate::mutation::Mutations;
use crate::protocol::{CommittedOffset, ErrorCode, FetchPartition, Request, Response};
use crate::records::Batch;
use crate::specification::ReaderSpecification;

/// What a request of a consumer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Fetch,
    ListOffsets(u32),
    OffsetForLeaderEpoch(u32),
    /// One of the group's, by its number there.
    Group(u32),
}

/// How a request of the group ended.
#[derive(Debug)]
pub(crate) enum GroupOutcome {
    Response(Response),
    /// DisconnectException.
    Disconnected,
    /// TimeoutException: it was never sent.
    Expired,
}

/// Records of one batch that a poll returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handed {
    pub(crate) partition: PartitionId,
    pub(crate) from: Offset,
    pub(crate) batch: Batch,
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// Partitions of a request about positions; the position where it is to be checked.
pub(crate) type Asked = SmallVec<[(PartitionId, Option<Position>); 2]>;

/// A request that waits for its node to be ready.
#[derive(Debug)]
pub(crate) struct Unsent {
    pub(crate) node: Node,
    pub(crate) token: Token,
    pub(crate) request: Request,
    created: Time,
    timeout: Duration,
}

/// LogTruncationException: records that it has read are gone, and it has no policy where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogTruncation;

/// A consumer.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: ReaderSettings,
    pub(crate) client: ClientSettings,
    pub(crate) rack: Option<u16>,
    topics: Vec<u16>,
    pub(crate) metadata: Metadata,
    pub(crate) network: NetworkClient<Token>,
    /// In the order in which they are asked for.
    pub(crate) assigned: Vec<Assigned>,
    assigned_topics: SmallVec<[u16; 4]>,
    pub(crate) validated_version: u32,
    /// Found and not thrown yet (`PositionsValidator.cachedValidatePositionsException`).
    pub(super) truncation: Option<LogTruncation>,
    /// By server id.
    pub(super) sessions: Vec<Session>,
    pub(crate) pending_fetches: SmallVec<[ServerId; 8]>,
    pub(crate) buffer: VecDeque<CompletedFetch>,
    unsent: Vec<Unsent>,
    /// Positions asked about, by the number in the token.
    pub(crate) asked: Vec<Asked>,
    pub(crate) inbox: VecDeque<SocketEvent>,
    pub(crate) wanted: Vec<FetchPartition>,
    pub(crate) mutations: Mutations,
    /// Requests of the group that have ended, in order.
    pub(crate) group_completed: Vec<(u32, GroupOutcome)>,
    /// Nodes to be disconnected by the next poll.
    pending_disconnects: SmallVec<[Node; 1]>,
    /// The longest select of a member of a group.
    longest_select: Option<Duration>,
    /// What polls returned, if somebody works on it.
    pub(crate) handed: Option<Vec<Handed>>,
}

impl Core {
    pub(crate) fn new(specification: &ReaderSpecification, mutations: Mutations) -> Self {
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
            truncation: None,
            sessions: Vec::new(),
            pending_fetches: SmallVec::new(),
            buffer: VecDeque::new(),
            unsent: Vec::new(),
            asked: Vec::new(),
            inbox: VecDeque::new(),
            wanted: Vec::new(),
            mutations,
            group_completed: Vec::new(),
            pending_disconnects: SmallVec::new(),
            longest_select: None,
            handed: None,
        }
    }

    /// The same for a member of a group, whose partitions others choose.
    pub(crate) fn of_member(
        specification: &ReaderSpecification,
        mutations: Mutations,
        heartbeat_interval: Duration,
    ) -> Self {
        Core {
            // ConsumerNetworkClient.MAX_POLL_TIMEOUT_MS, so that the heartbeat thread gets its turn.
            longest_select: Some(heartbeat_interval.min(Duration::secs(5))),
            handed: Some(Vec::new()),
            ..Core::new(specification, mutations)
        }
    }

    /// Where an assigned partition stands, if it is known.
    pub(crate) fn position(&self, partition: PartitionId) -> Option<Position> {
        self.assigned[self.index_of(partition)?].position
    }

    /// `SubscriptionState.allConsumed`: what was handed out counts as consumed.
    pub(crate) fn all_consumed(&self) -> impl Iterator<Item = (PartitionId, CommittedOffset)> {
        let valid = self.assigned.iter().filter(|one| one.has_valid_position());
        valid.filter_map(|one| Some((one.partition, one.position?.to_commit())))
    }

    pub(crate) fn index_of(&self, partition: PartitionId) -> Option<usize> {
        self.assigned
            .iter()
            .position(|assigned| assigned.partition == partition)
    }

    /// `SubscriptionState.seekUnvalidated` of an assigned partition: the position is checked before it is used, if its
    /// epoch is known.
    pub(crate) fn seek(&mut self, partition: PartitionId, to: CommittedOffset) {
        if let Some(epoch) = to.leader_epoch {
            self.metadata.update_last_seen_epoch_if_newer(partition, epoch);
        }
        let leader = self.metadata.current_leader(partition);
        if let Some(assigned) = self.assigned_mut(partition) {
            assigned.seek_unvalidated(Position {
                offset: to.offset,
                epoch: to.leader_epoch,
                leader,
            });
        }
    }

    /// `SubscriptionState.pause` and `resume` of an assigned partition; of another one they throw in Kafka.
    pub(crate) fn set_paused(&mut self, partition: PartitionId, paused: bool) {
        let assigned = self.assigned_mut(partition);
        assigned
            .expect("an application pauses and resumes what it is assigned")
            .paused = paused;
    }

    /// `SubscriptionState.pausedPartitions`.
    pub(crate) fn paused(&self) -> impl Iterator<Item = PartitionId> {
        let paused = self.assigned.iter().filter(|assigned| assigned.paused);
        paused.map(|assigned| assigned.partition)
    }

    pub(crate) fn assigned_mut(&mut self, partition: PartitionId) -> Option<&mut Assigned> {
        let index = self.index_of(partition)?;
        Some(&mut self.assigned[index])
    }

    /// The application assigns all partitions of its topics as soon as it can list them.
    pub(crate) fn assign(&mut self) {
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

    /// `SubscriptionState.assignFromSubscribed`: what stays keeps its position, and stays paused
    /// if it was.
    pub(crate) fn assign_from_subscribed(&mut self, partitions: &[PartitionId]) {
        let mut before = std::mem::take(&mut self.assigned);
        for partition in partitions {
            let known = before
                .iter()
                .position(|assigned| assigned.partition == *partition);
            let kept = known.map(|index| before.swap_remove(index));
            self.assigned
                .push(kept.unwrap_or_else(|| Assigned::new(*partition)));
        }
    }

    pub(crate) fn enqueue(&mut self, server: ServerId, token: Token, request: Request, now: Time) {
        let timeout = self.settings.request_timeout_ms;
        self.enqueue_to(Node::Broker(server), token, request, timeout, now);
    }

    pub(crate) fn enqueue_to(
        &mut self,
        node: Node,
        token: Token,
        request: Request,
        timeout: Duration,
        now: Time,
    ) {
        self.unsent.push(Unsent {
            node,
            token,
            request,
            created: now,
            timeout,
        });
    }

    /// What was enqueued and nobody has sent yet.
    pub(crate) fn unsent(&self) -> &[Unsent] {
        &self.unsent
    }

    /// The same, for somebody else who sends it.
    pub(crate) fn take_unsent(&mut self) -> Vec<Unsent> {
        std::mem::take(&mut self.unsent)
    }

    /// The next poll closes a node's connection; its requests fail (`disconnectAsync`).
    pub(crate) fn disconnect_later(&mut self, node: Node) {
        self.pending_disconnects.push(node);
    }

    fn disconnect(&mut self, environment: &mut impl Environment) {
        for node in std::mem::take(&mut self.pending_disconnects) {
            while let Some(index) = self.unsent.iter().position(|unsent| unsent.node == node) {
                let Unsent { token, .. } = self.unsent.remove(index);
                self.ended(token, node.server(), Outcome::Disconnected, environment);
            }
            self.network.disconnect(node, environment);
        }
    }

    /// Whether requests to a node wait or are unanswered.
    pub(crate) fn has_pending_requests(&self, node: Node) -> bool {
        self.unsent.iter().any(|unsent| unsent.node == node) || self.network.has_in_flight(node)
    }

    /// Whether every assigned partition has a position to fetch from.
    pub(crate) fn has_all_positions(&self) -> bool {
        self.assigned.iter().all(Assigned::has_valid_position)
    }

    /// `ConsumerNetworkClient.poll` up to the select: how long that may last.
    pub(crate) fn before_select(&mut self, most: Duration, environment: &mut impl Environment) -> Duration {
        let now = environment.wall();
        if !self.pending_disconnects.is_empty() {
            self.disconnect(environment);
        }
        let most = self.longest_select.map_or(most, |longest| longest.min(most));
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
            let node = self.unsent[index].node;
            if self.network.ready(node, &mut self.metadata, now, environment) {
                let unsent = self.unsent.remove(index);
                let Unsent {
                    token,
                    request,
                    timeout,
                    ..
                } = unsent;
                self.network
                    .send_within(timeout, node, token, request, now, environment);
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
    pub(crate) fn after_select(&mut self, environment: &mut impl Environment) {
        let mut completed = self
            .network
            .after_select(&mut self.inbox, &mut self.metadata, environment);
        if !completed.is_empty() {
            for Completed { token, node, outcome } in completed.drain(..) {
                self.ended(token, node.server(), outcome, environment);
            }
            self.network.recycle(completed);
        }
        if self.unsent.is_empty() {
            return;
        }
        let now = environment.wall();
        let mut index = 0;
        while index < self.unsent.len() {
            let unsent = &self.unsent[index];
            let failed = self.network.connection_failed(unsent.node);
            if failed || now.since(unsent.created) >= unsent.timeout {
                let Unsent { token, node, .. } = self.unsent.remove(index);
                match token {
                    Token::Group(number) if !failed => {
                        self.group_completed.push((number, GroupOutcome::Expired));
                    }
                    token => self.ended(token, node.server(), Outcome::Disconnected, environment),
                }
            } else {
                index += 1;
            }
        }
        self.try_send(now, environment);
    }

    /// Up to when a thread that has just looked at everything finds nothing to do unless something arrives: all that
    /// it reads is asked for. None if it may find something at any time.
    pub(crate) fn idle_until(&self) -> Option<Limits> {
        let waits = self.inbox.is_empty()
            && self.buffer.is_empty()
            && self.unsent.is_empty()
            && self.pending_disconnects.is_empty()
            && !self.has_unreported_sends()
            && self.assigned_topics.len() == self.topics.len()
            && self.validated_version == self.metadata.version()
            && !self.pending_fetches.is_empty();
        if !waits {
            return None;
        }
        let mut until = self.network.in_time_until();
        until.wall = until.wall.min(self.metadata.at_rest_until()?);
        for assigned in self.assigned.iter() {
            let (server, preferred_until) = assigned.reads_from()?;
            if !self.pending_fetches.contains(&server) {
                return None;
            }
            until.wall = until.wall.min(preferred_until);
        }
        Some(until)
    }

    /// Whether the next select returns at once.
    pub(crate) fn has_unreported_sends(&self) -> bool {
        self.network.has_unreported_sends() || self.network.has_aborted_sends()
    }

    /// Closes all connections.
    pub(crate) fn shut_down(&mut self, environment: &mut impl Environment) {
        self.network.shut_down(environment);
    }

    /// A request is over.
    pub(crate) fn ended(
        &mut self,
        token: Token,
        server: ServerId,
        outcome: Outcome,
        environment: &mut impl Environment,
    ) {
        match (token, outcome) {
            (Token::Group(number), Outcome::Response(response)) => {
                self.group_completed
                    .push((number, GroupOutcome::Response(response)));
            }
            (Token::Group(number), _) => self.group_completed.push((number, GroupOutcome::Disconnected)),
            (Token::Fetch, Outcome::Response(Response::Fetch(mut response))) => {
                self.pending_fetches.retain(|pending| *pending != server);
                self.fetched(server, &mut response);
                environment.contents().fetch_answers.take_back(response);
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
}
