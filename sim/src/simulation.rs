//! Running nodes: one event at a time, in exact order, until nothing is left or the time is up.

use crate::chance::{Chance, Identity, Site};
use crate::digest::Digest;
use crate::disk::Disk;
use crate::kernel::{Counters, Event, EventId, Kernel, Status};
use crate::network::{
    Carried, ConnectionId, FIRST_RETRANSMISSION, FIRST_SYN_RETRANSMISSION, LONGEST_RETRANSMISSION, Link,
    RETRANSMISSIONS, SYN_RETRANSMISSIONS, State,
};
use crate::node::{Closure, Input, Message, Node, NodeId, Port, Protocol, TimerSlot};
use crate::time::{Duration, Time};
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
    stop: bool,
}

impl<P: Protocol> Default for Simulation<P> {
    fn default() -> Self {
        Simulation {
            kernel: Kernel::new(),
            nodes: Vec::new(),
            stop: false,
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
        self.kernel.reset(seed, nodes.len(), link);
        self.nodes = nodes;
        self.stop = false;
    }

    /// The nodes of the trial that ended.
    pub fn take_nodes(&mut self) -> Vec<P::Node> {
        std::mem::take(&mut self.nodes)
    }

    /// Keeps causes from the next reset on, or no longer. Never changes what happens.
    pub fn trace_causes(&mut self, on: bool) {
        self.kernel.trace = on.then(Trace::default);
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
        self.tell(director);
        while !self.stop {
            let Some(event) = self.kernel.pop(until) else {
                self.kernel.now = self.kernel.now.max(until);
                return;
            };
            match event {
                Event::Scripted { entry } => director.scripted(entry, self),
                event => self.process(event),
            }
            if !self.kernel.notes.is_empty() {
                self.tell(director);
            }
        }
    }

    fn tell(&mut self, director: &mut impl Director<P>) {
        let mut told = Vec::new();
        while !self.kernel.notes.is_empty() {
            std::mem::swap(&mut told, &mut self.kernel.notes);
            for (node, event, note) in told.drain(..) {
                director.note(node, event, &note, self);
            }
            if self.kernel.notes.is_empty() {
                std::mem::swap(&mut told, &mut self.kernel.notes);
                return;
            }
        }
    }

    #[inline]
    pub(crate) fn process(&mut self, event: Event) {
        match event {
            Event::Deliver { way, connection } => self.deliver(connection, way.into()),
            Event::Read { way, connection } => self.read(connection, way.into()),
            Event::Retransmit { way, connection } => self.retransmit(connection, way.into()),
            Event::Handshake { connection } => self.handshake(connection),
            Event::Accept { connection } => self.accept(connection),
            Event::Established { connection } => self.established(connection),
            Event::Break {
                end,
                closure,
                connection,
            } => self.break_end(connection, end.into(), closure),
            Event::Timer { node, slot } => {
                if self.kernel.timer_due(NodeId(node), TimerSlot(slot)) {
                    self.process(Event::Fire { node, slot });
                }
            }
            Event::Fire { node, slot } => {
                let (node, slot) = (NodeId(node), TimerSlot(slot));
                if self.runs_now(node, event) && self.kernel.take_timer(node, slot) {
                    self.dispatch(node, Input::Timer(slot));
                }
            }
            Event::Alarm {
                incarnation,
                node,
                token,
            } => {
                let node = NodeId(node);
                if self.kernel.machine(node).incarnation as u8 == incarnation && self.runs_now(node, event) {
                    self.dispatch(node, Input::Alarm(token));
                }
            }
            Event::Datagram { slot } => self.datagram(slot),
            Event::Scripted { .. } => unreachable!("the run loop hands scripted entries to the director"),
        }
    }

    /// Whether the node can work on `event` now; a paused one finds it later.
    #[inline]
    fn runs_now(&mut self, node: NodeId, event: Event) -> bool {
        let machine = self.kernel.machine_mut(node);
        match machine.status {
            Status::Up => true,
            Status::Paused => {
                machine.backlog.push(event);
                false
            }
            Status::Down | Status::Off => false,
        }
    }

    #[inline]
    pub(crate) fn dispatch(&mut self, node: NodeId, input: Input<P>) {
        let mut context = Context {
            kernel: &mut self.kernel,
            me: node,
        };
        self.nodes[node.0 as usize].handle(input, &mut context);
    }

    fn datagram(&mut self, slot: u32) {
        let Carried::Message((from, to, message)) = self.kernel.datagrams.take(slot) else {
            unreachable!("datagrams carry messages");
        };
        if self.kernel.machine(to).status == Status::Up && self.kernel.link(from, to).cuts == 0 {
            self.kernel.counters.delivered += 1;
            self.kernel.digest.fold(u64::from(to.0), message.digest());
            self.dispatch(to, Input::Datagram(from, message));
        }
    }

    fn deliver(&mut self, index: u32, way: usize) {
        if self.kernel.connections[index as usize].ways[way].due() {
            self.forward(index, way, 1);
        }
    }

    /// The next `count` things queued on a way have come as far as faults let them.
    pub(crate) fn forward(&mut self, index: u32, way: usize, count: u32) {
        let connection = &mut self.kernel.connections[index as usize];
        let (from, to) = (connection.ends[way], connection.ends[1 - way]);
        let state = &mut connection.ways[way];
        if state.blocked || state.held {
            state.overdue += count;
            return;
        }
        if !self.kernel.holds.is_empty() && self.kernel.held_by_fault(index, way) {
            let state = &mut self.kernel.connections[index as usize].ways[way];
            state.held = true;
            state.overdue += count;
            return;
        }
        if self.unreachable(from, to) {
            let state = &mut self.kernel.connections[index as usize].ways[way];
            state.blocked = true;
            state.overdue = count;
            state.retransmissions = 0;
            let next = self.kernel.now + FIRST_RETRANSMISSION;
            self.kernel.push(
                next,
                Event::Retransmit {
                    way: way as u8,
                    connection: index,
                },
            );
            return;
        }
        self.arrive(index, way, count);
    }

    #[inline]
    fn unreachable(&self, from: NodeId, to: NodeId) -> bool {
        self.kernel.link(from, to).cuts > 0 || self.kernel.machine(to).status == Status::Off
    }

    fn retransmit(&mut self, index: u32, way: usize) {
        let connection = &mut self.kernel.connections[index as usize];
        let (from, to) = (connection.ends[way], connection.ends[1 - way]);
        if !connection.ways[way].blocked {
            return;
        }
        if self.unreachable(from, to) {
            let state = &mut self.kernel.connections[index as usize].ways[way];
            state.retransmissions += 1;
            if state.retransmissions > RETRANSMISSIONS {
                state.drain(&mut self.kernel.segments);
                self.break_end(index, way, closure_code(Closure::TimedOut));
                return;
            }
            let wait = Duration(FIRST_RETRANSMISSION.0 << state.retransmissions).min(LONGEST_RETRANSMISSION);
            let next = self.kernel.now + wait;
            self.kernel.push(
                next,
                Event::Retransmit {
                    way: way as u8,
                    connection: index,
                },
            );
            return;
        }
        let state = &mut self.kernel.connections[index as usize].ways[way];
        state.blocked = false;
        let overdue = std::mem::take(&mut state.overdue);
        if overdue > 0 {
            self.arrive(index, way, overdue);
        }
    }

    /// `count` more of what is queued on a way has reached the machine of its reader.
    fn arrive(&mut self, index: u32, way: usize, count: u32) {
        let connection = &self.kernel.connections[index as usize];
        let (end, to) = (1 - way, connection.ends[1 - way]);
        let machine = self.kernel.machine(to);
        let gone = connection.closed[end]
            || machine.incarnation != connection.incarnations[end]
            || matches!(machine.status, Status::Down | Status::Off);
        if gone {
            self.kernel.connections[index as usize].ways[way].drain(&mut self.kernel.segments);
            let step = u64::from(self.kernel.connections[index as usize].ways[way].sent) << 8 | 1;
            let latency = self.kernel.handshake_latency(index, end, step);
            let at = self.kernel.now + latency;
            self.send_break(index, way, Closure::Reset, at);
            return;
        }
        self.kernel.connections[index as usize].ways[way].arrived += count;
        self.read(index, way);
    }

    fn read(&mut self, index: u32, way: usize) {
        let connection = &self.kernel.connections[index as usize];
        let end = 1 - way;
        let state = &connection.ways[way];
        if state.muted || state.arrived == 0 || connection.closed[end] {
            return;
        }
        let to = connection.ends[end];
        if !self.runs_now(
            to,
            Event::Read {
                way: way as u8,
                connection: index,
            },
        ) {
            return;
        }
        let id = ConnectionId(index << 1 | end as u32);
        let kernel = &mut self.kernel;
        match kernel.connections[index as usize].ways[way].read(&mut kernel.segments) {
            Some(Carried::Message(message)) => {
                kernel.counters.delivered += 1;
                kernel.digest.fold(u64::from(id.0), message.digest());
                self.dispatch(to, Input::Message(id, message));
            }
            Some(Carried::Finish) => {
                kernel.connections[index as usize].closed[end] = true;
                kernel.connections[index as usize].state = State::Closed;
                self.dispatch(to, Input::Closed(id, Closure::Finished));
            }
            None => unreachable!("something has arrived"),
        }
        let connection = &self.kernel.connections[index as usize];
        if connection.ways[way].arrived > 0 && !connection.ways[way].muted && !connection.closed[end] {
            self.kernel.push(
                self.kernel.now,
                Event::Read {
                    way: way as u8,
                    connection: index,
                },
            );
        }
    }

    fn handshake(&mut self, index: u32) {
        let connection = &self.kernel.connections[index as usize];
        let ([from, to], port) = (connection.ends, connection.port);
        if connection.closed[0] || connection.state != State::Connecting {
            return;
        }
        if self.unreachable(from, to) || self.kernel.link(to, from).cuts > 0 {
            let connection = &mut self.kernel.connections[index as usize];
            connection.handshakes += 1;
            if connection.handshakes > SYN_RETRANSMISSIONS {
                self.break_end(index, 0, closure_code(Closure::TimedOut));
                return;
            }
            let wait = Duration(FIRST_SYN_RETRANSMISSION.0 << (connection.handshakes - 1));
            self.kernel
                .push(self.kernel.now + wait, Event::Handshake { connection: index });
            return;
        }
        let latency = self.kernel.handshake_latency(index, 1, 2);
        let answered = self.kernel.now + latency;
        let machine = self.kernel.machine(to);
        if machine.status == Status::Down || machine.listening >> port.0 & 1 == 0 {
            self.send_break(index, 0, Closure::Refused, answered);
            return;
        }
        let incarnation = machine.incarnation;
        let connection = &mut self.kernel.connections[index as usize];
        connection.state = State::Established;
        connection.incarnations[1] = incarnation;
        // Nothing the acceptor says can overtake the answer to the handshake.
        connection.ways[1].last_arrival = answered;
        self.kernel
            .push(answered, Event::Established { connection: index });
        self.accept(index);
    }

    fn accept(&mut self, index: u32) {
        let connection = &self.kernel.connections[index as usize];
        let (to, port) = (connection.ends[1], connection.port);
        if self.kernel.machine(to).incarnation == connection.incarnations[1]
            && !connection.closed[1]
            && self.runs_now(to, Event::Accept { connection: index })
        {
            self.dispatch(to, Input::Accepted(ConnectionId(index << 1 | 1), port));
        }
    }

    fn established(&mut self, index: u32) {
        let connection = &self.kernel.connections[index as usize];
        let from = connection.ends[0];
        if self.kernel.machine(from).incarnation == connection.incarnations[0]
            && !connection.closed[0]
            && self.runs_now(from, Event::Established { connection: index })
        {
            self.dispatch(from, Input::Connected(ConnectionId(index << 1)));
        }
    }

    pub(crate) fn send_break(&mut self, index: u32, end: usize, closure: Closure, at: Time) {
        let event = Event::Break {
            end: end as u8,
            closure: closure_code(closure),
            connection: index,
        };
        self.kernel.push(at, event);
    }

    fn break_end(&mut self, index: u32, end: usize, closure: u8) {
        let connection = &self.kernel.connections[index as usize];
        let node = connection.ends[end];
        if connection.closed[end] || self.kernel.machine(node).incarnation != connection.incarnations[end] {
            return;
        }
        if !self.runs_now(
            node,
            Event::Break {
                end: end as u8,
                closure,
                connection: index,
            },
        ) {
            return;
        }
        let kernel = &mut self.kernel;
        let connection = &mut kernel.connections[index as usize];
        connection.closed[end] = true;
        connection.state = State::Closed;
        connection.ways[1 - end].drain(&mut kernel.segments);
        self.dispatch(
            node,
            Input::Closed(ConnectionId(index << 1 | end as u32), CLOSURES[closure as usize]),
        );
    }
}

const CLOSURES: [Closure; 4] = [
    Closure::Finished,
    Closure::Reset,
    Closure::Refused,
    Closure::TimedOut,
];

fn closure_code(closure: Closure) -> u8 {
    CLOSURES
        .iter()
        .position(|other| *other == closure)
        .expect("every closure is listed") as u8
}

/// What a node can see and do while it handles one input.
///
/// Everything it does here is an effect written into the engine's queues; nothing of it happens before the
/// node is done.
pub struct Context<'a, P: Protocol> {
    kernel: &'a mut Kernel<P>,
    me: NodeId,
}

