//! What the simulation keeps outside the nodes: the queue, the network, the disks, the clocks.

use crate::chance::{Chance, Identity, Site};
use crate::clock::Clock;
use crate::digest::Digest;
use crate::disk::Disk;
use crate::network::{Carried, Connection, ConnectionId, Link, Segments};
use crate::node::{Message, NodeId, Port, Protocol, TimerSlot};
use crate::queue::Queue;
use crate::time::{Duration, Time};
use crate::trace::Trace;

/// The number of an event: the order in which events were put into the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u64);

/// What the queue holds: eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The next thing sent on a way is due at its reader.
    Deliver {
        way: u8,
        connection: u32,
    },
    /// The reader can read on.
    Read {
        way: u8,
        connection: u32,
    },
    /// TCP tries the blocked head of a way again.
    Retransmit {
        way: u8,
        connection: u32,
    },
    /// A handshake reaches the node connected to.
    Handshake {
        connection: u32,
    },
    /// A listening process notices a new connection.
    Accept {
        connection: u32,
    },
    /// The answer to a handshake reaches the one who connects.
    Established {
        connection: u32,
    },
    /// A reset, a refusal or a time-out reaches one end.
    Break {
        end: u8,
        closure: u8,
        connection: u32,
    },
    Timer {
        node: u16,
        slot: u16,
    },
    /// A timer that ran out while its node was paused.
    Fire {
        node: u16,
        slot: u16,
    },
    Alarm {
        incarnation: u8,
        node: u16,
        token: u32,
    },
    Datagram {
        slot: u32,
    },
    Scripted {
        entry: u32,
    },
}

impl Event {
    /// The event as a word, for the digest.
    #[inline]
    fn word(self) -> u64 {
        let pack = |tag: u64, small: u8, large: u32| tag << 56 | u64::from(small) << 32 | u64::from(large);
        match self {
            Event::Deliver { way, connection } => pack(1, way, connection),
            Event::Read { way, connection } => pack(2, way, connection),
            Event::Retransmit { way, connection } => pack(3, way, connection),
            Event::Handshake { connection } => pack(4, 0, connection),
            Event::Accept { connection } => pack(5, 0, connection),
            Event::Established { connection } => pack(6, 0, connection),
            Event::Break {
                end,
                closure,
                connection,
            } => pack(7, end << 4 | closure, connection),
            Event::Timer { node, slot } => pack(8, 0, u32::from(node) << 16 | u32::from(slot)),
            Event::Fire { node, slot } => pack(9, 0, u32::from(node) << 16 | u32::from(slot)),
            Event::Alarm {
                incarnation,
                node,
                token,
            } => pack(10, incarnation, token) | u64::from(node) << 40,
            Event::Datagram { slot } => pack(11, 0, slot),
            Event::Scripted { entry } => pack(12, 0, entry),
        }
    }
}

/// How a machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Without power: packets to it vanish.
    Off,
    /// Powered, but the process does not run: connections to it are refused.
    Down,
    /// The process runs.
    Up,
    /// The process runs but stands still; the machine's network stack does not.
    Paused,
}

#[derive(Clone, Copy)]
struct TimerState {
    /// When the timer should run out; never: it is not set.
    deadline: Time,
    /// When the earliest event for it is queued.
    queued: Time,
}

const UNSET: TimerState = TimerState {
    deadline: Time::NEVER,
    queued: Time::NEVER,
};

pub(crate) struct Machine {
    pub(crate) status: Status,
    /// How many processes have been started here.
    pub(crate) incarnation: u32,
    pub(crate) clock: Clock,
    timers: Vec<TimerState>,
    /// What happened while the process was paused.
    pub(crate) backlog: Vec<Event>,
    /// One bit a port.
    pub(crate) listening: u32,
    /// When the network card has sent everything handed to it.
    egress_free: Time,
    /// How many connections this incarnation opened to each node.
    opened: Vec<u32>,
    datagrams: u64,
}

impl Machine {
    fn new() -> Self {
        Machine {
            status: Status::Down,
            incarnation: 0,
            clock: Clock::default(),
            timers: Vec::new(),
            backlog: Vec::new(),
            listening: 0,
            egress_free: Time::ZERO,
            opened: Vec::new(),
            datagrams: 0,
        }
    }

    /// Everything a process loses when it dies.
    pub(crate) fn forget(&mut self) {
        // Events still queued for these timers find them unset.
        self.timers
            .iter_mut()
            .for_each(|timer| timer.deadline = Time::NEVER);
        self.backlog.clear();
        self.listening = 0;
        self.opened.clear();
    }
}

