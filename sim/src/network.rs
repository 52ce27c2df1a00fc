//! Connections: bytes arrive in order or the connection breaks.
//!
//! Two ways make a connection. What is sent on a way is queued there and announced to the event queue once;
//! what cannot get through waits for TCP's retransmission, and everything behind it waits too. What has arrived
//! but is not read (the reader muted the connection, or is paused) stays in the socket.

use crate::node::{NodeId, Port};
use crate::time::{Duration, Time};

/// A connection. Never used again within a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// TCP's first retransmission timeout on an established connection; it doubles.
pub const FIRST_RETRANSMISSION: Duration = Duration::millis(200);
/// The longest time between two retransmissions (Linux: `TCP_RTO_MAX`).
pub const LONGEST_RETRANSMISSION: Duration = Duration::secs(120);
/// After this many retransmissions the connection is given up (Linux: `tcp_retries2`), about 924 s.
pub const RETRANSMISSIONS: u8 = 15;
/// The first time-out of a handshake; it doubles.
pub const FIRST_SYN_RETRANSMISSION: Duration = Duration::secs(1);
/// After this many repeated handshakes connecting fails (Linux: `tcp_syn_retries`), about 127 s.
pub const SYN_RETRANSMISSIONS: u8 = 6;

/// One direction between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The least latency.
    pub latency: Duration,
    /// The latency is uniform in `latency ..= latency + spread`.
    pub spread: Duration,
    /// Bytes per microsecond through this direction; 0 for no limit.
    pub bytes_per_microsecond: u32,
    /// A datagram is lost with this probability, in parts of 2^32.
    pub datagram_loss: u32,
    /// How many faults cut this direction now.
    pub cuts: u16,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            latency: Duration::micros(100),
            spread: Duration::micros(400),
            bytes_per_microsecond: 0,
            datagram_loss: 0,
            cuts: 0,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Connecting,
    Established,
    Closed,
}

pub(crate) const NIL: u32 = u32::MAX;

/// What is queued on a way.
pub(crate) enum Carried<M> {
    Message(M),
    Finish,
}

struct Segment<M> {
    carried: Option<Carried<M>>,
    next: u32,
}

/// Contents of all ways: one slab, lists through it.
pub(crate) struct Segments<M> {
    segments: Vec<Segment<M>>,
    free: u32,
}

impl<M> Default for Segments<M> {
    fn default() -> Self {
        Segments {
            segments: Vec::new(),
            free: NIL,
        }
    }
}

impl<M> Segments<M> {
    pub(crate) fn clear(&mut self) {
        self.segments.clear();
        self.free = NIL;
    }

    #[inline]
    pub(crate) fn put(&mut self, carried: Carried<M>) -> u32 {
        if self.free == NIL {
            self.segments.push(Segment {
                carried: Some(carried),
                next: NIL,
            });
            return self.segments.len() as u32 - 1;
        }
        let index = self.free;
        let segment = &mut self.segments[index as usize];
        self.free = segment.next;
        segment.carried = Some(carried);
        segment.next = NIL;
        index
    }

    #[inline]
    pub(crate) fn take(&mut self, index: u32) -> Carried<M> {
        let segment = &mut self.segments[index as usize];
        segment.next = self.free;
        self.free = index;
        segment.carried.take().expect("a queued segment holds something")
    }
}

/// One direction of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    head: u32,
    tail: u32,
    /// How many of the queued have reached the reader's socket.
    pub(crate) arrived: u32,
    /// How many were ever sent: the number of the next one.
    pub(crate) sent: u32,
    pub(crate) last_arrival: Time,
    /// Arrivals that found the way blocked and wait behind its head.
    pub(crate) overdue: u32,
    /// How often the head was retransmitted; 0 while the way is not blocked.
    pub(crate) retransmissions: u8,
    /// The head could not get through; everything behind it waits.
    pub(crate) blocked: bool,
    /// A fault holds this way back until it is released.
    pub(crate) held: bool,
    /// The reader does not read.
    pub(crate) muted: bool,
    /// How many arrivals are in the event queue.
    announced: u32,
    /// How many of the announced arrivals are of things dropped since.
    doomed: u32,
}

impl Way {
    fn new() -> Self {
        Way {
            head: NIL,
            tail: NIL,
            arrived: 0,
            sent: 0,
            last_arrival: Time::ZERO,
            overdue: 0,
            retransmissions: 0,
            blocked: false,
            held: false,
            muted: false,
            announced: 0,
            doomed: 0,
        }
    }

    #[inline]
    pub(crate) fn append<M>(&mut self, segments: &mut Segments<M>, carried: Carried<M>) {
        let index = segments.put(carried);
        if self.tail == NIL {
            self.head = index;
        } else {
            segments.segments[self.tail as usize].next = index;
        }
        self.tail = index;
        self.announced += 1;
    }

    /// An announced arrival is due. False if what was announced has been dropped.
    #[inline]
    pub(crate) fn due(&mut self) -> bool {
        self.announced -= 1;
        if self.doomed > 0 {
            self.doomed -= 1;
            return false;
        }
        true
    }

    /// Reads the head of what has arrived.
    #[inline]
    pub(crate) fn read<M>(&mut self, segments: &mut Segments<M>) -> Option<Carried<M>> {
        if self.arrived == 0 {
            return None;
        }
        self.arrived -= 1;
        let index = self.head;
        debug_assert_ne!(index, NIL, "what has arrived is queued");
        self.head = segments.segments[index as usize].next;
        if self.head == NIL {
            self.tail = NIL;
        }
        Some(segments.take(index))
    }

    /// The message due next, behind what has arrived.
    pub(crate) fn next_due<'a, M>(&self, segments: &'a Segments<M>) -> Option<&'a Carried<M>> {
        let mut index = self.head;
        for _ in 0..self.arrived {
            index = segments.segments[index as usize].next;
        }
        segments.segments.get(index as usize)?.carried.as_ref()
    }

    /// Drops everything queued.
    pub(crate) fn drain<M>(&mut self, segments: &mut Segments<M>) {
        while self.head != NIL {
            let index = self.head;
            self.head = segments.segments[index as usize].next;
            segments.take(index);
        }
        self.tail = NIL;
        self.arrived = 0;
        self.overdue = 0;
        self.blocked = false;
        self.doomed = self.announced;
    }
}

pub(crate) struct Connection {
    /// The one who opened it, the one who accepted it.
    pub(crate) ends: [NodeId; 2],
    /// The incarnations of the two processes that hold the ends.
    pub(crate) incarnations: [u32; 2],
    pub(crate) port: Port,
    pub(crate) state: State,
    /// Which ends are closed.
    pub(crate) closed: [bool; 2],
    pub(crate) handshakes: u8,
    /// Names the connection for draws: who opened it to whom in which incarnation, and the how manieth it was.
    pub(crate) identity: u64,
    pub(crate) ways: [Way; 2],
}

impl Connection {
    pub(crate) fn new(from: NodeId, incarnation: u32, to: NodeId, port: Port, number: u32) -> Self {
        let pair = u64::from(from.0) << 48 | u64::from(to.0) << 32;
        Connection {
            ends: [from, to],
            incarnations: [incarnation, 0],
            port,
            state: State::Connecting,
            closed: [false, false],
            handshakes: 0,
            identity: pair | u64::from(incarnation & 0xfff) << 20 | u64::from(number & 0xf_ffff),
            ways: [Way::new(), Way::new()],
        }
    }
}
