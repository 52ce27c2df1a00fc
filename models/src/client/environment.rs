//! What a client's machines need of the engine: small enough for a test to stand in for it.

use ktrial_sim::{ConnectionId, Context, Duration, Identity, NodeId, Site, Time, TimerSlot};

use crate::ids::ServerId;
use crate::kafka::Kafka;
use crate::notes::Note;
use crate::protocol::{BROKER_PORT, Message};
use crate::records::{Contents, Record, Records};

/// Clocks, chance, connections and notes of the machine a client runs on.
pub trait Environment {
    /// This machine.
    fn me(&self) -> NodeId;
    /// Which process on this machine this is.
    fn incarnation(&self) -> u32;
    /// The monotonic clock (`System.nanoTime`).
    fn monotonic(&self) -> Time;
    /// The wall clock (`System.currentTimeMillis`).
    fn wall(&self) -> Time;
    /// A uniform number in `0..bound` for `who` at `site`.
    fn draw_below(&mut self, site: Site, who: Identity, bound: u64) -> u64;
    /// Sets a timer on the monotonic clock; replaces what the slot held.
    fn set_timer(&mut self, slot: TimerSlot, after: Duration);
    /// Unsets a timer.
    fn clear_timer(&mut self, slot: TimerSlot);
    /// Delivers `token` once.
    fn alarm(&mut self, token: u32, after: Duration);
    /// Opens a connection to a broker.
    fn connect(&mut self, to: ServerId) -> ConnectionId;
    /// Writes to a connection's socket.
    fn send(&mut self, connection: ConnectionId, message: Message) -> bool;
    /// How many bytes the socket of a connection takes now, if it holds up to `buffer` that were not acknowledged.
    fn room(&self, connection: ConnectionId, buffer: u64) -> u64;
    /// Tells once that the socket of a connection takes something more.
    fn await_room(&mut self, connection: ConnectionId);
    /// Closes a connection.
    fn close(&mut self, connection: ConnectionId);
    /// Stores the records of a batch.
    fn store(&mut self, records: &[Record]) -> Records;
    /// What messages refer to, and what is kept outside of Kafka.
    fn contents(&mut self) -> &mut Contents;
    /// Tells those who watch.
    fn note(&mut self, note: Note);
    /// Whether another lane goes first here, and for how long.
    fn cut(&mut self, cut: u16, who: u64) -> Option<Duration>;
    /// Ends this process.
    fn exit(&mut self);
}

impl Environment for Context<'_, Kafka> {
    fn me(&self) -> NodeId {
        Context::me(self)
    }
    fn incarnation(&self) -> u32 {
        Context::incarnation(self)
    }
    #[inline]
    fn monotonic(&self) -> Time {
        Context::monotonic(self)
    }
    #[inline]
    fn wall(&self) -> Time {
        Context::wall(self)
    }
    #[inline]
    fn draw_below(&mut self, site: Site, who: Identity, bound: u64) -> u64 {
        Context::draw_below(self, site, who, bound)
    }
    #[inline]
    fn set_timer(&mut self, slot: TimerSlot, after: Duration) {
        Context::set_timer(self, slot, after);
    }
    fn clear_timer(&mut self, slot: TimerSlot) {
        Context::clear_timer(self, slot);
    }
    fn alarm(&mut self, token: u32, after: Duration) {
        Context::alarm(self, token, after);
    }
    fn connect(&mut self, to: ServerId) -> ConnectionId {
        Context::connect(self, to.node(), BROKER_PORT)
    }
    #[inline]
    fn send(&mut self, connection: ConnectionId, message: Message) -> bool {
        Context::send(self, connection, message)
    }
    #[inline]
    fn room(&self, connection: ConnectionId, buffer: u64) -> u64 {
        Context::room(self, connection, buffer)
    }
    fn await_room(&mut self, connection: ConnectionId) {
        Context::await_room(self, connection);
    }
    fn close(&mut self, connection: ConnectionId) {
        Context::close(self, connection);
    }
    fn store(&mut self, records: &[Record]) -> Records {
        self.arena().store(records.iter().copied())
    }
    #[inline]
    fn contents(&mut self) -> &mut Contents {
        self.arena()
    }
    #[inline]
    fn note(&mut self, note: Note) {
        Context::note(self, note);
    }
    #[inline]
    fn cut(&mut self, cut: u16, who: u64) -> Option<Duration> {
        Context::cut(self, cut, who)
    }
    fn exit(&mut self) {
        Context::exit(self);
    }
}