/// A place between two steps where another lane may go first, armed to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArmedCut {
    /// The cut, as its protocol numbers them.
    pub cut: u16,
    /// Only on this node, or on every node.
    pub node: Option<NodeId>,
    /// Opens with probability `numerator / denominator`, drawn for each passage.
    pub numerator: u32,
    /// See `numerator`.
    pub denominator: u32,
    /// How long it stays open: uniform in zero to this.
    pub longest: Duration,
}

/// A fault that stops messages of some kinds, by stalling the connection that carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// One bit for each message kind.
    pub kinds: u64,
    /// Only messages from this node.
    pub from: Option<NodeId>,
    /// Only messages to this node.
    pub to: Option<NodeId>,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events taken from the queue.
    pub events: u64,
    /// Messages read by a process.
    pub delivered: u64,
    /// Draws made by nodes and by the network.
    pub draws: u64,
}

pub(crate) struct Kernel<P: Protocol> {
    pub(crate) now: Time,
    pub(crate) event: EventId,
    pub(crate) queue: Queue<Event>,
    pub(crate) machines: Vec<Machine>,
    pub(crate) disks: Vec<Disk<P::Entry, P::Document>>,
    links: Vec<Link>,
    default_link: Link,
    pub(crate) connections: Vec<Connection>,
    pub(crate) segments: Segments<P::Message>,
    pub(crate) datagrams: Segments<(NodeId, NodeId, P::Message)>,
    pub(crate) chance: Chance,
    pub(crate) notes: Vec<(NodeId, EventId, P::Note)>,
    pub(crate) arena: P::Arena,
    pub(crate) digest: Digest,
    pub(crate) counters: Counters,
    pub(crate) armed_cuts: Vec<ArmedCut>,
    pub(crate) cut_passages: u64,
    pub(crate) holds: Vec<Option<Hold>>,
    pub(crate) trace: Option<Trace>,
}

impl<P: Protocol> Kernel<P> {
    pub(crate) fn new() -> Self {
        Kernel {
            now: Time::ZERO,
            event: EventId(0),
            queue: Queue::default(),
            machines: Vec::new(),
            disks: Vec::new(),
            links: Vec::new(),
            default_link: Link::default(),
            connections: Vec::new(),
            segments: Segments::default(),
            datagrams: Segments::default(),
            chance: Chance::new(0),
            notes: Vec::new(),
            arena: P::Arena::default(),
            digest: Digest::default(),
            counters: Counters::default(),
            armed_cuts: Vec::new(),
            cut_passages: 0,
            holds: Vec::new(),
            trace: None,
        }
    }

    pub(crate) fn reset(&mut self, seed: u64, nodes: usize, link: Link) {
        self.now = Time::ZERO;
        self.event = EventId(0);
        self.queue.clear();
        self.machines.truncate(nodes);
        for machine in &mut self.machines {
            let (mut timers, mut backlog) = (
                std::mem::take(&mut machine.timers),
                std::mem::take(&mut machine.backlog),
            );
            timers.clear();
            backlog.clear();
            *machine = Machine {
                timers,
                backlog,
                ..Machine::new()
            };
        }
        self.machines.resize_with(nodes, Machine::new);
        self.disks.iter_mut().for_each(Disk::reset);
        self.disks.truncate(nodes);
        self.disks.resize_with(nodes, Disk::default);
        self.default_link = link;
        self.links.clear();
        self.links.resize(nodes * nodes, link);
        self.connections.clear();
        self.segments.clear();
        self.datagrams.clear();
        self.chance = Chance::new(seed);
        self.notes.clear();
        self.arena_clear();
        self.digest = Digest::default();
        self.digest.fold(seed, nodes as u64);
        self.counters = Counters::default();
        self.armed_cuts.clear();
        self.cut_passages = 0;
        self.holds.clear();
        if let Some(trace) = &mut self.trace {
            trace.clear();
        }
    }

    fn arena_clear(&mut self) {
        use crate::node::Arena;
        self.arena.clear();
    }

    #[inline]
    pub(crate) fn push(&mut self, time: Time, event: Event) {
        let number = self.queue.push(time, event);
        if let Some(trace) = &mut self.trace {
            trace.caused(EventId(number), self.event);
        }
    }

