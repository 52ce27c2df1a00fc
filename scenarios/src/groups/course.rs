//! How a group came along: who owned its partitions, how long they lay unread, how its LAG went.

use ktrial_models::ids::{Offset, PartitionId, PartitionMap};
use ktrial_sim::{Duration, NodeId, Time};

use super::GroupCounts;

/// How often LAG is looked at.
const EVERY: Duration = Duration::secs(1);

/// One group's course through a trial.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    partitions: PartitionMap<Followed>,
    moved: u64,
    unread_max: Duration,
    /// When a member was assigned partitions for the first time.
    since: Option<Time>,
    drained: Option<Duration>,
    lags: Line,
    next_look: Time,
}

/// What is known of one of the group's partitions.
#[derive(Clone, Copy, Debug, Default)]
struct Followed {
    owner: Option<NodeId>,
    reading: Option<Reading>,
}

/// A partition of which a member was given something.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// The next record that is to be given out.
    position: Offset,
    /// Since when there is one and nobody was given any.
    unread: Option<Time>,
}

impl Course {
    /// A member was assigned partitions that it did not own before.
    pub(super) fn assigned(&mut self, at: Time, member: NodeId, added: &[PartitionId]) {
        if !added.is_empty() {
            self.since.get_or_insert(at);
        }
        for partition in added {
            let followed = self.followed(*partition);
            let before = followed.owner.replace(member);
            self.moved += u64::from(before.is_some_and(|before| before != member));
        }
    }

    /// A member was given what stands before `position`; the partition may be read to `end`.
    pub(super) fn polled(&mut self, at: Time, partition: PartitionId, position: Offset, end: Option<Offset>) {
        let before = self.followed(partition).reading.replace(Reading {
            position,
            unread: end.filter(|end| position < *end).map(|_| at),
        });
        if let Some(since) = before.and_then(|before| before.unread) {
            self.unread_max = self.unread_max.max(at.since(since));
        }
    }

    /// A partition may be read to here.
    pub(super) fn readable(&mut self, at: Time, partition: PartitionId, end: Offset) {
        if let Some(followed) = self.partitions.get_mut(partition)
            && let Some(reading) = &mut followed.reading
            && reading.position < end
        {
            reading.unread.get_or_insert(at);
        }
    }

    /// Positions were committed. `lag`: of a partition, by what is committed; none if nothing is and there is something
    /// to be read.
    pub(super) fn committed(&mut self, at: Time, lag: impl Fn(PartitionId) -> Option<u64>) {
        let Some(since) = self.since.filter(|_| self.drained.is_none()) else {
            return;
        };
        let left = |partition| lag(partition) != Some(0);
        if !self.partitions.iter().any(|(partition, _)| left(partition)) {
            self.drained = Some(at.since(since));
        }
    }

    /// A producer sends while the group has this LAG, all partitions together.
    pub(super) fn sent(&mut self, at: Time, lag: impl FnOnce() -> Option<u64>) {
        if at >= self.next_look
            && let Some(lag) = lag()
        {
            self.lags.point(at.0 / 1_000_000, lag);
            self.next_look = at + EVERY;
        }
    }

    /// What it came to, until now.
    pub(super) fn count(&self, now: Time, counts: &mut GroupCounts) {
        let readings = self.partitions.iter().filter_map(|(_, one)| one.reading);
        let unread = readings.filter_map(|reading| Some(now.since(reading.unread?)));
        let unread = unread.max().unwrap_or_default();
        counts.partitions_moved = self.moved;
        counts.unread_max_ns = self.unread_max.max(unread).0;
        counts.lag_growth = self.lags.rise(60_000);
        counts.drained_ns = self.drained.map(|drained| drained.0);
    }

    fn followed(&mut self, partition: PartitionId) -> &mut Followed {
        if self.partitions.get(partition).is_none() {
            self.partitions.insert(partition, Followed::default());
        }
        self.partitions.get_mut(partition).expect("it was inserted")
    }
}

