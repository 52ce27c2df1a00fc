//! What the queue holds.

/// The number of an event: the order in which events were put into the queue, from 1 on. 0 stands for the
/// set-up before the first event, which causes nothing that anybody could want to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u64);

impl EventId {
    /// Before the first event.
    pub const SET_UP: EventId = EventId(0);
}

/// Something due at an instant: eight bytes. The first five are packets that reach a machine's network stack,
/// and its stack's own timer; the rest reaches a process, and waits if the process is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A handshake reaches the machine connected to.
    Handshake {
        connection: u32,
    },
    /// The answer to a handshake reaches the machine that connects.
    Answer {
        connection: u32,
    },
    /// The next thing sent on a way reaches the machine of its reader.
    Deliver {
        way: u8,
        connection: u32,
    },
    /// A reset or a refusal reaches the machine of one end.
    Break {
        end: u8,
        closure: u8,
        connection: u32,
    },
    /// TCP tries the blocked head of a way again.
    Retransmit {
        way: u8,
        connection: u32,
    },
    /// What a released hold had stalled goes on.
    Release {
        way: u8,
        connection: u32,
    },
    /// The connecting process learns that its connection is up.
    Connected {
        connection: u32,
    },
    /// The reader can read on.
    Read {
        way: u8,
        connection: u32,
    },
    /// A process learns that its socket takes something again.
    Room {
        end: u8,
        connection: u32,
    },
    /// A process learns that its connection is gone.
    Lost {
        end: u8,
        closure: u8,
        connection: u32,
    },
    /// A timer may have run out.
    Timer {
        node: u16,
        slot: u16,
    },
    /// A timer ran out while its process was paused.
    Fire {
        node: u16,
        slot: u16,
    },
    Alarm {
        incarnation: u8,
        node: u16,
        token: u32,
    },
    Signal {
        incarnation: u8,
        node: u16,
        slot: u32,
    },
    Datagram {
        slot: u32,
    },
    Scripted {
        entry: u32,
    },
    /// The machine has taken back what a killed process held; its connections close.
    TornDown {
        incarnation: u8,
        node: u16,
    },
}

impl Event {
    /// What kind of event this is, in words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Event::Handshake { .. } => "handshake",
            Event::Answer { .. } => "handshake answered",
            Event::Deliver { .. } => "segment delivered",
            Event::Break { .. } => "reset",
            Event::Retransmit { .. } => "retransmission",
            Event::Release { .. } => "hold released",
            Event::Connected { .. } => "connected",
            Event::Read { .. } => "read on",
            Event::Room { .. } => "room in a socket",
            Event::Lost { .. } => "connection lost",
            Event::Timer { .. } => "timer",
            Event::Fire { .. } => "timer after a pause",
            Event::Alarm { .. } => "alarm",
            Event::Signal { .. } => "signal",
            Event::Datagram { .. } => "datagram",
            Event::Scripted { .. } => "scripted",
            Event::TornDown { .. } => "torn down",
        }
    }

    /// The event as a word: what the queue holds and the digest folds. It stays in a register where the event itself
    /// would be put together and taken apart in memory.
    #[inline(always)]
    pub(crate) fn word(self) -> u64 {
        let pack = |tag: u64, small: u8, large: u32| tag << 56 | u64::from(small) << 32 | u64::from(large);
        let timer = |tag, node: u16, slot: u16| pack(tag, 0, u32::from(node) << 16 | u32::from(slot));
        match self {
            Event::Handshake { connection } => pack(1, 0, connection),
            Event::Answer { connection } => pack(2, 0, connection),
            Event::Deliver { way, connection } => pack(3, way, connection),
            Event::Break {
                end,
                closure,
                connection,
            } => pack(4, end << 4 | closure, connection),
            Event::Retransmit { way, connection } => pack(5, way, connection),
            Event::Release { way, connection } => pack(6, way, connection),
            Event::Connected { connection } => pack(7, 0, connection),
            Event::Read { way, connection } => pack(8, way, connection),
            Event::Lost {
                end,
                closure,
                connection,
            } => pack(9, end << 4 | closure, connection),
            Event::Timer { node, slot } => timer(10, node, slot),
            Event::Fire { node, slot } => timer(11, node, slot),
            Event::Alarm {
                incarnation,
                node,
                token,
            } => pack(12, incarnation, token) | u64::from(node) << 40,
            Event::Signal {
                incarnation,
                node,
                slot,
            } => pack(13, incarnation, slot) | u64::from(node) << 40,
            Event::Datagram { slot } => pack(14, 0, slot),
            Event::Scripted { entry } => pack(15, 0, entry),
            Event::TornDown { incarnation, node } => pack(16, incarnation, u32::from(node)),
            Event::Room { end, connection } => pack(17, end, connection),
        }
    }

    /// The event of a word.
    #[inline(always)]
    pub(crate) fn of(word: u64) -> Self {
        let (tag, small, large) = (word >> 56, (word >> 32) as u8, word as u32);
        let (connection, way, incarnation) = (large, small, small);
        let (end, closure) = (small >> 4, small & 0xf);
        let node = (word >> 40) as u16;
        let (node_of_timer, slot_of_timer) = ((large >> 16) as u16, large as u16);
        match tag {
            1 => Event::Handshake { connection },
            2 => Event::Answer { connection },
            3 => Event::Deliver { way, connection },
            4 => Event::Break {
                end,
                closure,
                connection,
            },
            5 => Event::Retransmit { way, connection },
            6 => Event::Release { way, connection },
            7 => Event::Connected { connection },
            8 => Event::Read { way, connection },
            9 => Event::Lost {
                end,
                closure,
                connection,
            },
            10 => Event::Timer {
                node: node_of_timer,
                slot: slot_of_timer,
            },
            11 => Event::Fire {
                node: node_of_timer,
                slot: slot_of_timer,
            },
            12 => Event::Alarm {
                incarnation,
                node,
                token: large,
            },
            13 => Event::Signal {
                incarnation,
                node,
                slot: large,
            },
            14 => Event::Datagram { slot: large },
            15 => Event::Scripted { entry: large },
            16 => Event::TornDown {
                incarnation,
                node: large as u16,
            },
            17 => Event::Room { end: way, connection },
            _ => unreachable!("only events become words"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_tells_its_event() {
        let (connection, node, slot) = (0x8123_4567, 0xfedc, 0x9abc);
        let (way, end, closure, incarnation) = (1, 1, 3, 0xfe);
        for event in [
            Event::Handshake { connection },
            Event::Answer { connection },
            Event::Deliver { way, connection },
            Event::Break {
                end,
                closure,
                connection,
            },
            Event::Retransmit { way, connection },
            Event::Release { way, connection },
            Event::Connected { connection },
            Event::Room { end, connection },
            Event::Read { way, connection },
            Event::Lost {
                end,
                closure,
                connection,
            },
            Event::Timer { node, slot },
            Event::Fire { node, slot },
            Event::Alarm {
                incarnation,
                node,
                token: connection,
            },
            Event::Signal {
                incarnation,
                node,
                slot: connection,
            },
            Event::Datagram { slot: connection },
            Event::Scripted { entry: connection },
            Event::TornDown { incarnation, node },
        ] {
            assert_eq!(Event::of(event.word()), event);
        }
    }
}