    /// Takes the next event that is due by `until`.
    #[inline]
    pub(crate) fn pop(&mut self, until: Time) -> Option<Event> {
        if self.queue.next_time()? > until {
            return None;
        }
        let (time, number, event) = self.queue.pop()?;
        debug_assert!(time >= self.now, "an event in the past");
        self.now = time;
        self.event = EventId(number);
        self.counters.events += 1;
        self.digest.fold(time.0, event.word());
        Some(event)
    }

    #[inline]
    pub(crate) fn link(&self, from: NodeId, to: NodeId) -> &Link {
        &self.links[from.0 as usize * self.machines.len() + to.0 as usize]
    }

    #[inline]
    pub(crate) fn link_mut(&mut self, from: NodeId, to: NodeId) -> &mut Link {
        let nodes = self.machines.len();
        &mut self.links[from.0 as usize * nodes + to.0 as usize]
    }

    #[inline]
    pub(crate) fn machine(&self, node: NodeId) -> &Machine {
        &self.machines[node.0 as usize]
    }

    #[inline]
    pub(crate) fn machine_mut(&mut self, node: NodeId) -> &mut Machine {
        &mut self.machines[node.0 as usize]
    }

    #[inline]
    pub(crate) fn draw(&mut self, site: Site, identity: Identity) -> u64 {
        self.counters.draws += 1;
        self.chance.draw(site, identity)
    }

    /// One latency from `from` to `to`, drawn for `identity`.
    #[inline]
    pub(crate) fn latency(&mut self, from: NodeId, to: NodeId, site: Site, identity: Identity) -> Duration {
        let link = *self.link(from, to);
        if link.spread.0 == 0 {
            return link.latency;
        }
        let bits = self.draw(site, identity);
        let spread = ((u128::from(bits) * (u128::from(link.spread.0) + 1)) >> 64) as u64;
        Duration(link.latency.0 + spread)
    }

    /// When `bytes` handed to the network card of `from` now have left it.
    #[inline]
    fn leave(&mut self, from: NodeId, to: NodeId, bytes: u32) -> Time {
        let rate = self.link(from, to).bytes_per_microsecond;
        if rate == 0 {
            return self.now;
        }
        let transfer = Duration::nanos(u64::from(bytes) * 1_000 / u64::from(rate));
        let now = self.now;
        let machine = self.machine_mut(from);
        machine.egress_free = machine.egress_free.max(now) + transfer;
        machine.egress_free
    }

    /// Puts something on a way and announces it.
    #[inline]
    pub(crate) fn transmit(&mut self, index: u32, way: usize, carried: Carried<P::Message>) {
        let bytes = match &carried {
            Carried::Message(message) => message.bytes(),
            Carried::Finish => 0,
        };
        let connection = &self.connections[index as usize];
        let (from, to) = (connection.ends[way], connection.ends[1 - way]);
        let number = u64::from(connection.ways[way].sent);
        let identity = Identity(connection.identity, (way as u64) << 32 | number);
        let latency = self.latency(from, to, Site::SEGMENT_LATENCY, identity);
        let arrival = self.leave(from, to, bytes) + latency;
        let way_state = &mut self.connections[index as usize].ways[way];
        let arrival = arrival.max(way_state.last_arrival);
        way_state.sent += 1;
        way_state.last_arrival = arrival;
        way_state.append(&mut self.segments, carried);
        self.push(
            arrival,
            Event::Deliver {
                way: way as u8,
                connection: index,
            },
        );
    }

    /// The latency of one handshake step or reset on a connection.
    pub(crate) fn handshake_latency(&mut self, index: u32, from_end: usize, step: u64) -> Duration {
        let connection = &self.connections[index as usize];
        let (from, to) = (connection.ends[from_end], connection.ends[1 - from_end]);
        let identity = Identity(connection.identity, step << 8 | from_end as u64);
        self.latency(from, to, Site::HANDSHAKE_LATENCY, identity)
    }

    pub(crate) fn connect(&mut self, from: NodeId, to: NodeId, port: Port) -> ConnectionId {
        let nodes = self.machines.len();
        let machine = self.machine_mut(from);
        machine.opened.resize(nodes, 0);
        let number = machine.opened[to.0 as usize];
        machine.opened[to.0 as usize] += 1;
        let incarnation = machine.incarnation;
        let index = self.connections.len() as u32;
        self.connections
            .push(Connection::new(from, incarnation, to, port, number));
        let latency = self.handshake_latency(index, 0, 0);
        self.push(self.now + latency, Event::Handshake { connection: index });
        ConnectionId(index << 1)
    }

