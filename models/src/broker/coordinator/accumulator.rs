//! Events that wait for a thread (`EventAccumulator`).

use std::collections::VecDeque;

use crate::ids::{PartitionId, PartitionMap};

#[derive(Debug)]
struct Queue<E> {
    events: VecDeque<E>,
    /// A thread works on an event of this partition.
    in_flight: bool,
}

/// Events by partition: those of one partition run one after the other.
#[derive(Debug)]
pub struct Accumulator<E> {
    queues: PartitionMap<Queue<E>>,
    /// Partitions with events on which no thread works.
    available: Vec<PartitionId>,
}

impl<E> Default for Accumulator<E> {
    fn default() -> Self {
        Accumulator {
            queues: PartitionMap::default(),
            available: Vec::new(),
        }
    }
}

impl<E> Accumulator<E> {
    fn queue(&mut self, partition: PartitionId) -> &mut Queue<E> {
        let queue = self.queues.get_or_insert_with(partition, || Queue {
            events: VecDeque::new(),
            in_flight: false,
        });
        if queue.events.is_empty() && !queue.in_flight {
            self.available.push(partition);
        }
        queue
    }

    /// Behind all other events of the partition.
    pub fn add_last(&mut self, partition: PartitionId, event: E) {
        self.queue(partition).events.push_back(event);
    }

    /// Before all other events of the partition.
    pub fn add_first(&mut self, partition: PartitionId, event: E) {
        self.queue(partition).events.push_front(event);
    }

    /// How many partitions a thread can choose from.
    pub fn available(&self) -> usize {
        self.available.len()
    }

    /// The next event of one of them.
    pub fn poll(&mut self, choice: usize) -> (PartitionId, E) {
        let partition = self.available.swap_remove(choice);
        let queue = self.queues.get_mut(partition).expect("it is available");
        queue.in_flight = true;
        let event = queue.events.pop_front();
        (partition, event.expect("an available partition has events"))
    }

    /// The thread is done with its event.
    pub fn done(&mut self, partition: PartitionId) {
        let queue = self.queues.get_mut(partition).expect("it was polled");
        queue.in_flight = false;
        if !queue.events.is_empty() {
            self.available.push(partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_never_work_on_one_partition() {
        let (one, other) = (PartitionId(1), PartitionId(2));
        let mut events = Accumulator::default();
        events.add_last(one, 'a');
        events.add_last(one, 'b');
        events.add_last(other, 'c');
        assert_eq!(events.available(), 2);
        assert_eq!(events.poll(0), (one, 'a'));
        assert_eq!(events.poll(0), (other, 'c'));
        assert_eq!(events.available(), 0, "b waits for a");
        events.add_first(one, 'd');
        events.done(one);
        assert_eq!(events.poll(0), (one, 'd'));
    }
}