impl<'a, P: Protocol> Context<'a, P> {
    pub(crate) fn new(kernel: &'a mut Kernel<P>, me: NodeId) -> Self {
        Context { kernel, me }
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// Which process on this machine this is: 1 for the first.
    pub fn incarnation(&self) -> u32 {
        self.kernel.machine(self.me).incarnation
    }

    /// The reading of this machine's monotonic clock.
    #[inline]
    pub fn monotonic(&self) -> Time {
        self.kernel.machine(self.me).clock.monotonic(self.kernel.now)
    }

    /// The reading of this machine's wall clock.
    #[inline]
    pub fn wall(&self) -> Time {
        self.kernel.machine(self.me).clock.wall(self.kernel.now)
    }

    /// The event being handled, to be kept as a cause of something later.
    #[inline]
    pub fn event(&self) -> EventId {
        self.kernel.event
    }

    /// Names another cause of what is done now.
    #[inline]
    pub fn because(&mut self, by: EventId) {
        if let Some(trace) = &mut self.kernel.trace {
            trace.because(self.kernel.event, by);
        }
    }

    /// Sixty-four uniform bits for `who` at `site`: the same whenever they are asked for.
    #[inline]
    pub fn draw(&mut self, site: Site, who: Identity) -> u64 {
        debug_assert!(site.0 >= Site::ENGINE, "site {} belongs to the engine", site.0);
        self.kernel.draw(site, who)
    }

    /// A uniform number in `0..bound` for `who` at `site`.
    #[inline]
    pub fn draw_below(&mut self, site: Site, who: Identity, bound: u64) -> u64 {
        assert!(bound > 0, "nothing lies below zero");
        let bits = self.draw(site, who);
        ((u128::from(bits) * u128::from(bound)) >> 64) as u64
    }

    /// Sets a timer that runs out when this machine's monotonic clock has advanced by `after`; replaces what the
    /// slot held.
    #[inline]
    pub fn set_timer(&mut self, slot: TimerSlot, after: Duration) {
        let deadline = self.kernel.machine(self.me).clock.after(self.kernel.now, after);
        self.kernel.set_timer(self.me, slot, deadline);
    }

    /// Sets a timer for a reading of the monotonic clock; at once if it has passed.
    #[inline]
    pub fn set_timer_at(&mut self, slot: TimerSlot, monotonic: Time) {
        let after = monotonic.since(self.monotonic());
        self.set_timer(slot, after);
    }

    /// Unsets a timer.
    #[inline]
    pub fn clear_timer(&mut self, slot: TimerSlot) {
        self.kernel.clear_timer(self.me, slot);
    }

    /// Whether a timer is set.
    pub fn timer_is_set(&self, slot: TimerSlot) -> bool {
        self.kernel.timer_deadline(self.me, slot).is_some()
    }

    /// Delivers [`Input::Alarm`] with `token` once, `after` on the monotonic clock. Cannot be taken back, dies
    /// with the process.
    #[inline]
    pub fn alarm(&mut self, token: u32, after: Duration) {
        let machine = self.kernel.machine(self.me);
        let (at, incarnation) = (
            machine.clock.after(self.kernel.now, after),
            machine.incarnation as u8,
        );
        self.kernel.push(
            at,
            Event::Alarm {
                incarnation,
                node: self.me.0,
                token,
            },
        );
    }

    /// Starts listening on a port.
    pub fn listen(&mut self, port: Port) {
        self.kernel.machine_mut(self.me).listening |= 1 << port.0;
    }

    /// Stops listening on a port; connections stay.
    pub fn stop_listening(&mut self, port: Port) {
        self.kernel.machine_mut(self.me).listening &= !(1 << port.0);
    }

    /// Opens a connection; [`Input::Connected`] or [`Input::Closed`] tells what became of it.
    pub fn connect(&mut self, to: NodeId, port: Port) -> ConnectionId {
        self.kernel.connect(self.me, to, port)
    }

    /// Sends on a connection. False if it is no longer open here; the message is gone then.
    #[inline]
    pub fn send(&mut self, connection: ConnectionId, message: P::Message) -> bool {
        let (index, end) = (connection.0 >> 1, (connection.0 & 1) as usize);
        let state = &self.kernel.connections[index as usize];
        debug_assert_eq!(state.ends[end], self.me, "a node sends on its own connections");
        if state.closed[end] || state.state != State::Established {
            return false;
        }
        self.kernel.transmit(index, end, Carried::Message(message));
        true
    }

    /// Closes this end. What was sent before still arrives; what comes in is answered by a reset.
    pub fn close(&mut self, connection: ConnectionId) {
        let (index, end) = (connection.0 >> 1, (connection.0 & 1) as usize);
        let kernel = &mut *self.kernel;
        let state = &mut kernel.connections[index as usize];
        if state.closed[end] {
            return;
        }
        state.closed[end] = true;
        state.ways[1 - end].drain(&mut kernel.segments);
        if state.state == State::Established {
            kernel.transmit(index, end, Carried::Finish);
        }
    }

    /// Stops reading from a connection; what arrives waits in the socket.
    pub fn mute(&mut self, connection: ConnectionId) {
        let (index, end) = (connection.0 >> 1, (connection.0 & 1) as usize);
        self.kernel.connections[index as usize].ways[1 - end].muted = true;
    }

    /// Reads again from a connection.
    pub fn unmute(&mut self, connection: ConnectionId) {
        let (index, end) = (connection.0 >> 1, (connection.0 & 1) as usize);
        let way = &mut self.kernel.connections[index as usize].ways[1 - end];
        if std::mem::replace(&mut way.muted, false) && way.arrived > 0 {
            let event = Event::Read {
                way: (1 - end) as u8,
                connection: index,
            };
            self.kernel.push(self.kernel.now, event);
        }
    }

    /// Who holds the other end of a connection.
    pub fn peer(&self, connection: ConnectionId) -> NodeId {
        self.kernel.connections[(connection.0 >> 1) as usize].ends[1 - (connection.0 & 1) as usize]
    }

    /// The port a connection was opened to.
    pub fn port(&self, connection: ConnectionId) -> Port {
        self.kernel.connections[(connection.0 >> 1) as usize].port
    }

    /// Names a connection across arms and runs: the same for the same connection attempt of the same process.
    pub fn connection_identity(&self, connection: ConnectionId) -> u64 {
        self.kernel.connections[(connection.0 >> 1) as usize].identity
    }

    /// Sends a datagram: it may be lost or overtaken.
    #[inline]
    pub fn send_datagram(&mut self, to: NodeId, message: P::Message) {
        self.kernel.send_datagram(self.me, to, message);
    }

    /// This machine's disk.
    #[inline]
    pub fn disk(&mut self) -> &mut Disk<P::Entry, P::Document> {
        &mut self.kernel.disks[self.me.0 as usize]
    }

    /// What messages and disks refer to.
    #[inline]
    pub fn arena(&mut self) -> &mut P::Arena {
        &mut self.kernel.arena
    }

    /// What messages and disks refer to, together with the disk.
    #[inline]
    pub fn disk_and_arena(&mut self) -> (&mut Disk<P::Entry, P::Document>, &mut P::Arena) {
        (&mut self.kernel.disks[self.me.0 as usize], &mut self.kernel.arena)
    }

    /// Tells those who watch.
    #[inline]
    pub fn note(&mut self, note: P::Note) {
        self.kernel.notes.push((self.me, self.kernel.event, note));
    }

    /// Whether another lane goes first here, and for how long: `Some` only while `cut` is armed. `who` names this
    /// passage. The node then keeps what is left to do and sets an alarm for it.
    #[inline]
    pub fn cut(&mut self, cut: u16, who: u64) -> Option<Duration> {
        if self.kernel.armed_cuts.is_empty() {
            return None;
        }
        self.kernel.cut(self.me, cut, who)
    }

    /// Ends this process, as `System.exit` does: like a kill, by its own hand.
    pub fn exit(&mut self) {
        crate::fault::end_process(self.kernel, self.me);
    }
}
