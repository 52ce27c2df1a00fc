//! A toy protocol: nodes that do what signals tell them and note what happens to them, and a script around them.

#![allow(dead_code, reason = "each test file uses a part of the toy")]

use std::cell::Cell;
use std::rc::Rc;

use ktrial_sim::{
    Closure, ConnectionId, Context, Crash, Director, DocumentId, Duration, Entry, EventId, Hold, Identity,
    Input, Link, Message, Node, NodeId, Port, Protocol, Simulation, Site, Time, TimerSlot,
};

pub const A: NodeId = NodeId(0);
pub const B: NodeId = NodeId(1);
pub const C: NodeId = NodeId(2);
pub const PORT: Port = Port(3);
/// A puppet that finds this on its disk ends itself while it boots.
pub const POISON: DocumentId = DocumentId(9);
pub const ECHOED: u32 = 1_000_000;
const DRAWS: Site = Site(Site::ENGINE);

/// One way takes exactly this long on links without spread.
pub const HOP: Duration = Duration::millis(1);

pub struct Toy;

impl Protocol for Toy {
    type Node = Puppet;
    type Message = Number;
    type Entry = Number;
    type Document = u32;
    type Note = Seen;
    type Signal = Order;
    type Arena = ();
}

/// A message, and an entry on disk. Its kind is its last decimal digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub u32);

impl Message for Number {
    fn bytes(&self) -> u32 {
        100
    }
    fn kind(&self) -> u8 {
        (self.0 % 10) as u8
    }
    fn digest(&self) -> u64 {
        u64::from(self.0)
    }
}

impl Entry for Number {
    fn spoil(&mut self) {
        self.0 = u32::MAX;
    }
}

/// What a puppet can be told. Connections are numbered as the node came to know them, opened or accepted.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    Connect(NodeId),
    /// Connect to a port that is not [`PORT`].
    Knock(NodeId, u8),
    Send(usize, u32),
    Datagram(NodeId, u32),
    Close(usize),
    StopListening,
    Mute(usize),
    Unmute(usize),
    UnmuteAll,
    /// Answer every message by the same number plus [`ECHOED`].
    Echo,
    /// Mute a connection on each message until an alarm this much later, and then answer: one request at a time.
    Serve(Duration),
    Timer(u16, Duration),
    ClearTimer(u16),
    Alarm(u32, Duration),
    /// End the process, and go on asking for things in the same step.
    ExitInTheMiddle(NodeId),
    /// Note how many bytes a socket of so many takes.
    AskRoom(usize, u64),
    AwaitRoom(usize),
    /// Take in so many bytes that were not read.
    TakeIn(u64),
    /// Pass a cut.
    Pass(u16, u64),
    Draw(u64),
}

/// What a puppet noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Booted,
    Connected(usize),
    Accepted(usize),
    Message(usize, u32),
    Closed(usize, Closure),
    Datagram(NodeId, u32),
    Timer(u16),
    Alarm(u32),
    /// A message was handed to a connection that was open.
    Wrote(ConnectionId, u32),
    /// A message was handed to a connection that was not.
    Unsent(u32),
    /// A socket takes so many bytes.
    Room(u64),
    /// A socket that was awaited takes more.
    Roomier(usize),
    Opened(Option<Duration>),
    Drew(u64),
}

#[derive(Default)]
pub struct Puppet {
    connections: Vec<ConnectionId>,
    open: Vec<bool>,
    echo: bool,
    service: Option<Duration>,
    served: Vec<(ConnectionId, u32)>,
}

impl Puppet {
    /// The connections of this process that it has not closed or seen closed.
    pub fn open_connections(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        let both = self.connections.iter().zip(&self.open);
        both.filter(|(_, open)| **open).map(|(id, _)| *id)
    }

    /// How many connections this process has known.
    pub fn known(&self) -> usize {
        self.connections.len()
    }

    fn know(&mut self, id: ConnectionId) {
        self.connections.push(id);
        self.open.push(true);
    }

    fn number(&self, id: ConnectionId) -> usize {
        self.connections
            .iter()
            .position(|other| *other == id)
            .expect("inputs name connections that the node knows")
    }

    fn message(&mut self, id: ConnectionId, number: u32, context: &mut Context<'_, Toy>) {
        context.note(Seen::Message(self.number(id), number));
        if self.echo {
            context.send(id, Number(number + ECHOED));
        }
        if let Some(service) = self.service {
            context.mute(id);
            self.served.push((id, number));
            context.alarm(u32::MAX, service);
        }
    }

