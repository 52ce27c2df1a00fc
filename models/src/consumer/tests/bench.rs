//! A consumer of a group at a bench: the test plays the brokers and moves the clocks.

use std::sync::Arc;

use ktrial_sim::{Closure, ConnectionId, Duration, Input, NodeId, Time, TimerSlot};
use smallvec::smallvec;

use crate::application::Consumer;
use crate::client::testing::Desk;
use crate::config::testing::member;
use crate::config::{BrokerSettings, ControllerSettings, TopicSettings};
use crate::ids::{
    ClientId, GenerationId, GroupId, GroupInstanceId, LeaderEpoch, MemberEpoch, MemberId, Offset,
    PartitionId, RecordId, ServerId,
};
use crate::kafka::Signal;
use crate::mutation::Mutations;
use crate::notes::ClientNote;
use crate::protocol::{
    Assignment, Assignor, CommittedOffset, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    Correlation, ErrorCode, FetchResponse, FetchedOffset, FetchedPartition, JoinGroupRequest,
    JoinGroupResponse, JoinedMember, LeaveGroupResponse, ListOffsetsTarget, Message, MetadataResponse,
    OffsetCommitResponse, OffsetFetchResponse, PartitionMetadata, ProtocolType, Request, Response,
    SyncGroupResponse, TopicMetadata,
};
use crate::records::{Batch, Record};
use crate::specification::{
    ApplicationSpecification, Capacity, ClusterSpecification, CommitStyle, ConsumerSpecification,
    FeatureLevels, Groups, ReaderSpecification, TopicSpecification,
};

/// What the test does with a request instead of answering it as a healthy cluster would.
#[derive(Debug)]
pub(super) enum Reply {
    Answer(Response),
    Silence,
    HangUp,
}

/// The id that the bench gives to a member.
pub(super) const ME: MemberId = MemberId(7);

