//! Records that an application with a worker has in hand: returned by polls, not finished with, and not given up.
//!
//! A worker takes records in the order in which polls returned them. What its listener drops when partitions are given
//! up (`given_up: drop`) is no more in hand, but for the record the worker is at: the first.

use std::collections::VecDeque;

use ktrial_models::ids::{Offset, PartitionId};
use ktrial_models::specification::GivenUp;
use ktrial_sim::Time;

/// Records of one partition that a poll returned.
#[derive(Clone, Debug)]
struct Taken {
    partition: PartitionId,
    /// The first that is not done with.
    from: Offset,
    /// Behind the last.
    to: Offset,
    at: Time,
}

/// What one application has in hand.
#[derive(Clone, Debug)]
pub(super) struct InHand {
    /// In the order of polls.
    taken: VecDeque<Taken>,
    given_up: GivenUp,
    /// The most records at any time.
    pub(super) most: u64,
}

impl InHand {
    pub(super) fn new(given_up: GivenUp) -> Self {
        InHand {
            taken: VecDeque::new(),
            given_up,
            most: 0,
        }
    }

    /// A process begins, or ended without a word.
    pub(super) fn forget(&mut self) {
        self.taken.clear();
    }

    pub(super) fn polled(&mut self, partition: PartitionId, from: Offset, count: u32, at: Time) {
        self.taken.push_back(Taken {
            partition,
            from,
            to: from.plus(u64::from(count)),
            at,
        });
        let counts = self.taken.iter().map(|taken| taken.to.0 - taken.from.0);
        self.most = self.most.max(counts.sum());
    }

    /// The worker is done with records: when a poll had returned them, if that is known.
    pub(super) fn done_with(&mut self, partition: PartitionId, from: Offset, count: u32) -> Option<Time> {
        let has = |taken: &Taken| taken.partition == partition && (taken.from..taken.to).contains(&from);
        let place = self.taken.iter().position(has)?;
        self.taken.drain(..place);
        let taken = self.taken.front_mut()?;
        let at = taken.at;
        taken.from = from.plus(u64::from(count));
        if taken.from == taken.to {
            self.taken.pop_front();
        }
        Some(at)
    }

    /// Partitions are given up or lost.
    pub(super) fn given_up(&mut self, partitions: &[PartitionId]) {
        if self.given_up == GivenUp::Finish {
            return;
        }
        let given_up = |taken: &Taken| partitions.contains(&taken.partition);
        let first = self.taken.front().filter(|first| given_up(first)).cloned();
        self.taken.retain(|taken| !given_up(taken));
        if let Some(first) = first {
            let to = first.from.plus(1);
            self.taken.push_front(Taken { to, ..first });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: PartitionId = PartitionId(1);
    const OTHER: PartitionId = PartitionId(2);

    /// Ten records of one partition, returned in the first second, and five of another one, returned in the third.
    fn in_hand(given_up: GivenUp) -> InHand {
        let mut in_hand = InHand::new(given_up);
        in_hand.polled(ONE, Offset(0), 10, Time(1));
        in_hand.polled(OTHER, Offset(50), 5, Time(3));
        in_hand
    }

    #[test]
    fn a_record_is_in_work_since_the_poll_that_returned_it() {
        let mut in_hand = in_hand(GivenUp::Drop);
        assert_eq!(in_hand.done_with(ONE, Offset(0), 1), Some(Time(1)));
        // What stands before it was left out.
        assert_eq!(in_hand.done_with(OTHER, Offset(52), 1), Some(Time(3)));
        assert_eq!(in_hand.done_with(ONE, Offset(1), 1), None);
        in_hand.polled(ONE, Offset(10), 1, Time(4));
        assert_eq!(in_hand.most, 15);
    }

    #[test]
    fn of_what_is_given_up_only_the_record_at_hand_stays() {
        let mut dropped = in_hand(GivenUp::Drop);
        dropped.done_with(ONE, Offset(0), 1);
        dropped.given_up(&[ONE]);
        // It comes again, and is in work for the second time.
        dropped.polled(ONE, Offset(0), 10, Time(5));
        assert_eq!(dropped.done_with(ONE, Offset(1), 1), Some(Time(1)));
        assert_eq!(dropped.done_with(OTHER, Offset(50), 5), Some(Time(3)));
        assert_eq!(dropped.done_with(ONE, Offset(1), 1), Some(Time(5)));
        assert_eq!(dropped.most, 16);
    }

    #[test]
    fn who_finishes_what_is_given_up_keeps_it_in_hand() {
        let mut kept = in_hand(GivenUp::Finish);
        kept.given_up(&[ONE, OTHER]);
        kept.polled(ONE, Offset(0), 10, Time(5));
        assert_eq!(kept.most, 25);
        assert_eq!(kept.done_with(ONE, Offset(9), 1), Some(Time(1)));
    }
}
