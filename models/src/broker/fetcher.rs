//! A replica fetcher: one for each leader's broker and fetcher number (`ReplicaFetcherThread`,
//! `AbstractFetcherThread`, `RemoteLeaderEndPoint`, `BrokerBlockingSender`).
//!
//! | state | ends by |
//! |---|---|
//! | Idle: nothing to ask | a partition added, or `replica.fetch.backoff.ms` (monotonic) |
//! | Connecting, with a request made | connected; refused or no handshake in time: all partitions wait `replica.fetch.backoff.ms` (wall); `replica.socket.timeout.ms` (wall) |
//! | Fetching | the answer; connection lost or `request.timeout.ms` (wall): as above |
//! | Asking: a position was out of range | the leader's end, then its start, by ListOffsets; then the rest of the answer |
//! | Flushing: `flush.messages` | the disk is done |
//! | Held | an open cut |
//!
//! | answer for a partition | what happens |
//! |---|---|
//! | asked with another position or leader epoch than it has now, or waiting | ignored |
//! | records | appended (only up to the epoch asked with), high watermark and log start taken over |
//! | a diverging epoch | cut ([`Partition::truncate_on_divergence`]); nothing else of it is used |
//! | OFFSET_OUT_OF_RANGE | Asking |
//! | FENCED_LEADER_EPOCH, with the epoch it still has | given up until metadata brings a new epoch |
//! | the disk, offsets that do not fit | given up |
//! | any other error, a bad checksum | waits `replica.fetch.backoff.ms` (wall) |

mod apply;

use ktrial_sim::{ConnectionId, Context, Duration, Time};

use crate::broker::follower_session::FollowerSession;
use crate::broker::partition::{FetchStart, Partition};
use crate::broker::slots;
use crate::broker::storage::FlushTimes;
use crate::config::{BrokerSettings, IsolationLevel};
use crate::cuts;
use crate::ids::{LeaderEpoch, Offset, PartitionId, PartitionMap, ServerId};
use crate::kafka::{Kafka, site};
use crate::protocol::{
    BROKER_PORT, BrokerIdentity, Channel, ChannelSettings, Correlation, FetchPartition, FetchRequest,
    FetchResponse, FetchedPartition, ListOffsetsTarget, Request, Response,
};

/// How far a partition is (`PartitionFetchState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FetchState {
    partition: PartitionId,
    offset: Offset,
    leader_epoch: LeaderEpoch,
    last_fetched_epoch: Option<LeaderEpoch>,
    /// An answer was applied, so that its lag is known.
    lag_known: bool,
    /// Waits until the wall clock has passed this.
    due: Option<Time>,
}