pub(super) struct Bench {
    pub(super) desk: Desk,
    pub(super) consumer: Consumer,
    told: usize,
    /// Requests and when they came, without metadata and fetches.
    pub(super) seen: Vec<(Duration, Request)>,
    /// Replies by the name of the request, each to be used once, in order.
    pub(super) script: Vec<(&'static str, Reply)>,
    /// Requests of this kind stay without an answer.
    pub(super) deaf_to: Vec<&'static str>,
    pub(super) partitions: u32,
    pub(super) generation: i32,
    /// What a follower is assigned; none: the bench makes the consumer the leader, which assigns itself.
    pub(super) follower_gets: Option<Assignment>,
    pub(super) committed: Vec<(PartitionId, CommittedOffset)>,
    /// What the coordinator of the consumer protocol wants the member to have; told with a new epoch when it changes.
    pub(super) target: Vec<u32>,
    pub(super) epoch: i32,
    told_target: Option<Vec<u32>>,
    /// How many inputs the consumer has had.
    pub(super) looked: u32,
    /// Batches of ten records from offset 0 on that each partition has.
    pub(super) batches: u64,
    batch: Batch,
    /// Fetch requests that have come.
    pub(super) fetches: u32,
    /// What they were answered with: partitions, and where the batch began.
    pub(super) fetched_to: Vec<(PartitionId, Offset)>,
    parked: Vec<(Time, ConnectionId, Correlation)>,
    /// Connections on which a request stays without an answer, and all behind it.
    stuck: Vec<ConnectionId>,
    /// By partition, what the fetch session holds.
    pub(super) session: Vec<(PartitionId, Offset)>,
}

/// Settings of a consumer (`name=value`, separated by blanks), and what its application does.
pub(super) fn bench_of(settings: &str, application: ApplicationSpecification) -> Bench {
    Bench::new(settings, application)
}

/// An application that takes no time and leaves committing to the client.
pub(super) fn application() -> ApplicationSpecification {
    ApplicationSpecification {
        commit: CommitStyle::Auto,
        ..ApplicationSpecification::default()
    }
}

pub(super) fn bench(settings: &str) -> Bench {
    bench_of(settings, application())
}

impl Bench {
    fn new(settings: &str, application: ApplicationSpecification) -> Self {
        let mut groups = Groups::default();
        groups.names.push("g".to_owned());
        groups.clients.extend(["c".to_owned(), "i".to_owned()]);
        let cluster = ClusterSpecification {
            servers: Vec::new(),
            topics: vec![TopicSpecification {
                name: "orders".to_owned(),
                partitions: 4,
                replication_factor: 1,
                assignment: None,
                settings: TopicSettings::default(),
                min_insync_replicas: None,
                unclean_leader_election_enable: None,
            }],
            groups,
            features: FeatureLevels::default(),
            broker: BrokerSettings::default(),
            controller: ControllerSettings::default(),
            capacity: Capacity {
                client_start: (Duration::ZERO, Duration::ZERO),
                ..Capacity::default()
            },
            mutations: Mutations::default(),
        };
        let settings = format!("group.id=g\nauto.offset.reset=earliest\n{settings}");
        let (membership, settings) = member(&settings);
        let specification = ConsumerSpecification {
            reader: ReaderSpecification {
                name: "c".to_owned(),
                settings,
                rack: None,
                topics: vec![0],
                bootstrap: smallvec![ServerId(1)],
            },
            group: GroupId(0),
            client: ClientId(0),
            instance: membership.group_instance_id.as_ref().map(|_| GroupInstanceId(1)),
            member: membership,
            application,
            letters: None,
        };
        let mut desk = Desk::new();
        let now = desk.wall;
        let records = desk.contents.store((0..10).map(|number| Record {
            id: RecordId {
                producer: NodeId(8),
                number,
            },
            key: None,
            bytes: 100,
            timestamp: now,
        }));
        let batch = Batch {
            base_offset: Offset(0),
            leader_epoch: LeaderEpoch(1),
            records,
            bytes: 1061,
            numbering: None,
            max_timestamp: now,
            corrupt: false,
        };
        let mut consumer = Consumer::new(Arc::new(cluster), Arc::new(specification));
        consumer.boot_in(&mut desk);
        Bench {
            desk,
            consumer,
            told: 0,
            seen: Vec::new(),
            script: Vec::new(),
            deaf_to: Vec::new(),
            partitions: 4,
            generation: 0,
            follower_gets: None,
            committed: Vec::new(),
            target: vec![0, 1, 2, 3],
            epoch: 0,
            told_target: None,
            looked: 0,
            batches: 0,
            batch,
            fetches: 0,
            fetched_to: Vec::new(),
            parked: Vec::new(),
            stuck: Vec::new(),
            session: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        Duration(self.desk.monotonic.0)
    }

    fn give(&mut self, input: Input<crate::kafka::Kafka>) {
        self.looked += 1;
        self.consumer.handle_in(input, &mut self.desk);
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        self.give(Input::Signal(signal));
    }

    fn respond(&mut self, connection: ConnectionId, correlation: Correlation, response: Response) {
        self.give(Input::Message(
            connection,
            Message::Response(correlation, response),
        ));
    }

    /// Everything happens that happens within this time.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.desk.monotonic + span;
        while !self.desk.exited {
            if self.answer() {
                continue;
            }
            let timers = self.desk.timers.iter().enumerate();
            let timer = timers.filter_map(|(slot, at)| Some(((*at)?, slot as u32, true)));
            let alarms = self.desk.alarms.iter().enumerate();
            let alarm = alarms.map(|(index, (_, at))| (*at, index as u32, false));
            let parked = self.parked.first().map(|(at, ..)| *at);
            let next = timer.chain(alarm).min();
            let at = next.map(|(at, ..)| at).into_iter().chain(parked).min();
            let Some(at) = at.filter(|at| *at <= end) else {
                break;
            };
            let span = at.since(self.desk.monotonic);
            self.desk.pass(span);
            if parked == Some(at) {
                let (_, connection, correlation) = self.parked.remove(0);
                self.respond(connection, correlation, fetched(Vec::new()));
                continue;
            }
            let (_, which, is_timer) = next.expect("it is the next");
            if is_timer {
                self.desk.timers[which as usize] = None;
                self.give(Input::Timer(TimerSlot(which as u16)));
            } else {
                let (token, _) = self.desk.alarms.remove(which as usize);
                self.give(Input::Alarm(token));
            }
        }
        if !self.desk.exited {
            let rest = end.since(self.desk.monotonic);
            self.desk.pass(rest);
        }
    }

