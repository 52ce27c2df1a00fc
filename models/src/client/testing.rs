//! A stand-in for the engine in unit tests: clocks that the test moves, connections that it answers.

use ktrial_sim::{ConnectionId, Duration, Identity, Input, NodeId, Site, Time, TimerSlot};

use smallvec::smallvec;

use super::Environment;
use crate::config::{BrokerSettings, ControllerSettings};
use crate::ids::{LeaderEpoch, PartitionId, ServerId};
use crate::kafka::Kafka;
use crate::mutation::Mutations;
use crate::notes::{ClientNote, Note};
use crate::protocol::{Correlation, ErrorCode, Message, PartitionMetadata, Request, TopicMetadata};
use crate::records::{Contents, Record, Records};
use crate::specification::{Capacity, ClusterSpecification, FeatureLevels};

/// A cluster of which a client at a bench needs nothing: no servers, no topics. Clients start at once.
pub(crate) fn cluster() -> ClusterSpecification {
    ClusterSpecification {
        servers: Vec::new(),
        topics: Vec::new(),
        groups: Default::default(),
        features: FeatureLevels::default(),
        broker: BrokerSettings::default(),
        controller: ControllerSettings::default(),
        capacity: Capacity {
            client_start: (Duration::ZERO, Duration::ZERO),
            ..Capacity::default()
        },
        mutations: Mutations::default(),
    }
}

/// A topic of one partition with replicas on brokers 1 and 2.
pub(crate) fn one_partition(leader: ServerId, leader_epoch: u32) -> TopicMetadata {
    TopicMetadata {
        specification: 0,
        error: ErrorCode::None,
        partitions: vec![PartitionMetadata {
            partition: PartitionId(0),
            error: ErrorCode::None,
            leader: Some(leader),
            leader_epoch: LeaderEpoch(leader_epoch),
            replicas: smallvec![ServerId(1), ServerId(2)],
            isr: smallvec![],
        }],
    }
}

/// Everything a client did, to be looked at.
pub(crate) struct Desk {
    pub(crate) wall: Time,
    pub(crate) monotonic: Time,
    /// Every draw is this share of its bound.
    pub(crate) chance: u64,
    /// Draws that come out otherwise: the site, the second word of whose they are, the value.
    pub(crate) given: Vec<(Site, u64, u64)>,
    pub(crate) timers: Vec<Option<Time>>,
    pub(crate) alarms: Vec<(u32, Time)>,
    pub(crate) opened: Vec<ServerId>,
    pub(crate) closed: Vec<ConnectionId>,
    pub(crate) sent: Vec<(ConnectionId, Correlation, Request)>,
    pub(crate) notes: Vec<ClientNote>,
    pub(crate) contents: Contents,
    pub(crate) cuts: Vec<(u16, Duration)>,
    pub(crate) exited: bool,
    /// How many bytes each socket holds, and in which of them a client waits for room.
    pub(crate) unacknowledged: u64,
    pub(crate) awaited: Vec<ConnectionId>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Desk {
            wall: Time(1_000_000_000_000),
            monotonic: Time(0),
            chance: u64::MAX / 2,
            given: Vec::new(),
            timers: Vec::new(),
            alarms: Vec::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            sent: Vec::new(),
            notes: Vec::new(),
            contents: Contents::default(),
            cuts: Vec::new(),
            exited: false,
            unacknowledged: 0,
            awaited: Vec::new(),
        }
    }

    /// Both clocks go on.
    pub(crate) fn pass(&mut self, span: Duration) {
        self.wall += span;
        self.monotonic += span;
    }

    /// The next timer or alarm that goes off until then, an alarm first; time goes on to it, or to `until` if there is
    /// none.
    pub(crate) fn next_due(&mut self, until: Time) -> Option<Input<Kafka>> {
        let timers = self.timers.iter().enumerate();
        let timer = timers.filter_map(|(slot, at)| Some(((*at)?, slot))).min();
        let alarms = self.alarms.iter().enumerate();
        let alarm = alarms.map(|(place, (_, at))| (*at, place)).min();
        let times = [timer.map(|(at, _)| at), alarm.map(|(at, _)| at)];
        let due = times.into_iter().flatten().min().filter(|due| *due <= until);
        self.pass(due.unwrap_or(until).since(self.monotonic));
        due?;
        if let Some((_, place)) = alarm.filter(|(at, _)| Some(*at) == due) {
            return Some(Input::Alarm(self.alarms.remove(place).0));
        }
        let (_, slot) = timer?;
        self.timers[slot] = None;
        Some(Input::Timer(TimerSlot(slot as u16)))
    }

    /// The requests sent since last asked.
    pub(crate) fn take_sent(&mut self) -> Vec<(ConnectionId, Correlation, Request)> {
        std::mem::take(&mut self.sent)
    }
}

impl Environment for Desk {
    fn me(&self) -> NodeId {
        NodeId(9)
    }
    fn incarnation(&self) -> u32 {
        1
    }
    fn monotonic(&self) -> Time {
        self.monotonic
    }
    fn wall(&self) -> Time {
        self.wall
    }
    fn draw_below(&mut self, site: Site, who: Identity, bound: u64) -> u64 {
        let given = self.given.iter().find(|(at, of, _)| (*at, *of) == (site, who.1));
        if let Some((.., value)) = given {
            return *value;
        }
        ((u128::from(self.chance) * u128::from(bound)) >> 64) as u64
    }
    fn set_timer(&mut self, slot: TimerSlot, after: Duration) {
        let slot = usize::from(slot.0);
        if self.timers.len() <= slot {
            self.timers.resize(slot + 1, None);
        }
        self.timers[slot] = Some(self.monotonic + after);
    }
    fn clear_timer(&mut self, slot: TimerSlot) {
        if let Some(timer) = self.timers.get_mut(usize::from(slot.0)) {
            *timer = None;
        }
    }
    fn alarm(&mut self, token: u32, after: Duration) {
        self.alarms.push((token, self.monotonic + after));
    }
    fn connect(&mut self, to: ServerId) -> ConnectionId {
        self.opened.push(to);
        ConnectionId(self.opened.len() as u32 - 1)
    }
    fn send(&mut self, connection: ConnectionId, message: Message) -> bool {
        match message {
            Message::Request(correlation, request) => self.sent.push((connection, correlation, request)),
            Message::Response(..) => panic!("clients ask"),
        }
        true
    }
    fn room(&self, _: ConnectionId, buffer: u64) -> u64 {
        buffer.saturating_sub(self.unacknowledged)
    }
    fn await_room(&mut self, connection: ConnectionId) {
        self.awaited.push(connection);
    }
    fn close(&mut self, connection: ConnectionId) {
        self.closed.push(connection);
    }
    fn store(&mut self, records: &[Record]) -> Records {
        self.contents.store(records.iter().copied())
    }
    fn contents(&mut self) -> &mut Contents {
        &mut self.contents
    }
    fn note(&mut self, note: Note) {
        match note {
            Note::Client(note) => self.notes.push(note),
            other => panic!("a client tells of clients, not {other:?}"),
        }
    }
    fn cut(&mut self, cut: u16, _: u64) -> Option<Duration> {
        let index = self.cuts.iter().position(|(armed, _)| *armed == cut)?;
        Some(self.cuts.remove(index).1)
    }
    fn exit(&mut self) {
        self.exited = true;
    }
}
