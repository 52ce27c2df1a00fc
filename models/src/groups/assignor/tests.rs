//! Groups followed by hand.

use super::*;

/// A group of members with these topics, over topics of so many partitions.
struct Bench {
    counts: Vec<u32>,
    /// Id, instance, topics.
    members: Vec<(u64, Option<u16>, Vec<usize>)>,
    targets: BTreeMap<MemberId, Assignment>,
}

impl Bench {
    fn new(counts: &[u32]) -> Self {
        Bench {
            counts: counts.to_vec(),
            members: Vec::new(),
            targets: BTreeMap::new(),
        }
    }

    fn with(mut self, member: u64, topics: &[usize]) -> Self {
        self.members.push((member, None, topics.to_vec()));
        self.members.sort_unstable();
        self
    }

    /// The topics have room for a thousand partitions each.
    fn specification(&self) -> GroupSpec {
        let wanted = |topic: u32| {
            let mut members = self.members.iter();
            members.any(|(_, _, topics)| topics.contains(&(topic as usize)))
        };
        let counts = self.counts.iter().zip(0..).filter(|(_, topic)| wanted(*topic));
        let topics = counts.map(|(count, topic)| {
            let partitions = (0..*count).map(|index| PartitionId(topic * 1_000 + index));
            TopicSpec::new(TopicId(topic as u16), partitions.collect())
        });
        let homogeneous = self.members.windows(2).all(|pair| pair[0].2 == pair[1].2);
        let mut specification = GroupSpec::new(topics.collect(), homogeneous);
        for target in self.targets.values() {
            specification.mark_assigned(target);
        }
        for (id, instance, topics) in &self.members {
            let before = self.targets.get(&MemberId(*id)).cloned().unwrap_or_default();
            let assigned = specification.by_topic(&before);
            specification.members.push(MemberSpec {
                id: MemberId(*id),
                instance: instance.map(GroupInstanceId),
                subscribed: topics
                    .iter()
                    .filter_map(|topic| specification.topic(TopicId(*topic as u16)))
                    .collect(),
                assigned,
            });
        }
        specification
    }

    /// Assigns, and keeps what changed, as a group does.
    fn assign(&mut self, assignor: ServerAssignor) {
        let known: Vec<u64> = self.members.iter().map(|(id, ..)| *id).collect();
        self.targets.retain(|id, _| known.contains(&id.0));
        let specification = self.specification();
        for (id, target) in assign(assignor, &specification) {
            let target = specification.partitions_of(&target);
            let mut new: Vec<_> = target.to_vec();
            let mut old: Option<Vec<_>> = self.targets.get(&id).map(|old| old.to_vec());
            new.sort_unstable();
            old.iter_mut().for_each(|old| old.sort_unstable());
            if old != Some(new) {
                self.targets.insert(id, target);
            }
        }
    }

    /// What a member is to have, as topic * 1000 + index, in the order of the set that Kafka reads from the record.
    fn has(&self, member: u64) -> Vec<u32> {
        let specification = self.specification();
        let target = specification.by_topic(&self.targets[&MemberId(member)]);
        let partitions = specification.partitions_of(&target);
        partitions.iter().map(|partition| partition.0).collect()
    }
}

#[test]
fn uniform_shares_differ_by_one_and_members_keep_what_fits() {
    let mut group = Bench::new(&[4, 3]).with(1, &[0, 1]).with(2, &[0, 1]);
    group.assign(ServerAssignor::Uniform);
    // Whoever has no use for one more yet leaves it to the last.
    assert_eq!(
        (group.has(1), group.has(2)),
        (vec![0, 1, 2], vec![3, 1_000, 1_001, 1_002])
    );
    // Seven partitions for three: the first keeps its three, the others have two each.
    let mut group = group.with(3, &[0, 1]);
    group.assign(ServerAssignor::Uniform);
    assert_eq!(group.has(1), [0, 1, 2]);
    assert_eq!(group.has(2), [3, 1_000]);
    assert_eq!(group.has(3), [1_001, 1_002]);
    // What one leaves goes to the others in order, up to their shares.
    group.members.retain(|(id, ..)| *id != 1);
    group.assign(ServerAssignor::Uniform);
    assert_eq!(group.has(2), [0, 3, 1_000]);
    assert_eq!(group.has(3), [1, 2, 1_001, 1_002]);
}