    /// Connects, or answers a request. False: there is nothing to do.
    fn answer(&mut self) -> bool {
        if self.told < self.desk.opened.len() {
            self.told += 1;
            self.give(Input::Connected(ConnectionId(self.told as u32 - 1)));
            return true;
        }
        // A broker takes up one request of a connection at a time.
        let parked = |connection| self.parked.iter().any(|(_, other, _)| *other == connection);
        let next = self
            .desk
            .sent
            .iter()
            .position(|(connection, ..)| !parked(*connection));
        let Some(next) = next else { return false };
        let (connection, correlation, request) = self.desk.sent.remove(next);
        let name = crate::protocol::api::NAMES[usize::from(request.kind())];
        if !matches!(name, "Metadata" | "Fetch" | "ApiVersions") {
            self.seen.push((self.now(), request.clone()));
        }
        if self.deaf_to.contains(&name) {
            self.stuck.push(connection);
        }
        if self.stuck.contains(&connection) {
            return true;
        }
        if let Some(place) = self.script.iter().position(|(one, _)| *one == name) {
            match self.script.remove(place).1 {
                Reply::Answer(response) => self.respond(connection, correlation, response),
                Reply::Silence => self.stuck.push(connection),
                Reply::HangUp => self.give(Input::Closed(connection, Closure::Reset)),
            }
            return true;
        }
        if let Some(response) = self.usual(connection, correlation, request) {
            self.respond(connection, correlation, response);
        }
        true
    }

    fn usual(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        request: Request,
    ) -> Option<Response> {
        Some(match request {
            Request::ApiVersions => Response::ApiVersions,
            Request::Metadata(_) => self.metadata(),
            Request::FindCoordinator(_) => Response::FindCoordinator(Ok(ServerId(1))),
            Request::JoinGroup(request) => self.join(&request),
            Request::SyncGroup(request) => {
                let own = request
                    .assignments
                    .iter()
                    .find(|(member, _)| *member == request.member);
                let assignment = match &self.follower_gets {
                    Some(given) => Some(Arc::clone(given)),
                    None => own.map(|(_, given)| Arc::clone(given)),
                };
                Response::SyncGroup(Box::new(SyncGroupResponse {
                    error: ErrorCode::None,
                    protocol_type: Some(ProtocolType::Consumer),
                    protocol: request.protocol,
                    assignment,
                }))
            }
            Request::Heartbeat(_) => Response::Heartbeat(ErrorCode::None),
            Request::LeaveGroup(_) => Response::LeaveGroup(Box::new(LeaveGroupResponse {
                error: ErrorCode::None,
                members: smallvec![],
            })),
            Request::ConsumerGroupHeartbeat(request) => self.member_heartbeat(&request),
            Request::OffsetCommit(request) => {
                for commit in &request.partitions {
                    self.committed
                        .retain(|(partition, _)| *partition != commit.partition);
                    self.committed.push((commit.partition, commit.committed));
                }
                commit_answer(
                    &request
                        .partitions
                        .iter()
                        .map(|one| one.partition.0)
                        .collect::<Vec<_>>(),
                    ErrorCode::None,
                )
            }
            Request::OffsetFetch(request) => {
                let partitions = request.partitions.expect("a consumer names partitions");
                let fetched = partitions.iter().map(|partition| FetchedOffset {
                    partition: *partition,
                    committed: self
                        .committed
                        .iter()
                        .find(|(one, _)| one == partition)
                        .map(|(_, at)| *at),
                    error: ErrorCode::None,
                });
                Response::OffsetFetch(Box::new(OffsetFetchResponse {
                    error: ErrorCode::None,
                    partitions: fetched.collect(),
                }))
            }
            Request::ListOffsets(request) => {
                let end = Offset(self.batches * 10);
                let listed = request
                    .partitions
                    .iter()
                    .map(|(partition, _, target)| match target {
                        ListOffsetsTarget::Earliest => (*partition, ErrorCode::None, Offset(0), None),
                        ListOffsetsTarget::Latest => (*partition, ErrorCode::None, end, None),
                    });
                Response::ListOffsets(listed.collect())
            }
            Request::OffsetForLeaderEpoch(request) => {
                let end = Offset(self.batches * 10);
                let ends = request.partitions.iter();
                Response::OffsetForLeaderEpoch(
                    ends.map(|(partition, _, epoch)| (*partition, ErrorCode::None, Some((*epoch, end))))
                        .collect(),
                )
            }
            Request::Fetch(request) => {
                self.fetches += 1;
                if request.session_epoch == 0 {
                    self.session.clear();
                }
                for forgotten in &request.forgotten {
                    self.session.retain(|(partition, _)| partition != forgotten);
                }
                for asked in &request.partitions {
                    self.session
                        .retain(|(partition, _)| *partition != asked.partition);
                    self.session.push((asked.partition, asked.fetch_offset));
                }
                return self.fetch(connection, correlation);
            }
            other => panic!("a consumer does not ask {other:?}"),
        })
    }

