//! Timers: one slot each, postponed without touching the queue.

use crate::event::Event;
use crate::kernel::Kernel;
use crate::machine::TimerState;
use crate::node::{NodeId, Protocol, TimerSlot};
use crate::time::{Duration, Time};

impl<P: Protocol> Kernel<P> {
    /// Sets a timer that runs out when the machine's monotonic clock has advanced by `after`.
    #[inline]
    pub(crate) fn set_timer_after(&mut self, node: NodeId, slot: TimerSlot, after: Duration) {
        let machine = &self.machines[node.0 as usize];
        let deadline = machine.clock.after(self.now, after);
        self.set_timer(node, slot, deadline);
    }

    #[inline]
    fn set_timer(&mut self, node: NodeId, slot: TimerSlot, deadline: Time) {
        let timers = &mut self.machines[node.0 as usize].timers;
        if let Some(timer) = timers.get_mut(slot.0 as usize)
            && timer.queued <= deadline
        {
            // The event queued earlier will find the new deadline and queue itself again: postponing costs nothing.
            timer.deadline = deadline;
        } else {
            self.queue_timer(node, slot, deadline);
        }
    }

    /// Sets a timer for which no event is queued that would come in time.
    #[inline(never)]
    fn queue_timer(&mut self, node: NodeId, slot: TimerSlot, deadline: Time) {
        let index = slot.0 as usize;
        let timers = &mut self.machines[node.0 as usize].timers;
        if index >= timers.len() {
            timers.resize(index + 1, TimerState::UNSET);
        }
        timers[index].deadline = deadline;
        self.queue_for_deadline(node, slot);
    }

    /// Sees to it that an event comes in time for a timer's deadline.
    fn queue_for_deadline(&mut self, node: NodeId, slot: TimerSlot) {
        let timer = &mut self.machines[node.0 as usize].timers[slot.0 as usize];
        let deadline = timer.deadline;
        if deadline < timer.queued {
            timer.queued_behind = timer.queued_behind.min(timer.queued);
            timer.queued = deadline;
            self.push(
                deadline,
                Event::Timer {
                    node: node.0,
                    slot: slot.0,
                },
            );
        }
    }

    pub(crate) fn clear_timer(&mut self, node: NodeId, slot: TimerSlot) {
        if let Some(timer) = self.machine_mut(node).timers.get_mut(slot.0 as usize) {
            timer.deadline = Time::NEVER;
        }
    }

    pub(crate) fn timer_deadline(&self, node: NodeId, slot: TimerSlot) -> Option<Time> {
        let timer = self.machine(node).timers.get(slot.0 as usize)?;
        (timer.deadline != Time::NEVER).then_some(timer.deadline)
    }

    /// Whether the event just popped for a timer means that the timer has run out.
    #[inline]
    pub(crate) fn timer_due(&mut self, node: NodeId, slot: TimerSlot) -> bool {
        let now = self.now;
        let timer = &mut self.machine_mut(node).timers[slot.0 as usize];
        if timer.queued != now {
            return false;
        }
        timer.queued = std::mem::replace(&mut timer.queued_behind, Time::NEVER);
        let due = timer.deadline <= now;
        if !due {
            self.queue_for_deadline(node, slot);
        }
        due
    }

    /// Takes a timer that has run out. False if it was set anew or cleared meanwhile.
    #[inline]
    pub(crate) fn take_timer(&mut self, node: NodeId, slot: TimerSlot) -> bool {
        let now = self.now;
        match self.machine_mut(node).timers.get_mut(slot.0 as usize) {
            Some(timer) if timer.deadline <= now => {
                timer.deadline = Time::NEVER;
                true
            }
            _ => false,
        }
    }

    /// Lets a machine's clocks run differently from now on. Its timers still run out when the monotonic clock
    /// shows what they were set for.
    pub(crate) fn set_drift(&mut self, node: NodeId, ppm: i32) {
        let now = self.now;
        let machine = self.machine_mut(node);
        let before = machine.clock;
        machine.clock.set_drift(now, ppm);
        let after = machine.clock;
        for slot in 0..self.machine(node).timers.len() {
            let deadline = self.machine(node).timers[slot].deadline;
            if deadline != Time::NEVER && deadline > now {
                let left = before.monotonic(deadline).since(before.monotonic(now));
                self.set_timer(node, TimerSlot(slot as u16), after.after(now, left));
            }
        }
    }
}
