//! Running nodes: one event at a time, in exact order, until nothing is left or the time is up.

use crate::chance::Chance;
use crate::context::Context;
use crate::digest::Digest;
use crate::disk::Disk;
use crate::event::{Event, EventId};
use crate::kernel::{Counters, Kernel};
use crate::machine::Status;
use crate::network::Link;
use crate::node::{Closure, Input, Node, NodeId, Protocol, TimerSlot};
use crate::time::{Duration, Time};
use crate::told::Told;
use crate::trace::Trace;

/// Who watches a run and carries out its script.
pub trait Director<P: Protocol> {
    /// A node told something, during event `event`.
    fn note(&mut self, node: NodeId, event: EventId, note: &P::Note, simulation: &mut Simulation<P>);
    /// The time of a scripted entry has come.
    fn scripted(&mut self, entry: u32, simulation: &mut Simulation<P>);
}

/// A director that lets things happen.
pub struct Unattended;

impl<P: Protocol> Director<P> for Unattended {
    fn note(&mut self, _: NodeId, _: EventId, _: &P::Note, _: &mut Simulation<P>) {}
    fn scripted(&mut self, _: u32, _: &mut Simulation<P>) {}
}

/// Nodes and everything around them.
pub struct Simulation<P: Protocol> {
    pub(crate) kernel: Kernel<P>,
    pub(crate) nodes: Vec<P::Node>,
    /// Memory for notes while they are heard; a run takes it.
    heard: Option<Told<P::Note>>,
    stop: bool,
    traces: bool,
}

impl<P: Protocol> Default for Simulation<P> {
    fn default() -> Self {
        Simulation {
            kernel: Kernel::new(),
            nodes: Vec::new(),
            heard: None,
            stop: false,
            traces: false,
        }
    }
}

impl<P: Protocol> Simulation<P> {
    /// Begins a trial: these nodes (none of them started), every link like `link`. Memory of the trial before is
    /// used again; give back its nodes with [`Simulation::take_nodes`] to use theirs too.
    pub fn reset(&mut self, seed: u64, nodes: Vec<P::Node>, link: Link) {
        assert!(
            nodes.len() <= usize::from(u16::MAX),
            "a node's number is sixteen bits"
        );
        if self.traces != self.kernel.trace.is_some() {
            self.kernel.trace = self.traces.then(Trace::default);
        }
        self.kernel.reset(seed, nodes.len(), link);
        self.nodes = nodes;
        self.stop = false;
    }

    /// How long a machine takes from the death of a killed process to the closing of its connections: uniform in
    /// `least ..= most`, drawn for each death; zero after every reset. Linux takes a process's memory back before
    /// it closes its sockets (`do_exit`: `exit_mm`, then `exit_files`), and they answer TCP until then.
    pub fn set_tear_down(&mut self, least: Duration, most: Duration) {
        self.kernel.tear_down = (least, most.max(least));
    }

    /// The nodes of the trial that ended.
    pub fn take_nodes(&mut self) -> Vec<P::Node> {
        std::mem::take(&mut self.nodes)
    }

    /// Keeps causes from the next reset on, or no longer. Never changes what happens.
    pub fn trace_causes(&mut self, on: bool) {
        self.traces = on;
    }

    /// The causes kept so far.
    pub fn trace(&self) -> Option<&Trace> {
        self.kernel.trace.as_ref()
    }

    /// The engine's time.
    pub fn now(&self) -> Time {
        self.kernel.now
    }

    /// The digest of everything that happened so far.
    pub fn digest(&self) -> Digest {
        self.kernel.digest
    }

    /// How much happened so far.
    pub fn counters(&self) -> Counters {
        self.kernel.counters
    }

    /// How many events wait.
    pub fn pending(&self) -> usize {
        self.kernel.queue.len()
    }

    /// The draws of this trial.
    pub fn chance(&self) -> &Chance {
        &self.kernel.chance
    }

    /// A node's state, for those who watch.
    pub fn node(&self, node: NodeId) -> &P::Node {
        &self.nodes[node.0 as usize]
    }

    /// A node's state before it is started, for those who set it up.
    pub fn node_mut(&mut self, node: NodeId) -> &mut P::Node {
        &mut self.nodes[node.0 as usize]
    }

    /// A node's disk.
    pub fn disk(&self, node: NodeId) -> &Disk<P::Entry, P::Document> {
        &self.kernel.disks[node.0 as usize]
    }

    /// A node's disk, for faults and for formatting it before the start.
    pub fn disk_mut(&mut self, node: NodeId) -> &mut Disk<P::Entry, P::Document> {
        &mut self.kernel.disks[node.0 as usize]
    }

    /// What messages and disks refer to.
    pub fn arena(&self) -> &P::Arena {
        &self.kernel.arena
    }

    /// How a node is doing.
    pub fn status(&self, node: NodeId) -> Status {
        self.kernel.machine(node).status
    }

    /// How many processes have been started on this machine.
    pub fn incarnation(&self, node: NodeId) -> u32 {
        self.kernel.machine(node).incarnation
    }

    /// Whether something that the process of `node` has sent over a connection that it still has was not read at the other
    /// end: under way, waiting for a retransmission, or in the reader's socket. Looks through all connections.
    pub fn has_unread_from(&self, node: NodeId) -> bool {
        self.kernel.connections.iter().any(|connection| {
            let sends = |end: usize| connection.ends[end] == node && !connection.gone(end);
            (0..2).any(|end| sends(end) && connection.ways[end].holds_anything())
        })
    }