    fn fetch(&mut self, connection: ConnectionId, correlation: Correlation) -> Option<Response> {
        let end = Offset(self.batches * 10);
        let mut partitions = Vec::new();
        for (partition, offset) in &self.session {
            if *offset < end {
                let base_offset = Offset(offset.0 / 10 * 10);
                let batch = Batch {
                    base_offset,
                    ..self.batch
                };
                partitions.push(FetchedPartition {
                    partition: *partition,
                    error: ErrorCode::None,
                    high_watermark: end,
                    last_stable_offset: end,
                    log_start: Offset(0),
                    diverging: None,
                    current_leader: None,
                    preferred_read_replica: None,
                    batches: smallvec![batch],
                });
                self.fetched_to.push((*partition, base_offset));
            }
        }
        if partitions.is_empty() {
            let later = self.desk.monotonic + Duration::millis(500);
            self.parked.push((later, connection, correlation));
            return None;
        }
        Some(fetched(partitions))
    }

    fn join(&mut self, request: &JoinGroupRequest) -> Response {
        let refused = |error, member| {
            Response::JoinGroup(Box::new(JoinGroupResponse {
                error,
                generation: GenerationId::NONE,
                protocol_type: None,
                protocol: None,
                leader: None,
                skip_assignment: false,
                member,
                members: Vec::new(),
            }))
        };
        let member = match (request.member, request.instance) {
            (Some(member), _) => member,
            (None, Some(_)) => ME,
            (None, None) => return refused(ErrorCode::MemberIdRequired, Some(ME)),
        };
        self.generation += 1;
        let (assignor, metadata) = request.protocols[0].clone();
        let leads = self.follower_gets.is_none();
        let me = JoinedMember {
            member,
            instance: request.instance,
            metadata,
        };
        Response::JoinGroup(Box::new(JoinGroupResponse {
            error: ErrorCode::None,
            generation: GenerationId(self.generation),
            protocol_type: Some(ProtocolType::Consumer),
            protocol: Some(assignor),
            leader: Some(if leads { member } else { MemberId(1) }),
            skip_assignment: false,
            member: Some(member),
            members: if leads { vec![me] } else { Vec::new() },
        }))
    }

    fn member_heartbeat(&mut self, request: &ConsumerGroupHeartbeatRequest) -> Response {
        let leaves = request.member_epoch < MemberEpoch::JOIN;
        if request.member_epoch == MemberEpoch::JOIN {
            self.told_target = None;
        }
        let told = (!leaves && self.told_target.as_ref() != Some(&self.target)).then(|| {
            self.epoch += 1;
            self.told_target = Some(self.target.clone());
            self.target.iter().map(|one| PartitionId(*one)).collect()
        });
        Response::ConsumerGroupHeartbeat(Box::new(ConsumerGroupHeartbeatResponse {
            error: ErrorCode::None,
            member: Some(request.member),
            member_epoch: match leaves {
                true => request.member_epoch,
                false => MemberEpoch(self.epoch),
            },
            heartbeat_interval: Duration::secs(5),
            assignment: told,
        }))
    }

    fn metadata(&self) -> Response {
        let partitions = (0..self.partitions).map(|number| PartitionMetadata {
            partition: PartitionId(number),
            error: ErrorCode::None,
            leader: Some(ServerId(1)),
            leader_epoch: LeaderEpoch(1),
            replicas: smallvec![ServerId(1)],
            isr: smallvec![ServerId(1)],
        });
        Response::Metadata(Box::new(MetadataResponse {
            brokers: smallvec![(ServerId(1), None)],
            topics: vec![TopicMetadata {
                specification: 0,
                error: ErrorCode::None,
                partitions: partitions.collect(),
            }],
        }))
    }

    /// Requests of a kind since the last time, and when they came.
    pub(super) fn take(&mut self, name: &str) -> Vec<(Duration, Request)> {
        let is = |(_, request): &(Duration, Request)| {
            crate::protocol::api::NAMES[usize::from(request.kind())] == name
        };
        let (taken, rest) = std::mem::take(&mut self.seen).into_iter().partition(is);
        self.seen = rest;
        taken
    }

