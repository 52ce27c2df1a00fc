//! `RangeAssignor`: topic by topic, contiguous shares. Where racks tell partitions apart, members first get what has
//! a replica in their rack, topics with as many partitions and the same members together (KIP-881).

use super::{Group, Member, Tp, racks_matter};

/// `TopicAssignmentState`.
struct Topic {
    rank: usize,
    /// In the order of their turn.
    consumers: Vec<Member>,
    /// Whether some consumer has a rack; only then Kafka looks at those of partitions.
    has_racks: bool,
    racks_matter: bool,
    unassigned: Vec<Tp>,
    /// By place in `consumers`.
    assigned: Vec<usize>,
    share: usize,
    extra: isize,
}

impl Topic {
    fn new(group: &Group<'_>, rank: usize) -> Self {
        let wants = |member: &Member| group.wanted[*member].contains(&rank);
        let consumers = group.sorted_by_instance((0..group.members.len()).filter(wants));
        let count = group.topics[rank].partitions.len();
        let racks: Vec<u16> = consumers
            .iter()
            .filter_map(|member| group.members[*member].subscription.rack)
            .collect();
        let each = || group.partitions(rank).map(|partition| group.racks(partition));
        let mut all: Vec<u16> = each().flatten().copied().collect();
        all.sort();
        all.dedup();
        Topic {
            rank,
            has_racks: !racks.is_empty(),
            racks_matter: racks_matter(&racks, &all, each()),
            unassigned: group.partitions(rank).collect(),
            assigned: vec![0; consumers.len()],
            share: count / consumers.len(),
            extra: (count % consumers.len()) as isize,
            consumers,
        }
    }

    /// How many more a consumer may get.
    fn room(&self, place: usize) -> usize {
        (self.share + usize::from(self.extra > 0)).saturating_sub(self.assigned[place])
    }

    fn give(&mut self, place: usize, partitions: &[Tp], given: &mut [Vec<Tp>]) {
        given[self.consumers[place]].extend_from_slice(partitions);
        self.assigned[place] += partitions.len();
        if self.assigned[place] > self.share {
            self.extra -= 1;
        }
        self.unassigned
            .retain(|partition| !partitions.contains(partition));
    }

    fn matches(&self, group: &Group<'_>, place: usize, partition: Tp) -> bool {
        let rack = group.members[self.consumers[place]].subscription.rack;
        rack.is_none_or(|rack| self.has_racks && group.racks(partition).contains(&rack))
    }

    fn give_ranges(&mut self, may: impl Fn(&Topic, usize, Tp) -> bool, given: &mut [Vec<Tp>]) {
        for place in 0..self.consumers.len() {
            let fitting = self
                .unassigned
                .iter()
                .filter(|partition| may(self, place, **partition));
            let partitions: Vec<Tp> = fitting.take(self.room(place)).copied().collect();
            if !partitions.is_empty() {
                self.give(place, &partitions, given);
            }
        }
    }
}

pub(super) fn assign(group: &Group<'_>) -> Vec<Vec<Tp>> {
    let mut given = vec![Vec::new(); group.members.len()];
    let mut topics: Vec<Topic> = (0..group.topics.len())
        .map(|rank| Topic::new(group, rank))
        .collect();
    if topics.iter().any(|topic| topic.racks_matter) {
        with_racks(group, &mut topics, &mut given);
    }
    for topic in &mut topics {
        topic.give_ranges(|_, _, _| true, &mut given);
    }
    given
}

/// Topics with the same consumers and as many partitions go together (`assignWithRackMatching`).
fn with_racks(group: &Group<'_>, topics: &mut [Topic], given: &mut [Vec<Tp>]) {
    let count = |topic: &Topic| match topic.has_racks {
        true => group.topics[topic.rank].partitions.len(),
        false => 0,
    };
    let mut done = vec![false; topics.len()];
    for first in 0..topics.len() {
        if done[first] {
            continue;
        }
        let together: Vec<usize> = (first..topics.len())
            .filter(|other| {
                topics[*other].consumers == topics[first].consumers
                    && count(&topics[*other]) == count(&topics[first])
            })
            .collect();
        for other in &together {
            done[*other] = true;
        }
        if together.len() > 1 {
            let partitions = count(&topics[first]);
            give_together(group, topics, &together, partitions, given);
        } else if topics[first].racks_matter {
            topics[first].give_ranges(
                |topic, place, partition| topic.matches(group, place, partition),
                given,
            );
        }
    }
}

/// Each index of all topics goes to the first consumer whose rack has replicas of all of them.
fn give_together(
    group: &Group<'_>,
    topics: &mut [Topic],
    together: &[usize],
    partitions: usize,
    given: &mut [Vec<Tp>],
) {
    let mut left: Vec<usize> = (0..topics[together[0]].consumers.len()).collect();
    for index in 0..partitions {
        let fits = |place: &usize| {
            together.iter().all(|number| {
                let topic = &topics[*number];
                let partition = Tp {
                    topic: topic.rank,
                    index,
                };
                topic.matches(group, *place, partition) && topic.room(*place) > 0
            })
        };
        let Some(place) = left.iter().copied().find(fits) else {
            continue;
        };
        for number in together {
            let partition = Tp {
                topic: topics[*number].rank,
                index,
            };
            topics[*number].give(place, &[partition], given);
        }
        if together.iter().all(|number| topics[*number].room(place) == 0) {
            left.retain(|other| *other != place);
        }
    }
}
