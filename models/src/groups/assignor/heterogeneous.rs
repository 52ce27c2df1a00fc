//! `uniform`, where members subscribe to different topics (`UniformHeterogeneousAssignmentBuilder`): what is left is
//! given to whoever has least, then partitions move, topic by topic, from those that have most.

use std::cmp::Ordering;

use super::int_set::IntSet;
use super::{GroupSpec, Target};

/// How often the topics are gone through; with subscriptions that overlap it need not come to an end by itself.
const MAX_ITERATIONS: usize = 16;

struct Builder<'a> {
    group: &'a GroupSpec,
    targets: Vec<Target>,
    /// How many partitions each member has.
    sizes: Vec<i64>,
    /// Who subscribes to each topic, in order.
    subscribers: Vec<Vec<usize>>,
    /// Who is to have each partition of each topic.
    owners: Vec<Vec<Option<usize>>>,
}

pub(super) fn assign(group: &GroupSpec) -> Vec<Target> {
    let mut builder = Builder::new(group);
    builder.keep();
    builder.assign_the_rest();
    builder.balance();
    builder.targets
}

impl<'a> Builder<'a> {
    fn new(group: &'a GroupSpec) -> Self {
        let mut subscribers = vec![Vec::new(); group.topics.len()];
        for (place, member) in group.members.iter().enumerate() {
            for topic in &member.subscribed {
                subscribers[*topic].push(place);
            }
        }
        let owners = group
            .topics
            .iter()
            .map(|topic| vec![None; topic.count() as usize]);
        Builder {
            group,
            targets: vec![Target::new(); group.members.len()],
            sizes: vec![0; group.members.len()],
            subscribers,
            owners: owners.collect(),
        }
    }

    /// Members keep what they had of the topics they subscribe to.
    fn keep(&mut self) {
        for (place, member) in self.group.members.iter().enumerate() {
            for (topic, before) in &member.assigned {
                if member.subscribed.contains(topic) {
                    self.sizes[place] += before.len() as i64;
                    for index in before.in_order() {
                        self.owners[*topic][index as usize] = Some(place);
                    }
                    self.targets[place].insert(*topic, before.clone());
                }
            }
        }
    }

    /// Most partitions per subscriber first, then fewest subscribers.
    fn compare_topics(&self, one: usize, other: usize) -> Ordering {
        let of = |topic: usize| {
            let count = u64::from(self.group.topics[topic].count());
            (count, self.subscribers[topic].len() as u64)
        };
        let ((count, members), (other_count, other_members)) = (of(one), of(other));
        (other_count * members)
            .cmp(&(count * other_members))
            .then(members.cmp(&other_members))
            .then(one.cmp(&other))
    }

    fn assign_the_rest(&mut self) {
        let unassigned = |topic: &usize| self.owners[*topic].contains(&None);
        let mut topics: Vec<usize> = (0..self.group.topics.len()).filter(unassigned).collect();
        topics.sort_by(|one, other| self.compare_topics(*one, *other));
        for topic in topics {
            let mut balancer = Balancer::new(&self.subscribers[topic], &self.sizes);
            for index in 0..self.owners[topic].len() {
                if self.owners[topic][index].is_none() {
                    let member = balancer.next_least_loaded(&self.sizes);
                    self.give(topic, index, member);
                }
            }
        }
    }

    /// `balanceTopics`: until a whole round has changed nothing.
    fn balance(&mut self) {
        let shared = |topic: &usize| self.subscribers[*topic].len() >= 2;
        let mut topics: Vec<usize> = (0..self.group.topics.len()).filter(shared).collect();
        topics.sort_by(|one, other| self.compare_topics(*one, *other));
        let mut last_changed = None;
        for _ in 0..MAX_ITERATIONS {
            for (place, topic) in topics.iter().enumerate() {
                if last_changed == Some(place) {
                    return;
                }
                if self.balance_topic(*topic) || last_changed.is_none() {
                    last_changed = Some(place);
                }
            }
        }
    }

