//! Connections: bytes arrive in order or the connection breaks.
//!
//! Two ways make a connection. What is sent on a way is queued there and announced to the event queue once.
//! It comes due at the reader's machine, gets through or waits there for TCP's retransmission (and everything
//! behind it waits too), and has then arrived in the reader's socket, where it stays until it is read.

use crate::event::EventId;
use crate::node::{Message, NodeId, Port};
use crate::time::{Duration, Time};

/// One end of a connection. Never used again within a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

impl ConnectionId {
    #[inline]
    pub(crate) fn new(index: u32, end: usize) -> Self {
        ConnectionId(index << 1 | end as u32)
    }

    /// The connection's place in the table, and which of its ends this is.
    #[inline]
    pub(crate) fn parts(self) -> (u32, usize) {
        (self.0 >> 1, (self.0 & 1) as usize)
    }
}

/// TCP's first retransmission timeout on an established connection, to which the round trip is added
/// (Linux: `TCP_RTO_MIN`); it doubles.
pub const FIRST_RETRANSMISSION: Duration = Duration::millis(200);
/// The longest time between two retransmissions (Linux: `TCP_RTO_MAX`).
pub const LONGEST_RETRANSMISSION: Duration = Duration::secs(120);
/// After this many retransmissions the connection is given up (Linux: `tcp_retries2`), about 924 s.
pub const RETRANSMISSIONS: u8 = 15;
/// The same for what no process waits for any more (Linux: `tcp_orphan_retries`), about 102 s.
pub const ORPHAN_RETRANSMISSIONS: u8 = 8;
/// The first time-out of a handshake.
pub const FIRST_SYN_RETRANSMISSION: Duration = Duration::secs(1);
/// So many handshakes are repeated before that time begins to double (Linux since 6.5: `tcp_syn_linear_timeouts`).
pub const LINEAR_SYN_RETRANSMISSIONS: u8 = 4;
/// After this many repeated handshakes connecting fails (Linux since 6.5: these and `tcp_syn_retries`), after 131 s.
pub const SYN_RETRANSMISSIONS: u8 = LINEAR_SYN_RETRANSMISSIONS + 6;

/// One direction between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The least latency.
    pub latency: Duration,
    /// The latency is uniform in `latency ..= latency + spread`.
    pub spread: Duration,
    /// The longest round trip that TCP has smoothed when it first has to wait for an acknowledgement. A peer whose
    /// answer takes longer holds the acknowledgement back for 40 ms (Linux: `TCP_DELACK_MIN`). Drawn for each way.
    pub smoothed_round_trip: Duration,
    /// How many segments TCP sends before it waits for an acknowledgement. Each of them takes
    /// [`SEGMENT_BOOKKEEPING`] bytes of the sender's socket beside its own; what waits behind them is kept as one.
    pub congestion_window: u16,
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
            smoothed_round_trip: Duration::ZERO,
            congestion_window: 10,
            bytes_per_microsecond: 0,
            datagram_loss: 0,
            cuts: 0,
        }
    }
}

/// What Linux keeps of a segment that was sent, in bytes (`sk_buff`, as `ss --memory` counts it).
pub const SEGMENT_BOOKKEEPING: u64 = 832;

/// How far the handshake has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody has answered.
    Connecting,
    /// The machine connected to has answered.
    Answered,
    /// The answer has arrived: bytes can flow.
    Established,
}

const NIL: u32 = u32::MAX;

/// What is queued on a way.
pub(crate) enum Carried<M> {
    /// The end of the handshake: the acceptor learns of the connection.
    Opening,
    Message(M),
    /// Nothing follows.
    Finish,
}

/// A segment that is queued or about to be.
#[derive(Clone, Copy)]
pub(crate) struct SegmentId(u32);

struct Segment<M> {
    carried: Option<Carried<M>>,
    sent_during: EventId,
    next: u32,
}

/// Contents of all ways: one slab, lists through it. There is always a free segment for what is sent next.
pub(crate) struct Segments<M> {
    segments: Vec<Segment<M>>,
    free: u32,
}

impl<M> Default for Segments<M> {
    fn default() -> Self {
        let mut segments = Segments {
            segments: Vec::new(),
            free: NIL,
        };
        segments.grow();
        segments
    }
}

