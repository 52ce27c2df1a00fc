//! What can be done to a cluster: to processes, machines, links, connections, clocks and disks.

use crate::chance::{Identity, Site};
use crate::clock::Clock;
use crate::context::Context;
use crate::disk::PowerLoss;
use crate::event::Event;
use crate::kernel::Kernel;
use crate::machine::Status;
use crate::network::Link;
use crate::node::{Closure, Node, NodeId, Protocol};
use crate::simulation::Simulation;
use crate::time::Duration;
use crate::transport::lost_event;

/// Names a hold, to release it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldId(u32);

/// A place between two steps where another lane may go first, armed to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArmedCut {
    /// The cut, as its protocol numbers them.
    pub cut: u16,
    /// Only on this node, or on every node.
    pub node: Option<NodeId>,
    /// Opens with probability `numerator / denominator`, drawn for each passage.
    pub numerator: u32,
    /// See `numerator`.
    pub denominator: u32,
    /// How long it stays open: uniform in zero to this.
    pub longest: Duration,
}

/// A fault that stops messages of some kinds, by stalling the connection that carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// One bit for each message kind.
    pub kinds: u64,
    /// Only messages from this node.
    pub from: Option<NodeId>,
    /// Only messages to this node.
    pub to: Option<NodeId>,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed. The page cache survives, and the machine closes its connections, after a while
    /// ([`Simulation::set_tear_down`]).
    Process,
    /// The machine loses power: what was not flushed is lost as drawn, nobody is told.
    Power(PowerLoss),
    /// Everything on the disk is lost. A machine whose process runs loses power with it; one whose process is dead
    /// goes on answering for it, as one does whose disk is replaced.
    Disk,
}

impl<P: Protocol> Simulation<P> {
    /// Starts the process of a machine that has none (and switches the machine on). Does nothing to one that runs.
    pub fn start(&mut self, node: NodeId) {
        let machine = self.kernel.machine_mut(node);
        if machine.has_process() {
            return;
        }
        // A process that waits for the end of the one before (for its port, its lock file) finds it over.
        self.kernel.torn_down(node);
        let machine = self.kernel.machine_mut(node);
        machine.status = Status::Up;
        machine.incarnation += 1;
        let incarnation = machine.incarnation;
        self.kernel
            .digest
            .fold(0x57a7 << 32 | u64::from(node.0), u64::from(incarnation));
        self.nodes[node.0 as usize].boot(&mut Context::new(&mut self.kernel, node));
        if self.kernel.exited {
            self.bury(node);
        }
    }

    /// Ends a process without a word. On a machine whose process has died already the page cache or the disk
    /// can still be lost.
    pub fn crash(&mut self, node: NodeId, crash: Crash) {
        match crash {
            Crash::Process if self.kernel.machine(node).has_process() => self.kernel.kill(node),
            Crash::Process => {}
            Crash::Power(_) | Crash::Disk => {
                if crash != Crash::Disk || self.kernel.machine(node).status != Status::Down {
                    self.kernel.end_power(node);
                }
                let who = u64::from(node.0) << 32 | u64::from(self.kernel.machine(node).incarnation);
                let Kernel { disks, chance, .. } = &mut self.kernel;
                match crash {
                    Crash::Power(mode) => disks[node.0 as usize].lose_power(mode, chance, who),
                    _ => disks[node.0 as usize].lose(),
                }
            }
        }
    }

    /// Stops a process where it stands (a long garbage collection, `SIGSTOP`).
    pub fn pause(&mut self, node: NodeId) {
        let machine = self.kernel.machine_mut(node);
        if machine.status == Status::Up {
            machine.status = Status::Paused;
        }
    }

    /// Lets a paused process go on; it finds everything that happened meanwhile, in order.
    pub fn resume(&mut self, node: NodeId) {
        let machine = self.kernel.machine_mut(node);
        if machine.status != Status::Paused {
            return;
        }
        machine.status = Status::Up;
        let mut backlog = std::mem::take(&mut machine.backlog);
        for (during, event) in backlog.drain(..) {
            let id = self.kernel.push_word(self.kernel.now, event);
            if let Some(trace) = &mut self.kernel.trace {
                trace.because(id, during);
            }
        }
        self.kernel.machine_mut(node).backlog = backlog;
    }

    /// Sends a signal to a process. A paused one finds it on waking; without a process it is lost.
    pub fn signal(&mut self, node: NodeId, signal: P::Signal) {
        let incarnation = self.kernel.machine(node).incarnation as u8;
        let slot = self.kernel.signals.len() as u32;
        self.kernel.signals.push(signal);
        let event = Event::Signal {
            incarnation,
            node: node.0,
            slot,
        };
        self.kernel.push(self.kernel.now, event);
    }

    /// One direction between two nodes, to slow it or to change its bandwidth.
    pub fn link_mut(&mut self, from: NodeId, to: NodeId) -> &mut Link {
        self.kernel.link_mut(from, to)
    }