    fn order(&mut self, order: Order, context: &mut Context<'_, Toy>) {
        match order {
            Order::Connect(to) => self.know(context.connect(to, PORT)),
            Order::Knock(to, port) => self.know(context.connect(to, Port(port))),
            Order::Send(connection, number) => {
                let id = self.connections[connection];
                let sent = context.send(id, Number(number));
                context.note(if sent {
                    Seen::Wrote(id, number)
                } else {
                    Seen::Unsent(number)
                });
            }
            Order::Datagram(to, number) => context.send_datagram(to, Number(number)),
            Order::Close(connection) => {
                self.open[connection] = false;
                context.close(self.connections[connection]);
            }
            Order::StopListening => context.stop_listening(PORT),
            Order::Mute(connection) => context.mute(self.connections[connection]),
            Order::Unmute(connection) => context.unmute(self.connections[connection]),
            Order::UnmuteAll => self.connections.iter().for_each(|id| context.unmute(*id)),
            Order::Echo => self.echo = true,
            Order::Serve(service) => self.service = Some(service),
            Order::Timer(slot, after) => context.set_timer(TimerSlot(slot), after),
            Order::ClearTimer(slot) => context.clear_timer(TimerSlot(slot)),
            Order::Alarm(token, after) => context.alarm(token, after),
            Order::ExitInTheMiddle(to) => {
                context.exit();
                context.set_timer(TimerSlot(0), Duration::secs(1));
                context.alarm(0, Duration::secs(1));
                context.listen(Port(9));
                context.connect(to, PORT);
                for id in &self.connections {
                    context.send(*id, Number(0));
                }
            }
            Order::AskRoom(connection, buffer) => {
                let room = context.room(self.connections[connection], buffer);
                context.note(Seen::Room(room));
            }
            Order::AwaitRoom(connection) => context.await_room(self.connections[connection]),
            Order::TakeIn(bytes) => context.set_receive_buffer(bytes),
            Order::Pass(cut, who) => {
                let opened = context.cut(cut, who);
                context.note(Seen::Opened(opened));
            }
            Order::Draw(who) => {
                let drawn = context.draw(DRAWS, Identity(who, 0));
                context.note(Seen::Drew(drawn));
            }
        }
    }
}

impl Node<Toy> for Puppet {
    fn boot(&mut self, context: &mut Context<'_, Toy>) {
        *self = Puppet::default();
        if context.disk().document(POISON).is_some() {
            context.exit();
            context.listen(Port(9));
            context.set_timer(TimerSlot(0), Duration::secs(1));
            return;
        }
        context.listen(PORT);
        context.note(Seen::Booted);
    }

    fn handle(&mut self, input: Input<Toy>, context: &mut Context<'_, Toy>) {
        match input {
            Input::Timer(slot) => context.note(Seen::Timer(slot.0)),
            Input::Alarm(u32::MAX) => {
                let (id, number) = self.served.remove(0);
                context.send(id, Number(number + ECHOED));
                context.unmute(id);
            }
            Input::Alarm(token) => context.note(Seen::Alarm(token)),
            Input::Connected(id) => context.note(Seen::Connected(self.number(id))),
            Input::Accepted(id, _) => {
                self.know(id);
                context.note(Seen::Accepted(self.connections.len() - 1));
            }
            Input::Message(id, Number(number)) => self.message(id, number, context),
            Input::Room(id) => context.note(Seen::Roomier(self.number(id))),
            Input::Closed(id, closure) => {
                let number = self.number(id);
                self.open[number] = false;
                context.note(Seen::Closed(number, closure));
            }
            Input::Datagram(from, Number(number)) => context.note(Seen::Datagram(from, number)),
            Input::Signal(order) => self.order(order, context),
        }
    }
}

type Action = Box<dyn FnMut(&mut Simulation<Toy>)>;

/// The script, and what the puppets noted.
#[derive(Default)]
pub struct Stage {
    script: Vec<Action>,
    pub seen: Vec<(Time, NodeId, Seen)>,
    pub events: Vec<EventId>,
}

impl Director<Toy> for Stage {
    fn note(&mut self, node: NodeId, event: EventId, note: &Seen, simulation: &mut Simulation<Toy>) {
        self.seen.push((simulation.now(), node, *note));
        self.events.push(event);
    }
    fn scripted(&mut self, entry: u32, simulation: &mut Simulation<Toy>) {
        self.script[entry as usize](simulation);
    }
}