    /// Commits and what the listener was told, in order.
    pub(super) fn commits_and_callbacks(&self) -> Vec<&'static str> {
        let told = self.desk.notes.iter().filter_map(|note| match note {
            ClientNote::Committed { .. } => Some("committed"),
            ClientNote::CommitFailed { error, .. } => Some(*error),
            ClientNote::Revoked(_) => Some("revoked"),
            ClientNote::Lost(_) => Some("lost"),
            ClientNote::Assigned { .. } => Some("assigned"),
            _ => None,
        });
        told.collect()
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        let name =
            |(_, request): &(Duration, Request)| crate::protocol::api::NAMES[usize::from(request.kind())];
        self.seen.iter().map(name).collect()
    }

    /// Joined and fetching, with nothing of that told any more.
    pub(super) fn joined(mut self) -> Self {
        self.pass(Duration::millis(700));
        assert!(self.consumer.is_settled(), "{:?}", self.names());
        self.seen.clear();
        self.desk.notes.clear();
        self
    }

    /// What the listener was told since the last time: `+` assigned, `-` revoked, `!` lost.
    pub(super) fn listener(&mut self) -> String {
        let list = |sign: char, partitions: &[PartitionId]| {
            let all: Vec<String> = partitions.iter().map(|one| one.0.to_string()).collect();
            format!("{sign}{}", all.join(","))
        };
        let told = self.desk.notes.iter().filter_map(|note| match note {
            ClientNote::Assigned { added, .. } => Some(list('+', added)),
            ClientNote::Revoked(partitions) => Some(list('-', partitions)),
            ClientNote::Lost(partitions) => Some(list('!', partitions)),
            _ => None,
        });
        let told = told.collect::<Vec<_>>().join(" ");
        self.desk.notes.clear();
        told
    }

    /// How many records were processed since notes were last taken.
    pub(super) fn processed(&self) -> u32 {
        let counts = self.desk.notes.iter().map(|note| match note {
            ClientNote::Processed { count, .. } => *count,
            _ => 0,
        });
        counts.sum()
    }

    pub(super) fn died(&self) -> Option<&'static str> {
        self.desk.notes.iter().find_map(|note| match note {
            ClientNote::Died(error) => Some(*error),
            _ => None,
        })
    }
}

fn fetched(partitions: Vec<FetchedPartition>) -> Response {
    Response::Fetch(Box::new(FetchResponse {
        error: ErrorCode::None,
        session: 5,
        partitions: partitions.into(),
    }))
}

pub(super) fn commit_answer(partitions: &[u32], error: ErrorCode) -> Response {
    Response::OffsetCommit(Box::new(OffsetCommitResponse {
        partitions: partitions.iter().map(|one| (PartitionId(*one), error)).collect(),
    }))
}

pub(super) fn join_refused(error: ErrorCode) -> Reply {
    Reply::Answer(Response::JoinGroup(Box::new(JoinGroupResponse {
        error,
        generation: GenerationId::NONE,
        protocol_type: None,
        protocol: None,
        leader: None,
        skip_assignment: false,
        member: None,
        members: Vec::new(),
    })))
}

pub(super) fn sync_refused(error: ErrorCode) -> Reply {
    Reply::Answer(Response::SyncGroup(Box::new(SyncGroupResponse {
        error,
        protocol_type: None,
        protocol: None,
        assignment: None,
    })))
}

pub(super) fn heartbeat(error: ErrorCode) -> Reply {
    Reply::Answer(Response::Heartbeat(error))
}

/// The answer to a heartbeat of the consumer protocol.
pub(super) fn member_refused(error: ErrorCode) -> Reply {
    let refused = ConsumerGroupHeartbeatResponse::failed(error);
    Reply::Answer(Response::ConsumerGroupHeartbeat(Box::new(refused)))
}

pub(super) fn assignment(partitions: &[u32]) -> Option<Assignment> {
    Some(partitions.iter().map(|one| PartitionId(*one)).collect())
}

pub(super) const COOPERATIVE: &str =
    "partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor";

pub(super) fn member_of(request: &Request) -> Option<MemberId> {
    match request {
        Request::JoinGroup(request) => request.member,
        other => panic!("{other:?} is no JoinGroup"),
    }
}

pub(super) fn protocols_of(request: &Request) -> Vec<Assignor> {
    match request {
        Request::JoinGroup(request) => request.protocols.iter().map(|(assignor, _)| *assignor).collect(),
        other => panic!("{other:?} is no JoinGroup"),
    }
}
