//! What a node is: a state machine that gets an input and writes effects, and nothing else.

use crate::context::Context;
use crate::network::ConnectionId;

/// One machine with one process on it. Dense: the simulation keeps tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

/// One of a node's timers. Slots are numbered by the node and few: setting a slot again replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerSlot(pub u16);

/// A place where a node listens for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u8);

/// The types a simulated protocol is made of.
pub trait Protocol: Sized + 'static {
    /// The state machines, as an enum: dispatch without pointers.
    type Node: Node<Self>;
    /// What travels on connections.
    type Message: Message;
    /// One entry of a log on disk.
    type Entry: crate::disk::Entry;
    /// The content of a small file on disk.
    type Document: Clone;
    /// What is told to those who watch.
    type Note;
    /// What a script can tell a process, for instance to shut down.
    type Signal: Copy;
    /// Contents that messages and disks refer to instead of carrying them; grows during a trial.
    type Arena: Arena;
}

/// Shared, append-only contents of a trial.
pub trait Arena: Default {
    /// Forgets everything but keeps the memory.
    fn clear(&mut self);
}

impl Arena for () {
    fn clear(&mut self) {}
}

/// What the engine must know of a message.
pub trait Message {
    /// Size on the wire in bytes.
    fn bytes(&self) -> u32;
    /// What kind of message this is, for faults that hold back a kind. Below 64.
    fn kind(&self) -> u8;
    /// Enough of its content for the trial's digest.
    fn digest(&self) -> u64;
}

/// A state machine without I/O.
pub trait Node<P: Protocol> {
    /// The process starts: everything in memory is gone, only the disk is there.
    fn boot(&mut self, context: &mut Context<'_, P>);
    /// Works through one input.
    fn handle(&mut self, input: Input<P>, context: &mut Context<'_, P>);
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closure {
    /// The other end closed it in an orderly way; everything it had sent has been received.
    Finished,
    /// The other end is gone: a reset arrived.
    Reset,
    /// Nobody listens there.
    Refused,
    /// The network gave up: no answer to the handshake, or bytes unacknowledged for too long.
    TimedOut,
}

impl Closure {
    pub(crate) const ALL: [Closure; 4] = [
        Closure::Finished,
        Closure::Reset,
        Closure::Refused,
        Closure::TimedOut,
    ];
}

/// What happens to a node.
pub enum Input<P: Protocol> {
    /// A timer ran out.
    Timer(TimerSlot),
    /// An alarm, set with this token, went off.
    Alarm(u32),
    /// A connection this node opened is up.
    Connected(ConnectionId),
    /// Another node opened a connection to this port.
    Accepted(ConnectionId, Port),
    /// A message arrived and was read.
    Message(ConnectionId, P::Message),
    /// The machine at the other end has taken in something of what filled the socket of this connection; told once for
    /// each [`Context::await_room`](crate::Context::await_room).
    Room(ConnectionId),
    /// A connection is gone; its id means nothing any more.
    Closed(ConnectionId, Closure),
    /// A datagram arrived (outside connections).
    Datagram(NodeId, P::Message),
    /// The process got a signal.
    Signal(P::Signal),
}