/// A simulation of puppets with its script.
pub struct World {
    pub simulation: Simulation<Toy>,
    pub stage: Stage,
}

/// Links that take exactly [`HOP`].
pub fn exact() -> Link {
    Link {
        latency: HOP,
        spread: Duration::ZERO,
        congestion_window: 0,
        ..Link::default()
    }
}

impl World {
    /// Puppets on exact links, all started.
    pub fn new(nodes: usize) -> World {
        World::with(Simulation::default(), 1, nodes, exact())
    }

    pub fn with(mut simulation: Simulation<Toy>, seed: u64, nodes: usize, link: Link) -> World {
        simulation.reset(seed, (0..nodes).map(|_| Puppet::default()).collect(), link);
        for node in 0..nodes {
            simulation.start(NodeId(node as u16));
        }
        World {
            simulation,
            stage: Stage::default(),
        }
    }

    /// Two puppets of which the first has connected to the second by 10 ms.
    pub fn pair() -> World {
        let mut world = World::new(2);
        world.tell(0, A, Order::Connect(B));
        world
    }

    /// Does something at `millis`.
    pub fn at(&mut self, millis: u64, action: impl FnMut(&mut Simulation<Toy>) + 'static) -> &mut Self {
        let entry = self.stage.script.len() as u32;
        self.stage.script.push(Box::new(action));
        self.simulation
            .schedule(Time::ZERO + Duration::millis(millis), entry);
        self
    }

    pub fn tell(&mut self, millis: u64, node: NodeId, order: Order) -> &mut Self {
        self.at(millis, move |simulation| simulation.signal(node, order))
    }

    pub fn crash(&mut self, millis: u64, node: NodeId, crash: Crash) -> &mut Self {
        self.at(millis, move |simulation| simulation.crash(node, crash))
    }

    pub fn pause(&mut self, from: u64, to: u64, node: NodeId) -> &mut Self {
        self.at(from, move |simulation| simulation.pause(node));
        self.at(to, move |simulation| simulation.resume(node))
    }

    pub fn start(&mut self, millis: u64, node: NodeId) -> &mut Self {
        self.at(millis, move |simulation| simulation.start(node))
    }

    /// Cuts both directions between two nodes in `from..to` milliseconds.
    pub fn cut(&mut self, from: u64, to: u64, one: NodeId, other: NodeId) -> &mut Self {
        self.cut_way(from, to, one, other).cut_way(from, to, other, one)
    }

    /// Cuts one direction in `from..to` milliseconds.
    pub fn cut_way(&mut self, from: u64, to: u64, one: NodeId, other: NodeId) -> &mut Self {
        self.at(from, move |simulation| simulation.cut(one, other));
        self.at(to, move |simulation| simulation.mend(one, other))
    }

    /// Holds messages back in `from..to` milliseconds.
    pub fn hold(&mut self, from: u64, to: u64, hold: Hold) -> &mut Self {
        let id = Rc::new(Cell::new(None));
        let held = id.clone();
        self.at(from, move |simulation| held.set(Some(simulation.hold(hold))));
        self.at(to, move |simulation| {
            simulation.release(id.get().expect("held before"));
        })
    }

    pub fn run(&mut self, millis: u64) -> &mut Self {
        self.simulation
            .run(Time::ZERO + Duration::millis(millis), &mut self.stage);
        self
    }

    /// What a node noted, with the instants in milliseconds, without what it wrote.
    pub fn seen(&self, node: NodeId) -> Vec<(u64, Seen)> {
        let wanted = |by: NodeId, seen: Seen| by == node && !matches!(seen, Seen::Wrote(..));
        let by = self.stage.seen.iter().filter(|(_, by, seen)| wanted(*by, *seen));
        by.map(|(at, _, seen)| (at.millis(), *seen)).collect()
    }

    /// What a node noted after `millis`.
    pub fn seen_after(&self, node: NodeId, millis: u64) -> Vec<(u64, Seen)> {
        let mut seen = self.seen(node);
        seen.retain(|(at, _)| *at > millis);
        seen
    }

    /// The numbers that arrived at a node on connections, in order.
    pub fn numbers(&self, node: NodeId) -> Vec<u32> {
        let seen = self.seen(node);
        let numbers = seen.iter().filter_map(|(_, seen)| match seen {
            Seen::Message(_, number) => Some(*number),
            _ => None,
        });
        numbers.collect()
    }
}