#[test]
fn uniform_leaves_the_larger_shares_to_those_who_have_them() {
    // 1 has two, 2 has three, and there are five: 1 does not take the one more that it could.
    let mut group = Bench::new(&[5]).with(1, &[0]).with(2, &[0]);
    let own = |list: &[u32]| -> Assignment { list.iter().map(|index| PartitionId(*index)).collect() };
    group.targets.insert(MemberId(1), own(&[3, 4]));
    group.targets.insert(MemberId(2), own(&[0, 1, 2]));
    group.assign(ServerAssignor::Uniform);
    assert_eq!((group.has(1), group.has(2)), (vec![3, 4], vec![0, 1, 2]));
}

#[test]
fn what_a_member_keeps_of_too_much_is_what_comes_first_in_javas_set() {
    // In a table of 16 buckets, 16 and 32 come before 1.
    let mut group = Bench::new(&[40]).with(1, &[0]).with(2, &[0]);
    let of = |list: &[u32]| -> Assignment { list.iter().map(|index| PartitionId(*index)).collect() };
    group.targets.insert(MemberId(1), of(&[1, 16, 32]));
    assert_eq!(group.has(1), [16, 32, 1]);
    let mut set = IntSet::default();
    [1, 17, 16, 3].into_iter().for_each(|index| set.add(index));
    assert_eq!(set.in_order(), [16, 1, 17, 3]);
    (20..29).for_each(|index| set.add(index));
    assert_eq!(
        set.in_order()[..4],
        [1, 3, 16, 17],
        "with 13 elements the table has 32 buckets"
    );
}

#[test]
fn range_gives_the_same_range_of_every_topic_and_the_first_members_more() {
    let mut group = Bench::new(&[3, 3]).with(1, &[0, 1]).with(2, &[0, 1]);
    group.assign(ServerAssignor::Range);
    assert_eq!(
        (group.has(1), group.has(2)),
        (vec![0, 1, 1_000, 1_001], vec![2, 1_002])
    );
}

#[test]
fn range_goes_by_instance_ids_first() {
    let mut group = Bench::new(&[3]).with(1, &[0]).with(2, &[0]).with(3, &[0]);
    group.members[1].1 = Some(9);
    group.members[2].1 = Some(4);
    group.assign(ServerAssignor::Range);
    assert_eq!(
        (group.has(3), group.has(2), group.has(1)),
        (vec![0], vec![1], vec![2])
    );
}

#[test]
fn range_counts_only_those_who_subscribe_to_a_topic() {
    let mut group = Bench::new(&[4, 4]).with(1, &[0]).with(2, &[0, 1]).with(3, &[1]);
    group.assign(ServerAssignor::Range);
    assert_eq!(group.has(1), [0, 1]);
    assert_eq!(group.has(2), [2, 3, 1_000, 1_001]);
    assert_eq!(group.has(3), [1_002, 1_003]);
}

#[test]
fn uniform_gives_whoever_has_least_of_what_it_subscribes_to() {
    // The second topic, with more partitions for each subscriber, goes first, to 2 alone. 1 gets of the first one
    // until it has as many, then they take turns.
    let mut group = Bench::new(&[6, 4]).with(1, &[0]).with(2, &[0, 1]);
    group.assign(ServerAssignor::Uniform);
    assert_eq!(group.has(1), [0, 1, 2, 3, 4]);
    assert_eq!(group.has(2), [5, 1_000, 1_001, 1_002, 1_003]);
    // 3 comes for the first topic: whoever has most of it, gives its last ones away.
    let mut group = group.with(3, &[0]);
    group.assign(ServerAssignor::Uniform);
    let sizes = [1, 2, 3].map(|member| group.has(member).len());
    assert_eq!(sizes, [3, 4, 3]);
}
