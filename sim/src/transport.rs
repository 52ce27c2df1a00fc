//! What the machines' network stacks do: handshakes, arrivals, retransmissions, resets.

use crate::chance::{Identity, Site};
use crate::event::Event;
use crate::kernel::Kernel;
use crate::machine::Status;
use crate::network::{
    Carried, Connection, ConnectionId, FIRST_RETRANSMISSION, FIRST_SYN_RETRANSMISSION,
    LONGEST_RETRANSMISSION, RETRANSMISSIONS, SYN_RETRANSMISSIONS, State,
};
use crate::node::{Closure, Input, Message, NodeId, Port, Protocol};
use crate::simulation::Simulation;
use crate::time::{Duration, Time};

impl<P: Protocol> Kernel<P> {
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
            Carried::Opening | Carried::Finish => 0,
        };
        let connection = &self.connections[index as usize];
        if connection.forgotten[way] {
            return;
        }
        let (from, to) = (connection.ends[way], connection.ends[1 - way]);
        let number = u64::from(connection.ways[way].sent);
        let identity = Identity(connection.identity, (way as u64) << 32 | number);
        let latency = self.latency(from, to, Site::SEGMENT_LATENCY, identity);
        let arrival = self.leave(from, to, bytes) + latency;
        let state = &mut self.connections[index as usize].ways[way];
        let arrival = arrival.max(state.last_arrival);
        state.sent += 1;
        state.last_arrival = arrival;
        state.append(&mut self.segments, carried, self.event);
        self.push(
            arrival,
            Event::Deliver {
                way: way as u8,
                connection: index,
            },
        );
    }

    /// The latency of a packet without data: the `step`-th kind of it on this connection.
    fn packet_latency(&mut self, index: u32, from_end: usize, step: u64) -> Duration {
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
        let latency = self.packet_latency(index, 0, 0);
        self.push(self.now + latency, Event::Handshake { connection: index });
        ConnectionId::new(index, 0)
    }

    /// No process holds this end any more. Its machine says so, if there is anybody to say it to.
    pub(crate) fn close(&mut self, index: u32, end: usize) {
        let connection = &mut self.connections[index as usize];
        if std::mem::replace(&mut connection.closed[end], true) {
            return;
        }
        connection.ways[1 - end].drop_arrived(&mut self.segments);
        if connection.state == State::Established {
            self.transmit(index, end, Carried::Finish);
        }
    }

    /// The machine of this end drops the connection, and everything that has not arrived.
    pub(crate) fn forget(&mut self, index: u32, end: usize) {
        let connection = &mut self.connections[index as usize];
        connection.forgotten[end] = true;
        connection.ways[end].give_up(&mut self.segments);
    }

    /// The machine of this end has lost its power: nobody is told. What is under way arrives, or never will.
    pub(crate) fn darken(&mut self, index: u32, end: usize) {
        let connection = &mut self.connections[index as usize];
        connection.closed[end] = true;
        connection.forgotten[end] = true;
        connection.ways[1 - end].drop_arrived(&mut self.segments);
        if connection.ways[end].overdue > 0 {
            connection.ways[end].give_up(&mut self.segments);
        }
    }

    pub(crate) fn send_datagram(&mut self, from: NodeId, to: NodeId, message: P::Message) {
        let number = self.number_datagram(from, to);
        let identity = Identity(u64::from(from.0) << 16 | u64::from(to.0), number);
        let loss = self.link(from, to).datagram_loss;
        if loss > 0 && (self.draw(Site::DATAGRAM_LOSS, identity) >> 32) < u64::from(loss) {
            return;
        }
        let latency = self.latency(from, to, Site::DATAGRAM_LATENCY, identity);
        let slot = self.datagrams.put((from, to, message));
        self.push(self.now + latency, Event::Datagram { slot });
    }

    /// Whether what comes from `from` does not get through to the machine of `to`.
    #[inline]
    fn unreachable(&self, from: NodeId, to: NodeId) -> bool {
        self.link(from, to).cuts > 0 || self.machine(to).status == Status::Off
    }

    /// Whether a fault holds the message due next on this way.
    fn held_by_fault(&self, index: u32, way: usize) -> bool {
        let connection = &self.connections[index as usize];
        let Some(Carried::Message(message)) = connection.ways[way].first_due(&self.segments) else {
            return false;
        };
        let (from, to) = (connection.ends[way], connection.ends[1 - way]);
        self.holds.iter().any(|(_, hold)| {
            hold.kinds >> message.kind() & 1 == 1
                && hold.from.is_none_or(|node| node == from)
                && hold.to.is_none_or(|node| node == to)
        })
    }

    /// The head of a way could not get through, or nobody acknowledged it: TCP will try again.
    fn block(&mut self, index: u32, way: usize) {
        let connection = &mut self.connections[index as usize];
        let state = &mut connection.ways[way];
        if connection.forgotten[way] {
            state.give_up(&mut self.segments);
            return;
        }
        let wait = Duration(FIRST_RETRANSMISSION.0 << state.retransmissions).min(LONGEST_RETRANSMISSION);
        let next = self.now + wait;
        state.retransmission = next;
        self.push(
            next,
            Event::Retransmit {
                way: way as u8,
                connection: index,
            },
        );
    }

    /// The machine at `end` knows nothing of this connection and says so.
    fn send_reset(&mut self, index: u32, end: usize) {
        let connection = &self.connections[index as usize];
        let step = u64::from(connection.ways[1 - end].sent) << 8 | 1;
        // A reset that overtook what was sent before would be out of the window.
        let not_before = connection.ways[end].last_arrival;
        let latency = self.packet_latency(index, end, step);
        let at = (self.now + latency).max(not_before);
        self.push(at, break_event(index, 1 - end, Closure::Reset));
    }

    /// The next thing due on a way gets through, or not. True if it has arrived in the reader's socket.
    #[inline]
    fn get_through(&mut self, index: u32, way: usize) -> bool {
        let connection = &self.connections[index as usize];
        let state = &connection.ways[way];
        if state.overdue == 0 || state.held || state.blocked() {
            return false;
        }
        if self.unreachable(connection.ends[way], connection.ends[1 - way]) {
            self.block(index, way);
            return false;
        }
        if !self.holds.is_empty() && self.held_by_fault(index, way) {
            let state = &mut self.connections[index as usize].ways[way];
            state.held = true;
            state.retransmissions = 0;
            return false;
        }
        if self.connections[index as usize].gone(1 - way) {
            self.send_reset(index, 1 - way);
            self.block(index, way);
            return false;
        }
        self.connections[index as usize].ways[way].get_through();
        true
    }

    /// The handshake was not answered: it is sent again, up to a limit.
    fn repeat_handshake(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        connection.state = State::Connecting;
        let wait = Duration(FIRST_SYN_RETRANSMISSION.0 << connection.handshakes);
        connection.handshakes += 1;
        self.push(self.now + wait, Event::Handshake { connection: index });
    }
}