impl FetchState {
    fn is_delayed(&self, wall: Time) -> bool {
        self.due.is_some_and(|due| due.millis() > wall.millis())
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Activity {
    Idle,
    Connecting { request: Request, since: Time },
    Fetching,
    Asking(ListOffsetsTarget),
    Flushing { partition: PartitionId, to: Offset },
    Held,
}

/// What a fetcher did that others must know.
#[derive(Debug, Default)]
pub struct Effects {
    /// Followers whose high watermark moved.
    pub moved: Vec<PartitionId>,
    /// Segments were rolled: a background task flushes up to here.
    pub rolled: Vec<(PartitionId, Offset)>,
    /// Logs that were cut: a background task writes their epoch files.
    pub cut: Vec<PartitionId>,
    /// The disk refused.
    pub disk_failed: bool,
}

/// What a fetcher needs of its broker.
pub struct Surroundings<'a> {
    /// The replicas.
    pub partitions: &'a mut PartitionMap<Box<Partition>>,
    /// The broker's settings.
    pub settings: &'a BrokerSettings,
    /// Who fetches.
    pub identity: BrokerIdentity,
    /// How long a flush takes.
    pub flush: FlushTimes,
}

/// See the module.
pub struct Fetcher {
    leader: ServerId,
    /// Its number among the fetchers of this leader.
    index: u32,
    timer: usize,
    channel: Channel,
    session: FollowerSession,
    states: Vec<FetchState>,
    activity: Activity,
    /// The answer being applied and how far that is.
    answer: Option<Box<FetchResponse>>,
    applied: usize,
    errors: Vec<PartitionId>,
    diverging: Vec<(PartitionId, LeaderEpoch, Offset)>,
    wanted: Vec<FetchPartition>,
    effects: Effects,
    passages: u64,
}

impl Fetcher {
    /// A fetcher without partitions. `timer` is its number among all fetchers of the broker.
    pub fn new(leader: ServerId, index: u32, timer: usize, settings: &BrokerSettings) -> Self {
        let channel = ChannelSettings {
            request_timeout: settings.request_timeout_ms,
            reconnect_backoff: Duration::ZERO,
            reconnect_backoff_max: Duration::ZERO,
            setup_timeout: settings.socket_connection_setup_timeout_ms,
            setup_timeout_max: settings.socket_connection_setup_timeout_max_ms,
            site: site::RECONNECT,
        };
        Fetcher {
            leader,
            index,
            timer,
            channel: Channel::new(BROKER_PORT, channel),
            session: FollowerSession::default(),
            states: Vec::new(),
            activity: Activity::Idle,
            answer: None,
            applied: 0,
            errors: Vec::new(),
            diverging: Vec::new(),
            wanted: Vec::new(),
            effects: Effects::default(),
            passages: 0,
        }
    }

    /// From which broker it fetches, and which of the fetchers for that broker it is.
    pub fn source(&self) -> (ServerId, u32) {
        (self.leader, self.index)
    }

    /// Whether it has nothing to do any more (`shutdownIdleFetcherThreads`).
    pub fn has_no_partitions(&self) -> bool {
        self.states.is_empty()
    }

    /// Whether it stands still in the middle of an answer, with its partitions locked
    /// (`AbstractFetcherThread.processFetchRequest`): for the disk, or for where the leader's log begins and ends.
    pub fn is_applying(&self) -> bool {
        matches!(self.activity, Activity::Asking(_) | Activity::Flushing { .. })
    }

    /// Whether a connection is its own.
    pub fn owns(&self, connection: ConnectionId) -> bool {
        self.channel.owns(connection)
    }

    /// Where it stands with a partition.
    pub fn position(&self, partition: PartitionId) -> Option<Offset> {
        Some(self.state(partition)?.offset)
    }

    /// Takes a partition on, from where it starts (`addPartitions`); the caller wakes the fetcher afterwards.
    pub fn add(&mut self, partition: PartitionId, leader_epoch: LeaderEpoch, start: FetchStart) {
        if self
            .state(partition)
            .is_some_and(|state| state.leader_epoch == leader_epoch)
        {
            return;
        }
        self.remove(partition);
        self.states.push(FetchState {
            partition,
            offset: start.offset,
            leader_epoch,
            last_fetched_epoch: start.last_fetched_epoch,
            lag_known: false,
            due: None,
        });
    }

    /// Gives a partition up.
    pub fn remove(&mut self, partition: PartitionId) {
        self.states.retain(|state| state.partition != partition);
    }

    /// Closes its connection.
    pub fn shut_down(&mut self, context: &mut Context<'_, Kafka>) {
        self.channel.close(context);
        context.clear_timer(slots::fetcher(self.timer));
    }

    /// Moves what it did since the last call to `into`. Moved high watermarks are told at the end of a round.
    pub fn take_effects(&mut self, into: &mut Effects) {
        into.rolled.append(&mut self.effects.rolled);
        into.cut.append(&mut self.effects.cut);
        into.disk_failed |= std::mem::take(&mut self.effects.disk_failed);
        let busy = matches!(
            self.activity,
            Activity::Asking(_) | Activity::Flushing { .. } | Activity::Held
        );
        if !busy {
            into.moved.append(&mut self.effects.moved);
        }
    }

    /// A partition was added: an idle fetcher looks again.
    pub fn wake(&mut self, around: &mut Surroundings<'_>, context: &mut Context<'_, Kafka>) {
        if self.activity == Activity::Idle {
            self.fetch(around, context);
        }
    }