impl<M> Segments<M> {
    pub(crate) fn clear(&mut self) {
        self.segments.clear();
        self.grow();
    }

    /// Always inlined, and never drops anything, so that what is carried is put together where it stays: a copy of
    /// what has just been written in small pieces waits for them.
    #[inline(always)]
    pub(crate) fn put(&mut self, carried: Carried<M>, sent_during: EventId) -> SegmentId {
        let index = self.free;
        let Some(segment) = self.segments.get_mut(index as usize) else {
            std::mem::forget(carried);
            unreachable!("a free segment is made before it is needed")
        };
        self.free = std::mem::replace(&mut segment.next, NIL);
        segment.sent_during = sent_during;
        std::mem::forget(segment.carried.replace(carried));
        if self.free == NIL {
            self.grow();
        }
        SegmentId(index)
    }

    #[cold]
    fn grow(&mut self) {
        self.free = self.segments.len() as u32;
        self.segments.push(Segment {
            carried: None,
            sent_during: EventId::SET_UP,
            next: NIL,
        });
    }

    /// What a segment carries.
    #[inline]
    pub(crate) fn carried(&self, segment: SegmentId) -> &Carried<M> {
        let carried = self.segments[segment.0 as usize].carried.as_ref();
        carried.expect("a queued segment holds something")
    }

    #[inline]
    pub(crate) fn take(&mut self, SegmentId(index): SegmentId) -> (Carried<M>, EventId) {
        let segment = &mut self.segments[index as usize];
        segment.next = self.free;
        self.free = index;
        let carried = segment.carried.take().expect("a queued segment holds something");
        (carried, segment.sent_during)
    }
}

/// What a way holds.
#[derive(Default)]
pub(crate) struct Holds {
    pub(crate) unread: u64,
    pub(crate) underway: u64,
    pub(crate) segments: u64,
}

/// One direction of a connection. Its list holds, from the head on: what has arrived, what is overdue, and what
/// is announced and not doomed.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    head: u32,
    tail: u32,
    /// How many of the queued have reached the reader's socket.
    pub(crate) arrived: u32,
    /// How many came due without getting through.
    pub(crate) overdue: u32,
    /// How many arrivals are in the event queue.
    announced: u32,
    /// How many of the announced arrivals, from the earliest on, are of things dropped since.
    doomed: u32,
    /// How many were ever sent: the number of the next one.
    pub(crate) sent: u32,
    pub(crate) last_arrival: Time,
    /// The head could not get through and everything behind it waits: a retransmission is queued.
    pub(crate) blocked: bool,
    /// How often the head was retransmitted in vain.
    pub(crate) retransmissions: u8,
    /// A fault holds this way back until it is released.
    pub(crate) held: bool,
    /// The reader does not read.
    pub(crate) muted: bool,
    /// The writer waits until the reader's machine, or the reader, takes something in.
    pub(crate) awaited: bool,
}

impl Way {
    fn new() -> Self {
        Way {
            head: NIL,
            tail: NIL,
            arrived: 0,
            overdue: 0,
            announced: 0,
            doomed: 0,
            sent: 0,
            last_arrival: Time::ZERO,
            blocked: false,
            retransmissions: 0,
            held: false,
            muted: false,
            awaited: false,
        }
    }

    #[inline]
    pub(crate) fn append<M>(&mut self, segments: &mut Segments<M>, SegmentId(index): SegmentId) {
        if self.tail == NIL {
            self.head = index;
        } else {
            segments.segments[self.tail as usize].next = index;
        }
        self.tail = index;
        self.announced += 1;
    }

    /// An announced arrival comes due, unless what was announced has been dropped.
    #[inline]
    pub(crate) fn come_due(&mut self) {
        self.announced -= 1;
        if self.doomed > 0 {
            self.doomed -= 1;
        } else {
            self.overdue += 1;
        }
    }

    /// Whether anything that was sent has not been read.
    pub(crate) fn holds_anything(&self) -> bool {
        self.head != NIL
    }

    /// Whether one thing is due and nothing else is there or keeps it: nothing waits in the reader's socket, which is
    /// read, nothing is retransmitted or held. Nor does the writer wait.
    #[inline]
    pub(crate) fn is_clear(&self) -> bool {
        self.overdue == 1 && self.arrived == 0 && !self.blocked && !self.held && !self.muted && !self.awaited
    }