impl<P: Protocol> Simulation<P> {
    pub(crate) fn handshake(&mut self, index: u32) {
        let connection = &self.kernel.connections[index as usize];
        let ([from, to], port) = (connection.ends, connection.port);
        if connection.gone(0) || connection.state != State::Connecting {
            return;
        }
        if connection.handshakes > SYN_RETRANSMISSIONS {
            self.lose(index, 0, Closure::TimedOut);
            return;
        }
        if self.kernel.unreachable(from, to) || self.kernel.link(to, from).cuts > 0 {
            self.kernel.repeat_handshake(index);
            return;
        }
        let latency = self.kernel.packet_latency(index, 1, 2);
        let answered = self.kernel.now + latency;
        let machine = self.kernel.machine(to);
        if machine.status == Status::Down || machine.listening >> port.0 & 1 == 0 {
            self.kernel
                .push(answered, break_event(index, 0, Closure::Refused));
            return;
        }
        let incarnation = machine.incarnation;
        let connection = &mut self.kernel.connections[index as usize];
        connection.state = State::Answered;
        connection.incarnations[1] = incarnation;
        (connection.closed[1], connection.forgotten[1]) = (false, false);
        self.kernel.push(answered, Event::Answer { connection: index });
    }

    pub(crate) fn answer(&mut self, index: u32) {
        let connection = &self.kernel.connections[index as usize];
        if connection.gone(0) || connection.state != State::Answered {
            return;
        }
        let [from, to] = connection.ends;
        if self.kernel.link(to, from).cuts > 0 {
            self.kernel.repeat_handshake(index);
            return;
        }
        self.kernel.connections[index as usize].state = State::Established;
        self.kernel.transmit(index, 0, Carried::Opening);
        self.connected(index);
    }

    pub(crate) fn connected(&mut self, index: u32) {
        let connection = &self.kernel.connections[index as usize];
        let from = connection.ends[0];
        if !connection.closed[0] && self.runs_now(from, Event::Connected { connection: index }) {
            self.dispatch(from, Input::Connected(ConnectionId::new(index, 0)));
        }
    }

    #[inline]
    pub(crate) fn deliver(&mut self, index: u32, way: usize) {
        self.kernel.connections[index as usize].ways[way].come_due();
        self.advance(index, way);
    }