    /// Its timer ran out.
    pub fn timer(&mut self, around: &mut Surroundings<'_>, context: &mut Context<'_, Kafka>) {
        match self.activity {
            Activity::Idle => self.fetch(around, context),
            Activity::Connecting { since, .. } => {
                let late = context.wall().since(since) >= around.settings.replica_socket_timeout_ms;
                if self.channel.expire(context).is_some() || late {
                    self.channel.close(context);
                    self.failed(around, context);
                } else {
                    self.arm(around, context);
                }
            }
            Activity::Fetching | Activity::Asking(_) => {
                if self.channel.expire(context).is_some() {
                    self.lost(around, context);
                } else {
                    self.arm(around, context);
                }
            }
            Activity::Flushing { partition, to } => {
                self.flushed(partition, to, around, context);
                self.apply(around, context);
            }
            Activity::Held => self.apply(around, context),
        }
    }

    /// Its connection is up.
    pub fn connected(
        &mut self,
        connection: ConnectionId,
        around: &mut Surroundings<'_>,
        context: &mut Context<'_, Kafka>,
    ) {
        self.channel.connected(connection);
        if let Activity::Connecting { request, .. } =
            std::mem::replace(&mut self.activity, Activity::Fetching)
        {
            self.channel.send(request, context);
        }
        self.arm(around, context);
    }

    /// Its connection is gone.
    pub fn closed(
        &mut self,
        connection: ConnectionId,
        around: &mut Surroundings<'_>,
        context: &mut Context<'_, Kafka>,
    ) {
        self.channel.closed(connection, context);
        match self.activity {
            Activity::Connecting { .. } | Activity::Fetching | Activity::Asking(_) => {
                self.lost(around, context);
            }
            // Noticed with the next request.
            Activity::Idle | Activity::Flushing { .. } | Activity::Held => {}
        }
    }

    /// An answer arrived on its connection.
    pub fn response(
        &mut self,
        connection: ConnectionId,
        correlation: Correlation,
        response: Response,
        around: &mut Surroundings<'_>,
        context: &mut Context<'_, Kafka>,
    ) {
        if !self.channel.answered(connection, correlation) {
            return;
        }
        match (&self.activity, response) {
            (Activity::Fetching, Response::Fetch(answer)) => {
                if !self.session.answered(&answer) {
                    self.fetch(around, context);
                    return;
                }
                self.answer = Some(answer);
                self.applied = 0;
                if self.opens(cuts::FOLLOWER_BEFORE_APPLYING, context) {
                    return;
                }
                self.apply(around, context);
            }
            (Activity::Asking(target), Response::ListOffsets(answer)) => {
                let target = *target;
                let (_, error, offset, _) = answer[0];
                self.offset_listed(target, error, offset, around, context);
            }
            (_, response) => unreachable!("no answer to what was asked: {response:?}"),
        }
    }

    fn state(&self, partition: PartitionId) -> Option<&FetchState> {
        self.states.iter().find(|state| state.partition == partition)
    }

    /// `PartitionStates.updateAndMoveToEnd`: the next request names it last.
    fn update_and_move_to_end(&mut self, new: FetchState) {
        if let Some(index) = self
            .states
            .iter()
            .position(|state| state.partition == new.partition)
        {
            self.states.remove(index);
            self.states.push(new);
        }
    }

    fn opens(&mut self, cut: u16, context: &mut Context<'_, Kafka>) -> bool {
        self.passages += 1;
        let who = u64::from(self.leader.0) << 48 | u64::from(context.incarnation()) << 40 | self.passages;
        match context.cut(cut, who) {
            Some(open) => {
                self.activity = Activity::Held;
                context.set_timer(slots::fetcher(self.timer), open);
                true
            }
            None => false,
        }
    }