    /// Calls the director for `entry` at `time`.
    pub fn schedule(&mut self, time: Time, entry: u32) {
        self.kernel
            .push(time.max(self.kernel.now), Event::Scripted { entry });
    }

    /// Ends the run after the event in hand.
    pub fn stop(&mut self) {
        self.stop = true;
    }

    /// Runs until `until` (inclusive), until nothing is left, or until the director stops it.
    pub fn run(&mut self, until: Time, director: &mut impl Director<P>) {
        self.stop = false;
        let mut heard = self.heard.take().unwrap_or_default();
        self.tell(&mut heard, director);
        while !self.stop {
            let Some(word) = self.kernel.pop(until) else {
                if until != Time::NEVER {
                    self.kernel.now = self.kernel.now.max(until);
                }
                break;
            };
            self.process(word, director);
            if !self.kernel.notes.is_empty() {
                self.tell(&mut heard, director);
            }
        }
        self.heard = Some(heard);
    }

    /// Lets the director hear what was told, and what that brought about, through the empty memory of `heard`.
    fn tell(&mut self, heard: &mut Told<P::Note>, director: &mut impl Director<P>) {
        while !self.kernel.notes.is_empty() {
            std::mem::swap(&mut self.kernel.notes, heard);
            heard.drain(|node, event, note| director.note(node, event, note, self));
        }
    }

    /// An event is told from others here and nowhere before, and stays a word until then.
    #[inline(always)]
    fn process(&mut self, word: u64, director: &mut impl Director<P>) {
        let event = Event::of(word);
        match event {
            Event::Handshake { connection } => self.handshake(connection),
            Event::Answer { connection } => self.answer(connection),
            Event::Deliver { way, connection } => self.deliver(connection, way.into()),
            Event::Break {
                end,
                closure,
                connection,
            } => self.break_arrives(connection, end.into(), Closure::ALL[usize::from(closure)]),
            Event::Retransmit { way, connection } => self.retransmit(connection, way.into()),
            Event::Release { way, connection } => self.advance(connection, way.into()),
            Event::Connected { connection } => self.connected(connection),
            Event::Read { way, connection } => self.read(connection, way.into()),
            Event::Room { end, connection } => self.room(connection, end.into()),
            Event::Lost {
                end,
                closure,
                connection,
            } => self.lost(connection, end.into(), Closure::ALL[usize::from(closure)]),
            Event::Timer { node, slot } => {
                if self.kernel.timer_due(NodeId(node), TimerSlot(slot)) {
                    self.fire(NodeId(node), TimerSlot(slot));
                }
            }
            Event::Fire { node, slot } => self.fire(NodeId(node), TimerSlot(slot)),
            Event::Alarm {
                incarnation,
                node,
                token,
            } => {
                if self.is_for(NodeId(node), incarnation) && self.runs_now(NodeId(node), event) {
                    self.dispatch(NodeId(node), || Input::Alarm(token));
                }
            }
            Event::Signal {
                incarnation,
                node,
                slot,
            } => {
                if self.is_for(NodeId(node), incarnation) && self.runs_now(NodeId(node), event) {
                    let signal = self.kernel.signals[slot as usize];
                    self.dispatch(NodeId(node), || Input::Signal(signal));
                }
            }
            Event::Datagram { slot } => self.datagram(slot),
            Event::TornDown { incarnation, node } => {
                if self.is_for(NodeId(node), incarnation) {
                    self.kernel.torn_down(NodeId(node));
                }
            }
            Event::Scripted { entry } => director.scripted(entry, self),
        }
    }

    fn fire(&mut self, node: NodeId, slot: TimerSlot) {
        let event = Event::Fire {
            node: node.0,
            slot: slot.0,
        };
        if self.runs_now(node, event) && self.kernel.take_timer(node, slot) {
            self.dispatch(node, || Input::Timer(slot));
        }
    }

    /// Whether the process that an event is meant for is the one that runs now.
    #[inline]
    fn is_for(&self, node: NodeId, incarnation: u8) -> bool {
        self.kernel.machine(node).incarnation as u8 == incarnation
    }

    /// Whether the node can work on `event` now; a paused one finds it later.
    #[inline(always)]
    pub(crate) fn runs_now(&mut self, node: NodeId, event: Event) -> bool {
        let runs = self.kernel.machine(node).status == Status::Up;
        if !runs {
            self.keep_for_later(node, event.word());
        }
        runs
    }

    #[cold]
    fn keep_for_later(&mut self, node: NodeId, event: u64) {
        let during = self.kernel.event;
        let machine = self.kernel.machine_mut(node);
        if machine.status == Status::Paused {
            machine.backlog.push((during, event));
        }
    }

    /// Once for each event: a call of its own would cost half of what it does. The input is made where the node takes
    /// it from: a copy of what has just been written in small pieces waits for them.
    #[inline(always)]
    pub(crate) fn dispatch(&mut self, node: NodeId, input: impl FnOnce() -> Input<P>) {
        let mut context = Context::new(&mut self.kernel, node);
        self.nodes[node.0 as usize].handle(input(), &mut context);
        if self.kernel.exited {
            self.bury(node);
        }
    }

    /// After a step during which the process ended itself: takes back what the step did afterwards.
    #[cold]
    pub(crate) fn bury(&mut self, node: NodeId) {
        self.kernel.exited = false;
        self.kernel.end_process(node);
    }
}
