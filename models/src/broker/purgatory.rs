//! Requests that wait for something (`DelayedOperationPurgatory`): watched by partition, given up at a deadline.
//!
//! Whoever moves what they wait for looks through the partition's list; an operation is completed once, by the one
//! who takes it out. Deadlines are monotonic (`SystemTimer`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ktrial_sim::Time;

use crate::ids::{PartitionId, PartitionMap};

/// Names a parked operation. The number is never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    number: u32,
    slot: u32,
}

struct Slot<T> {
    number: u32,
    operation: Option<T>,
}

/// Parked operations of one kind.
pub struct Purgatory<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    parked: usize,
    next: u32,
    watchers: PartitionMap<Vec<Ticket>>,
    deadlines: BinaryHeap<Reverse<(Time, Ticket)>>,
}

impl<T> Default for Purgatory<T> {
    fn default() -> Self {
        Purgatory {
            slots: Vec::new(),
            free: Vec::new(),
            parked: 0,
            next: 0,
            watchers: PartitionMap::default(),
            deadlines: BinaryHeap::new(),
        }
    }
}

impl<T> Purgatory<T> {
    /// Parks an operation until `deadline` under the keys given.
    pub fn park(&mut self, operation: T, keys: impl Iterator<Item = PartitionId>, deadline: Time) -> Ticket {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                number: 0,
                operation: None,
            });
            self.slots.len() as u32 - 1
        });
        self.next += 1;
        let ticket = Ticket {
            number: self.next,
            slot,
        };
        self.slots[slot as usize] = Slot {
            number: ticket.number,
            operation: Some(operation),
        };
        self.parked += 1;
        for key in keys {
            let list = self.watchers.get_or_insert_with(key, Vec::new);
            while list.last().is_some_and(|last| !is_parked(&self.slots, *last)) {
                list.pop();
            }
            if list.len() >= 16 && list.len().is_power_of_two() {
                list.retain(|watcher| is_parked(&self.slots, *watcher));
            }
            list.push(ticket);
        }
        if self.deadlines.len() > 2 * self.parked + 64 {
            let slots = &self.slots;
            self.deadlines
                .retain(|Reverse((_, waiting))| is_parked(slots, *waiting));
        }
        self.deadlines.push(Reverse((deadline, ticket)));
        ticket
    }

    /// Lists the operations that watch a partition, oldest first.
    pub fn watching(&mut self, partition: PartitionId, tickets: &mut Vec<Ticket>) {
        tickets.clear();
        if let Some(list) = self.watchers.get_mut(partition) {
            list.retain(|watcher| is_parked(&self.slots, *watcher));
            tickets.extend_from_slice(list);
        }
    }

    /// An operation that is still parked.
    pub fn get_mut(&mut self, ticket: Ticket) -> Option<&mut T> {
        let slot = self.slots.get_mut(ticket.slot as usize)?;
        if slot.number != ticket.number {
            return None;
        }
        slot.operation.as_mut()
    }

    /// Takes an operation out, to complete it.
    pub fn take(&mut self, ticket: Ticket) -> Option<T> {
        let slot = self.slots.get_mut(ticket.slot as usize)?;
        if slot.number != ticket.number {
            return None;
        }
        let operation = slot.operation.take()?;
        self.free.push(ticket.slot);
        self.parked -= 1;
        Some(operation)
    }

    /// Puts back what was taken out a moment ago and could not be completed.
    pub fn put_back(&mut self, ticket: Ticket, operation: T) {
        let slot = &mut self.slots[ticket.slot as usize];
        assert!(
            slot.number == ticket.number
                && slot.operation.is_none()
                && self.free.last() == Some(&ticket.slot),
            "only what was taken out last goes back"
        );
        slot.operation = Some(operation);
        self.free.pop();
        self.parked += 1;
    }

    /// Takes out the next operation whose deadline has come.
    pub fn expire(&mut self, now: Time) -> Option<T> {
        while let Some(Reverse((deadline, ticket))) = self.deadlines.peek().copied() {
            if !is_parked(&self.slots, ticket) {
                self.deadlines.pop();
            } else if deadline <= now {
                self.deadlines.pop();
                return self.take(ticket);
            } else {
                break;
            }
        }
        None
    }

    /// The earliest deadline of what is parked.
    pub fn next_deadline(&mut self) -> Option<Time> {
        while let Some(Reverse((deadline, ticket))) = self.deadlines.peek().copied() {
            if is_parked(&self.slots, ticket) {
                return Some(deadline);
            }
            self.deadlines.pop();
        }
        None
    }

    /// How many operations are parked (`PurgatorySize`).
    pub fn len(&self) -> usize {
        self.parked
    }

    /// Whether nothing is parked.
    pub fn is_empty(&self) -> bool {
        self.parked == 0
    }

    /// Forgets all of them: a new process.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
        self.parked = 0;
        self.watchers.clear();
        self.deadlines.clear();
    }
}

fn is_parked<T>(slots: &[Slot<T>], ticket: Ticket) -> bool {
    slots[ticket.slot as usize].number == ticket.number && slots[ticket.slot as usize].operation.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PartitionId = PartitionId(0);
    const B: PartitionId = PartitionId(3);

    #[test]
    fn an_operation_is_completed_once_though_two_partitions_watch_it() {
        let mut purgatory = Purgatory::default();
        let ticket = purgatory.park("both", [A, B].into_iter(), Time(10));
        let mut tickets = Vec::new();
        purgatory.watching(A, &mut tickets);
        assert_eq!(tickets, [ticket]);
        assert_eq!(purgatory.take(ticket), Some("both"));
        assert_eq!(purgatory.take(ticket), None);
        purgatory.watching(B, &mut tickets);
        assert!(tickets.is_empty());
    }

    #[test]
    fn a_ticket_does_not_name_the_next_operation_in_its_slot() {
        let mut purgatory = Purgatory::default();
        let first = purgatory.park(1, [A].into_iter(), Time(10));
        purgatory.take(first);
        purgatory.park(2, [A].into_iter(), Time(10));
        assert_eq!(purgatory.get_mut(first), None);
        assert_eq!(purgatory.take(first), None);
    }

    #[test]
    fn operations_expire_in_order_of_their_deadlines_and_completed_ones_never() {
        let mut purgatory = Purgatory::default();
        purgatory.park(1, [A].into_iter(), Time(30));
        let done = purgatory.park(2, [A].into_iter(), Time(10));
        purgatory.park(3, [B].into_iter(), Time(20));
        purgatory.take(done);
        assert_eq!(purgatory.next_deadline(), Some(Time(20)));
        assert_eq!(purgatory.expire(Time(19)), None);
        assert_eq!(purgatory.expire(Time(40)), Some(3));
        assert_eq!(purgatory.expire(Time(40)), Some(1));
        assert_eq!(purgatory.expire(Time(40)), None);
        assert!(purgatory.is_empty());
    }

    #[test]
    fn lists_forget_what_is_completed() {
        let mut purgatory = Purgatory::default();
        for number in 0..10_000 {
            let ticket = purgatory.park(number, [A, B].into_iter(), Time(number));
            purgatory.take(ticket);
        }
        assert!(purgatory.watchers.get(A).unwrap().len() <= 16);
        assert!(purgatory.deadlines.len() <= 66);
    }
}