    /// What is due on a way goes as far as faults let it.
    #[inline]
    pub(crate) fn advance(&mut self, index: u32, way: usize) {
        if self.kernel.get_through(index, way) {
            while self.kernel.get_through(index, way) {}
            self.read(index, way);
        }
    }

    pub(crate) fn retransmit(&mut self, index: u32, way: usize) {
        let state = &mut self.kernel.connections[index as usize].ways[way];
        if state.retransmission != self.kernel.now {
            return;
        }
        state.retransmission = Time::NEVER;
        state.retransmissions += 1;
        if state.retransmissions > RETRANSMISSIONS {
            self.lose(index, way, Closure::TimedOut);
            return;
        }
        self.advance(index, way);
    }

    /// The reader takes one thing out of its socket.
    pub(crate) fn read(&mut self, index: u32, way: usize) {
        let end = 1 - way;
        let connection = &self.kernel.connections[index as usize];
        let (state, to) = (&connection.ways[way], connection.ends[end]);
        if state.muted || state.arrived == 0 {
            return;
        }
        let event = Event::Read {
            way: way as u8,
            connection: index,
        };
        if !self.runs_now(to, event) {
            return;
        }
        let id = ConnectionId::new(index, end);
        let kernel = &mut self.kernel;
        let connection = &mut kernel.connections[index as usize];
        let (carried, sent_during) = connection.ways[way].read(&mut kernel.segments);
        if let Some(trace) = &mut kernel.trace {
            trace.because(kernel.event, sent_during);
        }
        match carried {
            Carried::Message(message) => {
                kernel.counters.delivered += 1;
                kernel.digest.fold(u64::from(id.0), message.digest());
                self.dispatch(to, Input::Message(id, message));
            }
            Carried::Opening => {
                connection.accepted = true;
                let port = connection.port;
                self.dispatch(to, Input::Accepted(id, port));
            }
            Carried::Finish => {
                connection.closed[end] = true;
                self.dispatch(to, Input::Closed(id, Closure::Finished));
            }
        }
        let state = &self.kernel.connections[index as usize].ways[way];
        if state.arrived > 0 && !state.muted {
            self.kernel.push(self.kernel.now, event);
        }
    }

    /// A reset or a refusal reaches the machine at `end`.
    pub(crate) fn break_arrives(&mut self, index: u32, end: usize, closure: Closure) {
        let connection = &self.kernel.connections[index as usize];
        let (node, peer) = (connection.ends[end], connection.ends[1 - end]);
        if connection.forgotten[end] {
            return;
        }
        let lost = self.kernel.unreachable(peer, node) || connection.ways[1 - end].overdue > 0;
        match (lost, closure) {
            // What made the other machine send the reset will be retransmitted and make it send another.
            (true, Closure::Reset) => {}
            (true, _) => self.kernel.repeat_handshake(index),
            (false, _) => self.lose(index, end, closure),
        }
    }

    /// The machine at `end` gives the connection up and tells the process.
    pub(crate) fn lose(&mut self, index: u32, end: usize, closure: Closure) {
        self.kernel.forget(index, end);
        self.lost(index, end, closure);
    }

    pub(crate) fn lost(&mut self, index: u32, end: usize, closure: Closure) {
        let connection = &self.kernel.connections[index as usize];
        let node = connection.ends[end];
        if connection.closed[end] || !self.runs_now(node, lost_event(index, end, closure)) {
            return;
        }
        let kernel = &mut self.kernel;
        let connection = &mut kernel.connections[index as usize];
        connection.closed[end] = true;
        connection.ways[1 - end].drop_arrived(&mut kernel.segments);
        if end == 0 || connection.accepted {
            self.dispatch(node, Input::Closed(ConnectionId::new(index, end), closure));
        }
    }

    pub(crate) fn datagram(&mut self, slot: u32) {
        let (from, to, message) = self.kernel.datagrams.take(slot);
        if self.kernel.machine(to).status == Status::Up && self.kernel.link(from, to).cuts == 0 {
            self.kernel.counters.delivered += 1;
            self.kernel.digest.fold(u64::from(to.0), message.digest());
            self.dispatch(to, Input::Datagram(from, message));
        }
    }
}

fn break_event(index: u32, end: usize, closure: Closure) -> Event {
    Event::Break {
        end: end as u8,
        closure: closure as u8,
        connection: index,
    }
}

pub(crate) fn lost_event(index: u32, end: usize, closure: Closure) -> Event {
    Event::Lost {
        end: end as u8,
        closure: closure as u8,
        connection: index,
    }
}