    /// Cuts one direction: what is sent into it waits for TCP's retransmission. Cuts count; each needs its mending.
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        self.kernel.link_mut(from, to).cuts += 1;
    }

    /// Takes one cut of a direction back.
    pub fn mend(&mut self, from: NodeId, to: NodeId) {
        let link = self.kernel.link_mut(from, to);
        link.cuts = link.cuts.saturating_sub(1);
    }

    /// Takes all cuts of all links back.
    pub fn mend_all(&mut self) {
        for from in 0..self.nodes.len() {
            for to in 0..self.nodes.len() {
                self.kernel.link_mut(NodeId(from as u16), NodeId(to as u16)).cuts = 0;
            }
        }
    }

    /// Resets every connection between two nodes; both ends notice at once.
    pub fn reset_connections(&mut self, one: NodeId, other: NodeId) {
        let kernel = &mut self.kernel;
        for index in 0..kernel.connections.len() {
            let connection = &mut kernel.connections[index];
            if connection.ends != [one, other] && connection.ends != [other, one] {
                continue;
            }
            for end in 0..2 {
                let connection = &mut kernel.connections[index];
                let known = connection.is_end_of(end, connection.ends[end]) && !connection.gone(end);
                connection.ways[end].drop_arrived(&mut kernel.segments);
                kernel.forget(index as u32, end);
                if known {
                    kernel.push(kernel.now, lost_event(index as u32, end, Closure::Reset));
                }
            }
        }
    }

    /// From now on holds back messages as `hold` says, by stalling the connections that carry them.
    pub fn hold(&mut self, hold: Hold) -> HoldId {
        let id = HoldId(self.kernel.holds_made);
        self.kernel.holds_made += 1;
        self.kernel.holds.push((id, hold));
        id
    }

    /// Ends a hold; what it held arrives now, in order.
    pub fn release(&mut self, id: HoldId) {
        let kernel = &mut self.kernel;
        kernel.holds.retain(|(other, _)| *other != id);
        for index in 0..kernel.connections.len() {
            for way in 0..2 {
                let state = &mut kernel.connections[index].ways[way];
                if std::mem::replace(&mut state.held, false) {
                    let event = Event::Release {
                        way: way as u8,
                        connection: index as u32,
                    };
                    kernel.push(kernel.now, event);
                }
            }
        }
    }

    /// A machine's clocks, to read or to step them.
    pub fn clock_mut(&mut self, node: NodeId) -> &mut Clock {
        &mut self.kernel.machine_mut(node).clock
    }

    /// Lets a machine's clocks run `ppm` parts per million faster (or slower) than the engine's from now on,
    /// clamped to ±[`Clock::MAX_DRIFT_PPM`]. Its timers follow; alarms keep the rate they were set at.
    pub fn set_drift(&mut self, node: NodeId, ppm: i32) {
        self.kernel.set_drift(node, ppm);
    }

    /// Arms a cut between two steps of a node.
    pub fn arm_cut(&mut self, cut: ArmedCut) {
        self.kernel.armed_cuts.push(cut);
    }

    /// Disarms all cuts.
    pub fn disarm_cuts(&mut self) {
        self.kernel.armed_cuts.clear();
    }

    /// How many armed cuts have opened.
    pub fn cuts_opened(&self) -> u64 {
        self.kernel.cut_passages
    }
}

impl<P: Protocol> Kernel<P> {
    /// The process is gone; the machine's network stack will close its connections.
    fn kill(&mut self, node: NodeId) {
        let (least, most) = self.tear_down;
        if most == Duration::ZERO {
            self.end_process(node);
            return;
        }
        let machine = self.machine_mut(node);
        machine.status = Status::Down;
        machine.forget();
        machine.tearing_down = true;
        let incarnation = machine.incarnation;
        let identity = Identity(u64::from(node.0), u64::from(incarnation));
        let spread = u128::from((most.0 - least.0) + 1);
        let drawn = ((u128::from(self.draw(Site::TEAR_DOWN, identity)) * spread) >> 64) as u64;
        let event = Event::TornDown {
            incarnation: incarnation as u8,
            node: node.0,
        };
        self.push(self.now + Duration(least.0 + drawn), event);
    }

    /// Closes what a killed process held, unless that is done.
    pub(crate) fn torn_down(&mut self, node: NodeId) {
        if std::mem::take(&mut self.machine_mut(node).tearing_down) {
            self.close_all(node);
        }
    }

    /// The process is gone, and its connections are closed: it ended itself.
    pub(crate) fn end_process(&mut self, node: NodeId) {
        let machine = self.machine_mut(node);
        machine.status = Status::Down;
        machine.forget();
        self.close_all(node);
    }

    fn close_all(&mut self, node: NodeId) {
        for index in 0..self.connections.len() {
            for end in 0..2 {
                if self.connections[index].is_end_of(end, node) {
                    self.close(index as u32, end);
                }
            }
        }
    }

    /// The machine is gone; nobody is told.
    fn end_power(&mut self, node: NodeId) {
        let machine = self.machine_mut(node);
        machine.status = Status::Off;
        machine.tearing_down = false;
        machine.forget();
        for index in 0..self.connections.len() {
            for end in 0..2 {
                if self.connections[index].is_end_of(end, node) {
                    self.darken(index as u32, end);
                }
            }
        }
    }
}
