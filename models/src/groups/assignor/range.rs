//! `range` (`RangeAssignor`).

use super::{GroupSpec, Target};
use crate::groups::assignor::int_set::IntSet;

/// A topic while its partitions are given out.
#[derive(Clone, Copy, Default)]
struct Ranges {
    members: u32,
    /// Members that still get one more than the others.
    extra: u32,
    next: u32,
}

pub(super) fn assign(group: &GroupSpec) -> Vec<Target> {
    let mut order: Vec<usize> = (0..group.members.len()).collect();
    // Static members first, by their instance ids: they keep their place when they come back.
    order.sort_by_key(|place| {
        let member = &group.members[*place];
        (member.instance.is_none(), member.instance, member.id)
    });
    // If all are said to subscribe to the same topics, the first one is asked.
    let subscribed = |place: usize| match (group.homogeneous, order.first()) {
        (true, Some(first)) => &group.members[*first].subscribed,
        _ => &group.members[place].subscribed,
    };
    let mut topics = vec![Ranges::default(); group.topics.len()];
    for topic in order.iter().flat_map(|place| subscribed(*place)) {
        topics[*topic].members += 1;
    }
    for (ranges, topic) in topics.iter_mut().zip(&group.topics) {
        ranges.extra = topic.count().checked_rem(ranges.members).unwrap_or(0);
    }
    let mut targets = vec![Target::new(); group.members.len()];
    for place in &order {
        for topic in subscribed(*place) {
            let (ranges, count) = (&mut topics[*topic], group.topics[*topic].count());
            let share = count / ranges.members + u32::from(ranges.extra > 0);
            ranges.extra = ranges.extra.saturating_sub(1);
            let range = ranges.next..(ranges.next + share).min(count);
            ranges.next = range.end;
            if !range.is_empty() {
                targets[*place].insert(*topic, IntSet::from_list(range.collect()));
            }
        }
    }
    targets
}
