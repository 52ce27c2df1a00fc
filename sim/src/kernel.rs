//! What the simulation keeps outside the nodes: the queue, the network, the disks, the clocks.

use crate::chance::{Chance, Identity, Site};
use crate::digest::Digest;
use crate::disk::Disk;
use crate::event::{Event, EventId};
use crate::fault::{ArmedCut, Hold, HoldId};
use crate::machine::Machine;
use crate::network::{Connection, Link, Segments};
use crate::node::{Arena, NodeId, Protocol};
use crate::queue::Queue;
use crate::slab::Slab;
use crate::time::{Duration, Time};
use crate::told::Told;
use crate::trace::Trace;

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
    /// Events as words.
    pub(crate) queue: Queue<u64>,
    pub(crate) machines: Vec<Machine>,
    pub(crate) disks: Vec<Disk<P::Entry, P::Document>>,
    links: Vec<Link>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) segments: Segments<P::Message>,
    pub(crate) datagrams: Slab<(NodeId, NodeId, P::Message)>,
    /// How many datagrams each node sent to each.
    datagrams_sent: Vec<u64>,
    pub(crate) signals: Vec<P::Signal>,
    pub(crate) chance: Chance,
    pub(crate) notes: Told<P::Note>,
    pub(crate) arena: P::Arena,
    pub(crate) digest: Digest,
    pub(crate) counters: Counters,
    pub(crate) armed_cuts: Vec<ArmedCut>,
    pub(crate) cut_passages: u64,
    pub(crate) holds: Vec<(HoldId, Hold)>,
    pub(crate) holds_made: u32,
    /// From a kill to the closing of the process's connections: uniform in least ..= most.
    pub(crate) tear_down: (Duration, Duration),
    /// The process in hand has ended itself and does not know it yet.
    pub(crate) exited: bool,
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
            connections: Vec::new(),
            segments: Segments::default(),
            datagrams: Slab::default(),
            datagrams_sent: Vec::new(),
            signals: Vec::new(),
            chance: Chance::new(0),
            notes: Told::default(),
            arena: P::Arena::default(),
            digest: Digest::default(),
            counters: Counters::default(),
            armed_cuts: Vec::new(),
            cut_passages: 0,
            holds: Vec::new(),
            holds_made: 0,
            tear_down: (Duration::ZERO, Duration::ZERO),
            exited: false,
            trace: None,
        }
    }

    pub(crate) fn reset(&mut self, seed: u64, nodes: usize, link: Link) {
        self.now = Time::ZERO;
        self.event = EventId(0);
        self.queue.clear();
        self.machines.truncate(nodes);
        self.machines.iter_mut().for_each(Machine::reset);
        self.machines.resize_with(nodes, Machine::new);
        self.disks.iter_mut().for_each(Disk::reset);
        self.disks.truncate(nodes);
        self.disks.resize_with(nodes, Disk::default);
        self.links.clear();
        self.links.resize(nodes * nodes, link);
        self.connections.clear();
        self.segments.clear();
        self.datagrams.clear();
        self.datagrams_sent.clear();
        self.datagrams_sent.resize(nodes * nodes, 0);
        self.signals.clear();
        self.chance = Chance::new(seed);
        self.notes.clear();
        self.arena.clear();
        self.digest = Digest::default();
        self.digest.fold(seed, nodes as u64);
        self.counters = Counters::default();
        self.armed_cuts.clear();
        self.cut_passages = 0;
        self.holds.clear();
        self.holds_made = 0;
        self.tear_down = (Duration::ZERO, Duration::ZERO);
        self.exited = false;
        if let Some(trace) = &mut self.trace {
            trace.clear();
        }
    }

    /// Always inlined, so that what is known of the event need not be found out again.
    #[inline(always)]
    pub(crate) fn push(&mut self, time: Time, event: Event) -> EventId {
        self.push_word(time, event.word())
    }

    pub(crate) fn push_word(&mut self, time: Time, word: u64) -> EventId {
        if self.trace.is_some() {
            return self.push_traced(time, word);
        }
        EventId(self.queue.push(time, word) + 1)
    }

    #[cold]
    fn push_traced(&mut self, time: Time, word: u64) -> EventId {
        let id = EventId(self.queue.push(time, word) + 1);
        if let Some(trace) = &mut self.trace {
            trace.caused(id, self.event);
        }
        id
    }

    /// Takes the next event that is due by `until`, as a word.
    #[inline]
    pub(crate) fn pop(&mut self, until: Time) -> Option<u64> {
        let (time, number, word) = self.queue.pop_until(until)?;
        debug_assert!(time >= self.now, "an event in the past");
        self.now = time;
        self.event = EventId(number + 1);
        self.counters.events += 1;
        self.digest.fold(time.0, word);
        if let Some(trace) = &mut self.trace {
            trace.happens(time, word);
        }
        Some(word)
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

    /// The number of the next datagram from `from` to `to`.
    #[inline]
    pub(crate) fn number_datagram(&mut self, from: NodeId, to: NodeId) -> u64 {
        let nodes = self.machines.len();
        let sent = &mut self.datagrams_sent[from.0 as usize * nodes + to.0 as usize];
        *sent += 1;
        *sent - 1
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
        self.latency_on(&link, site, identity)
    }

    /// One latency on a link, drawn for `identity`.
    #[inline]
    pub(crate) fn latency_on(&mut self, link: &Link, site: Site, identity: Identity) -> Duration {
        if link.spread.0 == 0 {
            return link.latency;
        }
        let bits = self.draw(site, identity);
        let spread = ((u128::from(bits) * (u128::from(link.spread.0) + 1)) >> 64) as u64;
        Duration(link.latency.0 + spread)
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