    fn balance_topic(&mut self, topic: usize) -> bool {
        let mut balancer = Balancer::new(&self.subscribers[topic], &self.sizes);
        if balancer.imbalance(&self.sizes) <= 1 {
            return false;
        }
        // What each member can give away, the last first.
        let mut owned: Vec<Vec<usize>> = vec![Vec::new(); self.sizes.len()];
        for (index, owner) in self.owners[topic].iter().enumerate() {
            owned[owner.expect("all partitions are assigned by now")].push(index);
        }
        let mut changed = false;
        while !balancer.is_balanced() {
            let index = loop {
                let Some(member) = balancer.next_most_loaded(&self.sizes) else {
                    return changed;
                };
                match owned[member].pop() {
                    Some(index) => break index,
                    None => balancer.exclude_most_loaded(),
                }
            };
            let member = balancer.next_least_loaded(&self.sizes);
            if balancer.is_balanced() {
                break;
            }
            self.give(topic, index, member);
            changed = true;
        }
        changed
    }

    fn give(&mut self, topic: usize, index: usize, member: usize) {
        let number = index as u32;
        if let Some(before) = self.owners[topic][index].replace(member) {
            let target = &mut self.targets[before];
            let set = target.get_mut(&topic).expect("it has the partition");
            set.remove(number);
            if set.is_empty() {
                target.remove(&topic);
            }
            self.sizes[before] -= 1;
        }
        let (count, members) = (self.owners[topic].len(), self.subscribers[topic].len());
        let set = self.targets[member]
            .entry(topic)
            .or_insert_with(|| IntSet::with_capacity(count.div_ceil(members) * 4 / 3 + 1));
        set.add(number);
        self.sizes[member] += 1;
    }
}

/// Members in order of how much they have, with the range of those that have least and of those that have most
/// (`MemberAssignmentBalancer`).
struct Balancer {
    sorted: Vec<usize>,
    /// `[0, least_end)` have least.
    least_end: usize,
    least_count: i64,
    next_least: usize,
    /// `[most_start, most_end)` have most, of those that have something to give.
    most_start: usize,
    most_end: usize,
    most_count: i64,
    /// The place behind the next one to give something away.
    behind_next_most: usize,
}

impl Balancer {
    fn new(members: &[usize], sizes: &[i64]) -> Self {
        let mut sorted = members.to_vec();
        sorted.sort_by_key(|member| (sizes[*member], *member));
        let (first, last) = (sorted[0], sorted[sorted.len() - 1]);
        Balancer {
            least_end: 0,
            least_count: sizes[first] - 1,
            next_least: 0,
            most_start: sorted.len(),
            most_end: sorted.len(),
            most_count: sizes[last] + 1,
            behind_next_most: sorted.len(),
            sorted,
        }
    }

    fn imbalance(&self, sizes: &[i64]) -> i64 {
        sizes[self.sorted[self.sorted.len() - 1]] - sizes[self.sorted[0]]
    }

    fn is_balanced(&self) -> bool {
        self.most_count - self.least_count <= 1
    }

    /// Who is to get the next partition. Once all of the range have got one, it reaches further.
    fn next_least_loaded(&mut self, sizes: &[i64]) -> usize {
        if self.next_least >= self.least_end {
            self.least_count += 1;
            while self.least_end < self.sorted.len() && sizes[self.sorted[self.least_end]] == self.least_count
            {
                self.least_end += 1;
            }
            self.next_least = 0;
        }
        self.next_least += 1;
        self.sorted[self.next_least - 1]
    }

    /// Who is to give the next partition away; none: nobody can.
    fn next_most_loaded(&mut self, sizes: &[i64]) -> Option<usize> {
        if self.behind_next_most <= self.most_start {
            if self.most_end <= self.most_start && self.most_start > 0 {
                // All of the range had nothing to give.
                self.most_count = sizes[self.sorted[self.most_start - 1]];
            } else {
                self.most_count -= 1;
            }
            while self.most_start > 0 && sizes[self.sorted[self.most_start - 1]] == self.most_count {
                self.most_start -= 1;
            }
            self.behind_next_most = self.most_end;
        }
        if self.behind_next_most == 0 {
            return None;
        }
        self.behind_next_most -= 1;
        Some(self.sorted[self.behind_next_most])
    }

    /// The one who was to give has nothing of this topic.
    fn exclude_most_loaded(&mut self) {
        self.most_end -= 1;
        self.sorted.swap(self.behind_next_most, self.most_end);
    }
}
