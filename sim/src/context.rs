//! What a node can see and do while it works through one input.

use crate::chance::{Identity, Site};
use crate::disk::Disk;
use crate::event::{Event, EventId};
use crate::kernel::Kernel;
use crate::network::{Carried, ConnectionId};
use crate::node::{NodeId, Port, Protocol, TimerSlot};
use crate::time::{Duration, Time};
use crate::transport::read_event;

/// What a node can see and do while it handles one input.
///
/// Everything it does here is an effect written into the engine's queues; nothing of it happens before the
/// node is done.
pub struct Context<'a, P: Protocol> {
    kernel: &'a mut Kernel<P>,
    me: NodeId,
    /// What the machine's clocks show throughout this step.
    monotonic: Time,
    wall: Time,
}

impl<'a, P: Protocol> Context<'a, P> {
    #[inline]
    pub(crate) fn new(kernel: &'a mut Kernel<P>, me: NodeId) -> Self {
        let (monotonic, wall) = kernel.machine(me).clock.both(kernel.now);
        Context {
            kernel,
            me,
            monotonic,
            wall,
        }
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
        self.monotonic
    }

    /// The reading of this machine's wall clock.
    #[inline]
    pub fn wall(&self) -> Time {
        self.wall
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
        self.kernel.set_timer_after(self.me, slot, after);
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

    /// Delivers [`Input::Alarm`](crate::Input::Alarm) with `token` once, `after` on the monotonic clock as it runs
    /// now. Cannot be taken back, dies with the process.
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

    /// Opens a connection; [`Input::Connected`](crate::Input::Connected) or [`Input::Closed`](crate::Input::Closed) tells what became of it.
    pub fn connect(&mut self, to: NodeId, port: Port) -> ConnectionId {
        self.kernel.connect(self.me, to, port)
    }

    /// Sends on a connection. False if it is no longer open here; the message is gone then.
    #[inline(always)]
    pub fn send(&mut self, connection: ConnectionId, message: P::Message) -> bool {
        let (index, end) = connection.parts();
        debug_assert_eq!(
            self.kernel.connections[index as usize].ends[end], self.me,
            "a node sends on its own connections"
        );
        // Put where it stays before anything else is asked: see `Segments::put`.
        let carried = Carried::Message(message);
        let segment = self.kernel.segments.put(carried, self.kernel.event);
        self.kernel.announce_if_open(index, end, segment)
    }

    /// How many bytes the socket of a connection takes now, if it holds up to `buffer` bytes that the machine at the other
    /// end has not acknowledged. That machine acknowledges what its own socket holds
    /// ([`Context::set_receive_buffer`]) and what its process reads. Looks through all that is under way;
    /// [`Context::send`] does not ask.
    pub fn room(&self, connection: ConnectionId, buffer: u64) -> u64 {
        let (index, end) = connection.parts();
        self.kernel.room(index, end, buffer)
    }

    /// Delivers [`Input::Room`](crate::Input::Room) once the machine at the other end has acknowledged something more.
    pub fn await_room(&mut self, connection: ConnectionId) {
        let (index, end) = connection.parts();
        self.kernel.connections[index as usize].ways[end].awaited = true;
    }

    /// How many unread bytes each socket of this process takes in; no limit before this is called.
    pub fn set_receive_buffer(&mut self, bytes: u64) {
        self.kernel.machine_mut(self.me).receive_buffer = bytes;
    }

    /// Closes this end; no input tells of it. What was sent before still arrives; what comes in is answered by a
    /// reset.
    pub fn close(&mut self, connection: ConnectionId) {
        let (index, end) = connection.parts();
        self.kernel.close(index, end);
    }

    /// Stops reading from a connection; what arrives waits in the socket.
    pub fn mute(&mut self, connection: ConnectionId) {
        let (index, end) = connection.parts();
        self.kernel.connections[index as usize].ways[1 - end].muted = true;
    }

    /// Reads again from a connection.
    pub fn unmute(&mut self, connection: ConnectionId) {
        let (index, end) = connection.parts();
        let way = &mut self.kernel.connections[index as usize].ways[1 - end];
        if std::mem::replace(&mut way.muted, false) && way.arrived > 0 {
            self.kernel.push(self.kernel.now, read_event(index, 1 - end));
        }
    }

    /// Who holds the other end of a connection.
    pub fn peer(&self, connection: ConnectionId) -> NodeId {
        let (index, end) = connection.parts();
        self.kernel.connections[index as usize].ends[1 - end]
    }

    /// The port a connection was opened to.
    pub fn port(&self, connection: ConnectionId) -> Port {
        self.kernel.connections[connection.parts().0 as usize].port
    }

    /// Names a connection across arms and runs: the same for the same connection attempt of the same process.
    pub fn connection_identity(&self, connection: ConnectionId) -> u64 {
        self.kernel.connections[connection.parts().0 as usize].identity
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
    #[inline(always)]
    pub fn note(&mut self, note: P::Note) {
        self.kernel.notes.push(self.me, self.kernel.event, note);
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

    /// Ends this process, as `System.exit` does: like a kill, by its own hand. Nothing that the node asks for in
    /// the rest of this step happens, but for what it writes to its disk.
    pub fn exit(&mut self) {
        self.kernel.end_process(self.me);
        self.kernel.exited = true;
    }
}
