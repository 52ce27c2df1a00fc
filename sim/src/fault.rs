//! What can be done to a cluster: to processes, machines, links, connections, clocks and disks.

use crate::clock::Clock;
use crate::disk::PowerLoss;
use crate::kernel::{ArmedCut, Hold, Kernel, Status};
use crate::network::{Carried, Link, State};
use crate::node::{Closure, Input, Node, NodeId, Protocol};
use crate::simulation::{Context, Simulation};

/// Names a hold, to release it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldId(u32);

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed. The page cache survives, and the machine closes its connections.
    Process,
    /// The machine loses power: what was not flushed is lost as drawn, nobody is told.
    Power(PowerLoss),
    /// The machine loses power and everything on its disk.
    Disk,
}

impl<P: Protocol> Simulation<P> {
    /// Starts the process of a machine that has none (and switches the machine on). Does nothing to one that runs.
    pub fn start(&mut self, node: NodeId) {
        let machine = self.kernel.machine_mut(node);
        if matches!(machine.status, Status::Up | Status::Paused) {
            return;
        }
        machine.status = Status::Up;
        machine.incarnation += 1;
        let incarnation = machine.incarnation;
        self.kernel
            .digest
            .fold(0x57a7 << 32 | u64::from(node.0), u64::from(incarnation));
        self.nodes[node.0 as usize].boot(&mut Context::new(&mut self.kernel, node));
    }

    /// Ends a process without a word. On a machine whose process has died already the page cache or the disk
    /// can still be lost.
    pub fn crash(&mut self, node: NodeId, crash: Crash) {
        let status = self.kernel.machine(node).status;
        let runs = matches!(status, Status::Up | Status::Paused);
        match crash {
            Crash::Process if runs => end_process(&mut self.kernel, node),
            Crash::Process => {}
            Crash::Power(_) | Crash::Disk => {
                if runs {
                    end_power(&mut self.kernel, node);
                }
                self.kernel.machine_mut(node).status = Status::Off;
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
        for event in std::mem::take(&mut machine.backlog) {
            self.process(event);
        }
    }

    /// Sends a signal to a process that runs; a paused one gets none.
    pub fn signal(&mut self, node: NodeId, signal: P::Signal) {
        if self.kernel.machine(node).status == Status::Up {
            self.dispatch(node, Input::Signal(signal));
        }
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
        let now = self.kernel.now;
        for index in 0..self.kernel.connections.len() {
            let connection = &mut self.kernel.connections[index];
            if connection.ends != [one, other] && connection.ends != [other, one] {
                continue;
            }
            if connection.state == State::Closed {
                continue;
            }
            for way in &mut connection.ways {
                way.drain(&mut self.kernel.segments);
            }
            for end in 0..2 {
                self.send_break(index as u32, end, Closure::Reset, now);
            }
        }
    }

    /// From now on holds back messages as `hold` says, by stalling the connections that carry them.
    pub fn hold(&mut self, hold: Hold) -> HoldId {
        self.kernel.holds.push(Some(hold));
        HoldId(self.kernel.holds.len() as u32 - 1)
    }

    /// Ends a hold; what it held arrives now, in order.
    pub fn release(&mut self, id: HoldId) {
        if let Some(hold) = self.kernel.holds.get_mut(id.0 as usize) {
            *hold = None;
        }
        if self.kernel.holds.iter().all(Option::is_none) {
            self.kernel.holds.clear();
        }
        for index in 0..self.kernel.connections.len() {
            for way in 0..2 {
                let state = &mut self.kernel.connections[index].ways[way];
                if std::mem::replace(&mut state.held, false) {
                    for _ in 0..std::mem::take(&mut state.overdue) {
                        let event = crate::kernel::Event::Deliver {
                            way: way as u8,
                            connection: index as u32,
                        };
                        self.process(event);
                    }
                }
            }
        }
    }

    /// A machine's clocks, to step, shift or drift them.
    pub fn clock_mut(&mut self, node: NodeId) -> &mut Clock {
        &mut self.kernel.machine_mut(node).clock
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

/// The process is gone; the machine's network stack closes its connections.
pub(crate) fn end_process<P: Protocol>(kernel: &mut Kernel<P>, node: NodeId) {
    let machine = kernel.machine_mut(node);
    machine.status = Status::Down;
    machine.forget();
    for_open_ends(kernel, node, |kernel, index, end| {
        kernel.transmit(index, end, Carried::Finish);
    });
}

/// The machine is gone; nobody is told. Bytes that were not yet through go with it.
fn end_power<P: Protocol>(kernel: &mut Kernel<P>, node: NodeId) {
    let machine = kernel.machine_mut(node);
    machine.status = Status::Off;
    machine.forget();
    for_open_ends(kernel, node, |kernel, index, end| {
        let way = &mut kernel.connections[index as usize].ways[end];
        if way.blocked {
            way.drain(&mut kernel.segments);
        }
    });
}

fn for_open_ends<P: Protocol>(
    kernel: &mut Kernel<P>,
    node: NodeId,
    mut then: impl FnMut(&mut Kernel<P>, u32, usize),
) {
    let incarnation = kernel.machine(node).incarnation;
    for index in 0..kernel.connections.len() {
        for end in 0..2 {
            let connection = &mut kernel.connections[index];
            if connection.ends[end] != node
                || connection.incarnations[end] != incarnation
                || std::mem::replace(&mut connection.closed[end], true)
            {
                continue;
            }
            connection.ways[1 - end].drain(&mut kernel.segments);
            if connection.state == State::Established {
                then(kernel, index as u32, end);
            }
        }
    }
}
