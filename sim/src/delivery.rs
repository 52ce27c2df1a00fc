//! What reaches a machine or its process: handshakes, segments, resets, news of a connection.

use crate::event::Event;
use crate::machine::Status;
use crate::network::{
    Carried, ConnectionId, ORPHAN_RETRANSMISSIONS, RETRANSMISSIONS, SYN_RETRANSMISSIONS, State,
};
use crate::node::{Closure, Input, Message, Protocol};
use crate::simulation::Simulation;
use crate::transport::{break_event, lost_event, read_event, room_event};

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
            self.dispatch(from, || Input::Connected(ConnectionId::new(index, 0)));
        }
    }

    /// The socket at `end` takes something again.
    pub(crate) fn room(&mut self, index: u32, end: usize) {
        let connection = &self.kernel.connections[index as usize];
        let node = connection.ends[end];
        if !connection.gone(end) && self.runs_now(node, room_event(index, end)) {
            self.dispatch(node, || Input::Room(ConnectionId::new(index, end)));
        }
    }

    #[inline]
    pub(crate) fn deliver(&mut self, index: u32, way: usize) {
        assert!(way < 2, "two ways make a connection");
        let kernel = &mut self.kernel;
        let connection = &mut kernel.connections[index as usize];
        let (from, to) = (connection.ends[way], connection.ends[1 - way]);
        let reader_is_there = !connection.gone(1 - way);
        let state = &mut connection.ways[way];
        state.come_due();
        // Mostly nothing is in the way of the one thing that is due, and its reader takes it at once.
        if state.is_clear()
            && reader_is_there
            && kernel.holds.is_empty()
            && kernel.link(from, to).cuts == 0
            && kernel.machine(to).status == Status::Up
        {
            kernel.connections[index as usize].ways[way].get_through();
            self.take_out(index, way);
        } else {
            self.advance(index, way);
        }
    }

    /// What is due on a way goes as far as faults let it.
    pub(crate) fn advance(&mut self, index: u32, way: usize) {
        let mut arrived = false;
        while self.kernel.get_through(index, way) {
            arrived = true;
        }
        if arrived {
            if self.kernel.connections[index as usize].ways[way].awaited {
                self.kernel.announce_room(index, way);
            }
            self.read(index, way);
        }
    }

    pub(crate) fn retransmit(&mut self, index: u32, way: usize) {
        let connection = &mut self.kernel.connections[index as usize];
        let most = match connection.closed[way] {
            true => ORPHAN_RETRANSMISSIONS,
            false => RETRANSMISSIONS,
        };
        let state = &mut connection.ways[way];
        if !std::mem::replace(&mut state.blocked, false) {
            return;
        }
        state.retransmissions += 1;
        if state.retransmissions > most {
            self.lose(index, way, Closure::TimedOut);
            return;
        }
        self.advance(index, way);
    }

    /// The reader takes one thing out of its socket, if it reads and there is something.
    pub(crate) fn read(&mut self, index: u32, way: usize) {
        let connection = &self.kernel.connections[index as usize];
        let (state, to) = (&connection.ways[way], connection.ends[1 - way]);
        if !state.muted && state.arrived > 0 && self.runs_now(to, read_event(index, way)) {
            self.take_out(index, way);
        }
    }

    /// A running reader takes one thing out of its socket.
    fn take_out(&mut self, index: u32, way: usize) {
        assert!(way < 2, "two ways make a connection");
        let end = 1 - way;
        let id = ConnectionId::new(index, end);
        let kernel = &mut self.kernel;
        let connection = &mut kernel.connections[index as usize];
        let to = connection.ends[end];
        let (carried, sent_during) = connection.ways[way].read(&mut kernel.segments);
        if let Some(trace) = &mut kernel.trace {
            trace.because(kernel.event, sent_during);
            if let Carried::Message(message) = &carried {
                trace.reads(message.kind());
            }
        }
        match carried {
            Carried::Message(message) => {
                kernel.counters.delivered += 1;
                kernel.digest.fold(u64::from(id.0), message.digest());
                self.dispatch(to, || Input::Message(id, message));
            }
            Carried::Opening => {
                connection.accepted = true;
                let port = connection.port;
                self.dispatch(to, || Input::Accepted(id, port));
            }
            Carried::Finish => {
                connection.closed[end] = true;
                self.dispatch(to, || Input::Closed(id, Closure::Finished));
            }
        }
        let state = &self.kernel.connections[index as usize].ways[way];
        let awaited = state.awaited;
        if state.arrived > 0 && !state.muted {
            self.kernel.push(self.kernel.now, read_event(index, way));
        }
        if awaited {
            self.kernel.announce_room(index, way);
        }
    }

    /// A reset or a refusal reaches the machine at `end`.
    pub(crate) fn break_arrives(&mut self, index: u32, end: usize, closure: Closure) {
        let connection = &self.kernel.connections[index as usize];
        let (node, peer) = (connection.ends[end], connection.ends[1 - end]);
        if connection.forgotten[end] {
            return;
        }
        match (self.kernel.unreachable(peer, node), closure) {
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
            self.dispatch(node, || Input::Closed(ConnectionId::new(index, end), closure));
        }
    }

    pub(crate) fn datagram(&mut self, slot: u32) {
        let (from, to, message) = self.kernel.datagrams.take(slot);
        if self.kernel.machine(to).status == Status::Up && self.kernel.link(from, to).cuts == 0 {
            self.kernel.counters.delivered += 1;
            self.kernel.digest.fold(u64::from(to.0), message.digest());
            self.dispatch(to, || Input::Datagram(from, message));
        }
    }
}