    pub(crate) fn send_datagram(&mut self, from: NodeId, to: NodeId, message: P::Message) {
        let machine = self.machine_mut(from);
        let number = machine.datagrams;
        machine.datagrams += 1;
        let identity = Identity(u64::from(from.0) << 16 | u64::from(to.0), number);
        let loss = self.link(from, to).datagram_loss;
        if loss > 0 && (self.draw(Site::DATAGRAM_LOSS, identity) >> 32) < u64::from(loss) {
            return;
        }
        let latency = self.latency(from, to, Site::DATAGRAM_LATENCY, identity);
        let slot = self.datagrams.put(Carried::Message((from, to, message)));
        self.push(self.now + latency, Event::Datagram { slot });
    }

    pub(crate) fn set_timer(&mut self, node: NodeId, slot: TimerSlot, deadline: Time) {
        let index = slot.0 as usize;
        let timers = &mut self.machines[node.0 as usize].timers;
        if index >= timers.len() {
            timers.resize(index + 1, UNSET);
        }
        let timer = &mut timers[index];
        timer.deadline = deadline;
        // An event queued earlier will find the new deadline and queue itself again: postponing costs nothing.
        if deadline < timer.queued {
            timer.queued = deadline;
            self.push(
                deadline,
                Event::Timer {
                    node: node.0,
                    slot: slot.0,
                },
            );
        }
    }

    pub(crate) fn clear_timer(&mut self, node: NodeId, slot: TimerSlot) {
        if let Some(timer) = self.machine_mut(node).timers.get_mut(slot.0 as usize) {
            timer.deadline = Time::NEVER;
        }
    }

    pub(crate) fn timer_deadline(&self, node: NodeId, slot: TimerSlot) -> Option<Time> {
        let timer = self.machine(node).timers.get(slot.0 as usize)?;
        (timer.deadline != Time::NEVER).then_some(timer.deadline)
    }

    /// Whether the event just popped for a timer means that the timer has run out.
    #[inline]
    pub(crate) fn timer_due(&mut self, node: NodeId, slot: TimerSlot) -> bool {
        let now = self.now;
        let timer = &mut self.machine_mut(node).timers[slot.0 as usize];
        if timer.queued != now {
            return false;
        }
        timer.queued = Time::NEVER;
        if timer.deadline == Time::NEVER {
            return false;
        }
        if timer.deadline > now {
            timer.queued = timer.deadline;
            let deadline = timer.deadline;
            self.push(
                deadline,
                Event::Timer {
                    node: node.0,
                    slot: slot.0,
                },
            );
            return false;
        }
        true
    }

    /// Takes a timer that has run out. False if it was set anew or cleared meanwhile.
    #[inline]
    pub(crate) fn take_timer(&mut self, node: NodeId, slot: TimerSlot) -> bool {
        let now = self.now;
        match self.machine_mut(node).timers.get_mut(slot.0 as usize) {
            Some(timer) if timer.deadline <= now => {
                timer.deadline = Time::NEVER;
                true
            }
            _ => false,
        }
    }

    /// Whether a fault holds the message due next on this way.
    pub(crate) fn held_by_fault(&self, index: u32, way: usize) -> bool {
        let connection = &self.connections[index as usize];
        let Some(Carried::Message(message)) = connection.ways[way].next_due(&self.segments) else {
            return false;
        };
        let (from, to) = (connection.ends[way], connection.ends[1 - way]);
        self.holds.iter().flatten().any(|hold| {
            hold.kinds >> message.kind() & 1 == 1
                && hold.from.is_none_or(|node| node == from)
                && hold.to.is_none_or(|node| node == to)
        })
    }

    /// Whether `cut` opens for this passage, and for how long.
    pub(crate) fn cut(&mut self, node: NodeId, cut: u16, who: u64) -> Option<Duration> {
        let armed = *self
            .armed_cuts
            .iter()
            .find(|armed| armed.cut == cut && armed.node.is_none_or(|only| only == node))?;
        let identity = Identity(u64::from(cut) << 32 | u64::from(node.0), who);
        let bits = self.draw(Site::CUT, identity);
        let opens = ((bits & 0xffff_ffff) * u64::from(armed.denominator)) >> 32 < u64::from(armed.numerator);
        self.cut_passages += u64::from(opens);
        opens.then(|| Duration(((u128::from(bits >> 32) * u128::from(armed.longest.0)) >> 32) as u64))
    }
}