/// The straight line through points that lies nearest to them, by least squares.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    points: i128,
    x: i128,
    y: i128,
    xx: i128,
    xy: i128,
}

impl Line {
    fn point(&mut self, x: u64, y: u64) {
        let (x, y) = (i128::from(x), i128::from(y));
        self.points += 1;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
    }

    /// How much it rises over so much of x, rounded down; 0 if it falls, or if there are not two points.
    fn rise(&self, over: u64) -> u64 {
        let spread = self.points * self.xx - self.x * self.x;
        let slope = self.points * self.xy - self.x * self.y;
        match spread > 0 && slope > 0 {
            true => u64::try_from(slope * i128::from(over) / spread).unwrap_or(u64::MAX),
            false => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P0: PartitionId = PartitionId(0);
    const P1: PartitionId = PartitionId(1);
    const BILL1: NodeId = NodeId(8);
    const BILL2: NodeId = NodeId(9);

    fn at(second: u64) -> Time {
        Time(second * 1_000_000_000)
    }

    fn counts(course: &Course, second: u64) -> GroupCounts {
        let mut counts = GroupCounts::default();
        course.count(at(second), &mut counts);
        counts
    }

    #[test]
    fn a_partition_has_moved_when_another_member_gets_it_than_the_last_one() {
        let mut course = Course::default();
        course.assigned(at(1), BILL1, &[P0, P1]);
        // An eager rebalance gives everything up, and the same member gets it back.
        course.assigned(at(2), BILL1, &[P0]);
        course.assigned(at(2), BILL2, &[P1]);
        assert_eq!(counts(&course, 3).partitions_moved, 1);
        course.assigned(at(4), BILL1, &[P1]);
        assert_eq!(counts(&course, 5).partitions_moved, 2);
    }

    #[test]
    fn a_partition_is_unread_from_its_first_record_that_nobody_was_given_until_somebody_is() {
        let mut course = Course::default();
        course.readable(at(1), P0, Offset(5));
        // Until somebody was given something of it nobody says where reading begins.
        course.polled(at(10), P0, Offset(5), Some(Offset(5)));
        assert_eq!(counts(&course, 20).unread_max_ns, 0);
        course.readable(at(20), P0, Offset(6));
        course.readable(at(25), P0, Offset(7));
        course.polled(at(27), P0, Offset(7), Some(Offset(7)));
        assert_eq!(counts(&course, 40).unread_max_ns, at(7).0);
        // At the end it lasts on.
        course.readable(at(40), P0, Offset(8));
        assert_eq!(counts(&course, 49).unread_max_ns, at(9).0);
    }

    #[test]
    fn a_group_has_drained_when_for_the_first_time_nothing_is_left_in_any_partition() {
        let mut course = Course::default();
        course.assigned(at(3), BILL1, &[P0]);
        course.assigned(at(4), BILL2, &[P1]);
        course.committed(at(5), |partition| (partition == P0).then_some(0));
        assert_eq!(counts(&course, 6).drained_ns, None);
        course.committed(at(7), |partition| Some(u64::from(partition == P1)));
        course.committed(at(9), |_| Some(0));
        course.committed(at(11), |_| Some(0));
        assert_eq!(counts(&course, 12).drained_ns, Some(at(6).0));
    }

    #[test]
    fn lag_grows_by_the_slope_of_what_was_seen_of_it_while_producers_sent() {
        let mut course = Course::default();
        // 15 records a second, and a commit every three seconds that takes the rest down.
        for second in 0..30 {
            course.sent(at(second), || Some(15 * second + 25 * (second % 3)));
            // In the same second nobody looks again.
            course.sent(at(second) + Duration::millis(500), || Some(10_000));
        }
        let growth = counts(&course, 30).lag_growth;
        assert!((890..=920).contains(&growth), "{growth}");
        let mut falling = Course::default();
        for second in 0..30 {
            falling.sent(at(second), || Some(100 - second));
        }
        assert_eq!(counts(&falling, 30).lag_growth, 0);
    }
}
