//! What the machines' network stacks send, keep and give up: segments, handshakes, retransmissions, resets.

use crate::chance::{Identity, Site};
use crate::event::Event;
use crate::kernel::Kernel;
use crate::machine::Status;
use crate::network::{
    Carried, Connection, ConnectionId, FIRST_RETRANSMISSION, FIRST_SYN_RETRANSMISSION,
    LINEAR_SYN_RETRANSMISSIONS, LONGEST_RETRANSMISSION, SEGMENT_BOOKKEEPING, SegmentId, State,
};
use crate::node::{Closure, Message, NodeId, Port, Protocol};
use crate::time::{Duration, Time};

impl<P: Protocol> Kernel<P> {
    /// When what is handed to the network card of `from` now has left it for a link of this rate.
    #[inline]
    fn leave(&mut self, from: NodeId, rate: u32, segment: SegmentId) -> Time {
        if rate == 0 {
            return self.now;
        }
        let bytes = match self.segments.carried(segment) {
            Carried::Message(message) => message.bytes(),
            Carried::Opening | Carried::Finish => 0,
        };
        let transfer = Duration::nanos(u64::from(bytes) * 1_000 / u64::from(rate));
        let now = self.now;
        let machine = self.machine_mut(from);
        machine.egress_free = machine.egress_free.max(now) + transfer;
        machine.egress_free
    }

    /// Puts something on a way and announces it.
    pub(crate) fn transmit(&mut self, index: u32, way: usize, carried: Carried<P::Message>) {
        let segment = self.segments.put(carried, self.event);
        self.announce(index, way, segment);
    }

    /// What a process sends goes on its way, unless the connection is no longer open here.
    pub(crate) fn announce_if_open(&mut self, index: u32, end: usize, segment: SegmentId) -> bool {
        assert!(end < 2, "a connection has two ends");
        let connection = &self.connections[index as usize];
        if connection.closed[end] || connection.state != State::Established {
            self.segments.take(segment);
            return false;
        }
        self.announce(index, end, segment);
        true
    }

    #[inline(always)]
    fn announce(&mut self, index: u32, way: usize, segment: SegmentId) {
        assert!(way < 2, "two ways make a connection");
        let connection = &self.connections[index as usize];
        if connection.forgotten[way] {
            self.segments.take(segment);
            return;
        }
        let (from, to) = (connection.ends[way], connection.ends[1 - way]);
        let number = u64::from(connection.ways[way].sent);
        let identity = Identity(connection.identity, (way as u64) << 32 | number);
        let link = *self.link(from, to);
        let latency = self.latency_on(&link, Site::SEGMENT_LATENCY, identity);
        let arrival = self.leave(from, link.bytes_per_microsecond, segment) + latency;
        let state = &mut self.connections[index as usize].ways[way];
        let arrival = arrival.max(state.last_arrival);
        state.sent += 1;
        state.last_arrival = arrival;
        state.append(&mut self.segments, segment);
        self.push(
            arrival,
            Event::Deliver {
                way: way as u8,
                connection: index,
            },
        );
    }

    /// How many bytes the socket at `end` takes, which holds up to `buffer` that the other machine has not taken in. That
    /// machine takes in as much as its own socket holds until its process reads.
    pub(crate) fn room(&self, index: u32, end: usize, buffer: u64) -> u64 {
        let connection = &self.connections[index as usize];
        let (from, to) = (connection.ends[end], connection.ends[1 - end]);
        let holds = connection.ways[end].holds(&self.segments);
        let sent = holds.segments.min(self.link(from, to).congestion_window.into());
        let left_over = holds.unread.saturating_sub(self.machine(to).receive_buffer);
        buffer.saturating_sub(holds.underway + sent * SEGMENT_BOOKKEEPING + left_over)
    }

    /// The writer of a way, who waits for it, is to learn that the other end has taken something in.
    #[cold]
    pub(crate) fn announce_room(&mut self, index: u32, way: usize) {
        let state = &mut self.connections[index as usize].ways[way];
        state.awaited = false;
        let step = 1 << 32 | u64::from(state.sent);
        let latency = self.packet_latency(index, 1 - way, step);
        self.push(self.now + latency, room_event(index, way));
    }

    /// The latency of a packet without data: the `step`-th kind of it on this connection.
    pub(crate) fn packet_latency(&mut self, index: u32, from_end: usize, step: u64) -> Duration {
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
    pub(crate) fn unreachable(&self, from: NodeId, to: NodeId) -> bool {
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
        if connection.forgotten[way] {
            connection.ways[way].give_up(&mut self.segments);
            return;
        }
        let (from, to) = (connection.ends[way], connection.ends[1 - way]);
        let identity = Identity(connection.identity, way as u64);
        let longest = u128::from(self.link(from, to).smoothed_round_trip.0) + 1;
        let round_trip = ((u128::from(self.draw(Site::RETRANSMISSION, identity)) * longest) >> 64) as u64;
        let state = &mut self.connections[index as usize].ways[way];
        let first = FIRST_RETRANSMISSION.0 + round_trip;
        let wait = Duration(first << state.retransmissions).min(LONGEST_RETRANSMISSION);
        state.blocked = true;
        self.push(
            self.now + wait,
            Event::Retransmit {
                way: way as u8,
                connection: index,
            },
        );
    }

    /// What a process sent reaches the machine of one that is gone: with its reset that machine forgets what it still
    /// tried to get through itself (`tcp_rcv_state_process`: data for a dead socket, RFC 1122 4.2.2.13). What is on
    /// its way arrives. The end of a connection is no data.
    fn abort(&mut self, index: u32, way: usize) {
        let connection = &mut self.connections[index as usize];
        let head = connection.ways[way].first_due(&self.segments);
        if matches!(head, Some(Carried::Message(_))) {
            connection.forgotten[1 - way] = true;
            if connection.ways[1 - way].overdue > 0 {
                connection.ways[1 - way].give_up(&mut self.segments);
            }
        }
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

    /// The next thing due on a way gets through, if there is one and nothing keeps it. True if it has arrived in the
    /// reader's socket.
    #[inline]
    pub(crate) fn get_through(&mut self, index: u32, way: usize) -> bool {
        assert!(way < 2, "two ways make a connection");
        let connection = &self.connections[index as usize];
        let state = &connection.ways[way];
        if state.overdue == 0 || state.held || state.blocked {
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
            self.abort(index, way);
            self.send_reset(index, 1 - way);
            self.block(index, way);
            return false;
        }
        self.connections[index as usize].ways[way].get_through();
        true
    }

    /// The handshake was not answered: it is sent again, up to a limit.
    pub(crate) fn repeat_handshake(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        connection.state = State::Connecting;
        let doublings = connection.handshakes.saturating_sub(LINEAR_SYN_RETRANSMISSIONS);
        let wait = Duration(FIRST_SYN_RETRANSMISSION.0 << doublings);
        connection.handshakes += 1;
        self.push(self.now + wait, Event::Handshake { connection: index });
    }
}

pub(crate) fn break_event(index: u32, end: usize, closure: Closure) -> Event {
    Event::Break {
        end: end as u8,
        closure: closure as u8,
        connection: index,
    }
}

#[inline]
pub(crate) fn read_event(index: u32, way: usize) -> Event {
    Event::Read {
        way: way as u8,
        connection: index,
    }
}

pub(crate) fn room_event(index: u32, end: usize) -> Event {
    Event::Room {
        end: end as u8,
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