    /// One round: what must be cut is cut, then the next request is made and sent (`doWork`).
    fn fetch(&mut self, around: &mut Surroundings<'_>, context: &mut Context<'_, Kafka>) {
        let wall = context.wall();
        self.wanted.clear();
        for state in &self.states {
            if state.is_delayed(wall) {
                continue;
            }
            let Some(partition) = around.partitions.get(state.partition) else {
                continue;
            };
            self.wanted.push(FetchPartition {
                partition: state.partition,
                current_leader_epoch: Some(state.leader_epoch),
                fetch_offset: state.offset,
                last_fetched_epoch: state.last_fetched_epoch,
                log_start: partition.log().start(),
                max_bytes: around.settings.replica_fetch_max_bytes,
            });
        }
        let Some(next) = self.session.next(&self.wanted) else {
            self.activity = Activity::Idle;
            self.arm(around, context);
            return;
        };
        let request = Request::Fetch(context.arena().fetches.fill(|| FetchRequest {
            replica: Some(around.identity),
            max_wait: around.settings.replica_fetch_wait_max_ms,
            min_bytes: around.settings.replica_fetch_min_bytes,
            max_bytes: around.settings.replica_fetch_response_max_bytes,
            isolation: IsolationLevel::ReadUncommitted,
            session: next.session,
            session_epoch: next.epoch,
            partitions: next.partitions,
            forgotten: next.forgotten,
            rack: None,
        }));
        self.channel.turn_to(Some(self.leader), context);
        if self.channel.prepare(context) {
            self.channel.send(request, context);
            self.activity = Activity::Fetching;
        } else {
            self.activity = Activity::Connecting {
                request,
                since: context.wall(),
            };
        }
        self.arm(around, context);
    }

    fn arm(&mut self, around: &Surroundings<'_>, context: &mut Context<'_, Kafka>) {
        let timer = slots::fetcher(self.timer);
        let wait = match self.activity {
            Activity::Idle if self.states.is_empty() => None,
            Activity::Idle => Some(around.settings.replica_fetch_backoff_ms),
            Activity::Connecting { since, .. } => {
                let late = since + around.settings.replica_socket_timeout_ms;
                let late = late.since(context.wall());
                Some(
                    self.channel
                        .next_wait(context)
                        .map_or(late, |wait| wait.min(late)),
                )
            }
            Activity::Fetching | Activity::Asking(_) => self.channel.next_wait(context),
            Activity::Flushing { .. } | Activity::Held => return,
        };
        match wait {
            Some(wait) => context.set_timer(timer, wait),
            None => context.clear_timer(timer),
        }
    }

    /// No answer to what was asked.
    /// The connection is gone. `BrokerBlockingSender` forgets everything about it, failed handshakes too.
    fn lost(&mut self, around: &mut Surroundings<'_>, context: &mut Context<'_, Kafka>) {
        self.channel.forget_failures();
        if matches!(self.activity, Activity::Asking(_)) {
            let partition = self.answer_in_hand().partition;
            self.errors.push(partition);
            self.applied += 1;
            self.apply(around, context);
        } else {
            self.failed(around, context);
        }
    }

    /// The whole request failed: every partition waits.
    fn failed(&mut self, around: &mut Surroundings<'_>, context: &mut Context<'_, Kafka>) {
        self.channel.forget_failures();
        self.session.failed();
        self.errors.clear();
        self.errors
            .extend(self.states.iter().map(|state| state.partition));
        self.delay_errors(around, context);
        self.fetch(around, context);
    }

    fn delay_errors(&mut self, around: &Surroundings<'_>, context: &Context<'_, Kafka>) {
        let wall = context.wall();
        let mut errors = std::mem::take(&mut self.errors);
        for partition in errors.drain(..) {
            if let Some(mut state) = self.state(partition).copied()
                && !state.is_delayed(wall)
            {
                state.due = Some(wall + around.settings.replica_fetch_backoff_ms);
                self.update_and_move_to_end(state);
            }
        }
        self.errors = errors;
    }

    fn answer_in_hand(&self) -> &FetchedPartition {
        let answer = self.answer.as_ref().expect("an answer is being applied");
        &answer.partitions[self.applied]
    }
}