    /// How many bytes its messages hold that wait in the reader's socket, how many those that do not yet, and how many
    /// the latter are.
    pub(crate) fn holds<M: Message>(&self, segments: &Segments<M>) -> Holds {
        let mut holds = Holds::default();
        let (mut index, mut number) = (self.head, 0);
        while let Some(segment) = segments.segments.get(index as usize) {
            let bytes = match &segment.carried {
                Some(Carried::Message(message)) => u64::from(message.bytes()),
                _ => 0,
            };
            if number < self.arrived {
                holds.unread += bytes;
            } else {
                holds.underway += bytes;
                holds.segments += 1;
            }
            (index, number) = (segment.next, number + 1);
        }
        holds
    }

    /// The first of the overdue got through.
    #[inline]
    pub(crate) fn get_through(&mut self) {
        self.overdue -= 1;
        self.arrived += 1;
        self.retransmissions = 0;
    }

    /// Reads the head of what has arrived, and the event during which it was sent.
    #[inline]
    pub(crate) fn read<M>(&mut self, segments: &mut Segments<M>) -> (Carried<M>, EventId) {
        self.arrived -= 1;
        self.take_head(segments)
    }

    #[inline]
    fn take_head<M>(&mut self, segments: &mut Segments<M>) -> (Carried<M>, EventId) {
        let index = self.head;
        self.head = segments.segments[index as usize].next;
        if self.head == NIL {
            self.tail = NIL;
        }
        segments.take(SegmentId(index))
    }

    /// The first of what has not arrived.
    pub(crate) fn first_due<'a, M>(&self, segments: &'a Segments<M>) -> Option<&'a Carried<M>> {
        let mut index = self.head;
        for _ in 0..self.arrived {
            index = segments.segments[index as usize].next;
        }
        segments.segments.get(index as usize)?.carried.as_ref()
    }

    /// Drops what waits in the reader's socket.
    pub(crate) fn drop_arrived<M>(&mut self, segments: &mut Segments<M>) {
        while self.arrived > 0 {
            drop(self.read(segments));
        }
    }

    /// Drops everything that has not arrived: the sender's stack has given the connection up.
    pub(crate) fn give_up<M>(&mut self, segments: &mut Segments<M>) {
        let mut kept = NIL;
        let mut index = self.head;
        for _ in 0..self.arrived {
            kept = index;
            index = segments.segments[index as usize].next;
        }
        while index != NIL {
            let next = segments.segments[index as usize].next;
            segments.take(SegmentId(index));
            index = next;
        }
        self.tail = kept;
        match kept {
            NIL => self.head = NIL,
            last => segments.segments[last as usize].next = NIL,
        }
        self.overdue = 0;
        self.doomed = self.announced;
        self.blocked = false;
    }
}

pub(crate) struct Connection {
    /// The one who opened it, the one who accepted it.
    pub(crate) ends: [NodeId; 2],
    /// The incarnations of the two processes that hold the ends.
    pub(crate) incarnations: [u32; 2],
    pub(crate) port: Port,
    pub(crate) state: State,
    /// Whether the process connected to has been told.
    pub(crate) accepted: bool,
    /// Which ends no process holds any more.
    pub(crate) closed: [bool; 2],
    /// Which ends their machines have dropped, by a power loss, a reset or a time-out: nothing leaves there any
    /// more. A paused process may not know yet.
    pub(crate) forgotten: [bool; 2],
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
            accepted: false,
            closed: [false, false],
            forgotten: [false, false],
            handshakes: 0,
            identity: pair | u64::from(incarnation & 0xfff) << 20 | u64::from(number & 0xf_ffff),
            ways: [Way::new(), Way::new()],
        }
    }

    /// Whether what comes to this end is answered by a reset.
    #[inline]
    pub(crate) fn gone(&self, end: usize) -> bool {
        self.closed[end] || self.forgotten[end]
    }

    /// Whether a process on `node`, or its machine, has this end in its tables.
    pub(crate) fn is_end_of(&self, end: usize, node: NodeId) -> bool {
        self.ends[end] == node && (end == 0 || self.state != State::Connecting)
    }
}
