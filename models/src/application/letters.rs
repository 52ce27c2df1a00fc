//! A second client in the process: the producer that sends records on to another topic, with threads, timers and
//! connections of its own.

use std::sync::Arc;

use ktrial_sim::{ConnectionId, Duration, Identity, Input, NodeId, Site, Time, TimerSlot};

use crate::client::Environment;
use crate::ids::{RecordId, ServerId};
use crate::kafka::Kafka;
use crate::notes::{ClientNote, Note};
use crate::producer::Producer;
use crate::protocol::Message;
use crate::records::{Contents, Record, Records};
use crate::specification::{ClusterSpecification, ProducerSpecification};

/// Its timers and alarms come behind those of the process's first client.
const TIMERS: u16 = 8;
const ALARMS: u32 = 1 << 16;
/// Draws of the two clients have nothing to do with each other.
const INCARNATIONS: u32 = 1 << 31;

/// The producer, and what it shares with the process.
pub(super) struct Letters {
    producer: Producer,
    connections: Vec<ConnectionId>,
    /// Callbacks that have not been looked at.
    outcomes: Vec<(u32, bool)>,
}

impl Letters {
    pub(super) fn new(cluster: &Arc<ClusterSpecification>, specification: &ProducerSpecification) -> Self {
        Letters {
            producer: Producer::new(Arc::clone(cluster), specification.clone()),
            connections: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    /// `new KafkaProducer(...)`.
    pub(super) fn begin(&mut self, environment: &mut impl Environment) {
        self.connections.clear();
        self.outcomes.clear();
        let (producer, mut environment) = self.apart(environment);
        producer.begin(&mut environment);
    }

    fn apart<'a, E>(&'a mut self, environment: &'a mut E) -> (&'a mut Producer, Second<'a, E>) {
        let second = Second {
            environment,
            connections: &mut self.connections,
            outcomes: &mut self.outcomes,
        };
        (&mut self.producer, second)
    }

    /// Whether an input of the process is this client's; then it has worked through it.
    pub(super) fn takes(&mut self, input: &mut Input<Kafka>, environment: &mut impl Environment) -> bool {
        let own = match input {
            Input::Timer(slot) if slot.0 >= TIMERS => Input::Timer(TimerSlot(slot.0 - TIMERS)),
            Input::Alarm(token) if *token >= ALARMS => Input::Alarm(*token - ALARMS),
            Input::Connected(connection)
            | Input::Room(connection)
            | Input::Closed(connection, _)
            | Input::Message(connection, _)
                if self.connections.contains(connection) =>
            {
                std::mem::replace(input, Input::Alarm(ALARMS))
            }
            _ => return false,
        };
        let (producer, mut environment) = self.apart(environment);
        producer.handle_in(own, &mut environment);
        true
    }

    /// `send` of a copy of a record.
    pub(super) fn send(&mut self, original: Record, environment: &mut impl Environment) -> u32 {
        let number = self.producer.operations() as u32;
        let copy = RecordId {
            producer: environment.me(),
            number,
        };
        environment.contents().copied(copy, original.id);
        let (producer, mut environment) = self.apart(environment);
        producer.send(original.key, original.bytes, &mut environment);
        number
    }

    /// Whether a send has succeeded; none: it has no outcome yet.
    pub(super) fn outcome(&mut self, number: u32) -> Option<bool> {
        let place = self.outcomes.iter().position(|(known, _)| *known == number)?;
        let (_, fine) = self.outcomes[place];
        self.outcomes.clear();
        Some(fine)
    }

    /// Sends without an outcome.
    pub(super) fn pending(&self) -> u32 {
        self.producer.pending()
    }
}

/// The process as its second client sees it.
struct Second<'a, E> {
    environment: &'a mut E,
    connections: &'a mut Vec<ConnectionId>,
    outcomes: &'a mut Vec<(u32, bool)>,
}

impl<E: Environment> Environment for Second<'_, E> {
    fn me(&self) -> NodeId {
        self.environment.me()
    }
    fn incarnation(&self) -> u32 {
        self.environment.incarnation() | INCARNATIONS
    }
    fn monotonic(&self) -> Time {
        self.environment.monotonic()
    }
    fn wall(&self) -> Time {
        self.environment.wall()
    }
    fn draw_below(&mut self, site: Site, who: Identity, bound: u64) -> u64 {
        self.environment.draw_below(site, who, bound)
    }
    fn set_timer(&mut self, slot: TimerSlot, after: Duration) {
        self.environment.set_timer(TimerSlot(slot.0 + TIMERS), after);
    }
    fn clear_timer(&mut self, slot: TimerSlot) {
        self.environment.clear_timer(TimerSlot(slot.0 + TIMERS));
    }
    fn alarm(&mut self, token: u32, after: Duration) {
        self.environment.alarm(token + ALARMS, after);
    }
    fn connect(&mut self, to: ServerId) -> ConnectionId {
        let connection = self.environment.connect(to);
        self.connections.push(connection);
        connection
    }
    fn send(&mut self, connection: ConnectionId, message: Message) -> bool {
        self.environment.send(connection, message)
    }
    fn room(&self, connection: ConnectionId, buffer: u64) -> u64 {
        self.environment.room(connection, buffer)
    }
    fn await_room(&mut self, connection: ConnectionId) {
        self.environment.await_room(connection);
    }
    fn close(&mut self, connection: ConnectionId) {
        self.environment.close(connection);
    }
    fn store(&mut self, records: &[Record]) -> Records {
        self.environment.store(records)
    }
    fn contents(&mut self) -> &mut Contents {
        self.environment.contents()
    }
    fn note(&mut self, note: Note) {
        match &note {
            Note::Client(ClientNote::Acknowledged { records, .. }) => {
                let records = self.environment.contents().records(*records).iter();
                self.outcomes
                    .extend(records.map(|record| (record.id.number, true)));
            }
            Note::Client(ClientNote::Failed { record, .. }) => self.outcomes.push((record.number, false)),
            _ => {}
        }
        self.environment.note(note);
    }
    fn cut(&mut self, cut: u16, who: u64) -> Option<Duration> {
        self.environment.cut(cut, who)
    }
    fn exit(&mut self) {
        unreachable!("nobody closes it before the process ends");
    }
}
