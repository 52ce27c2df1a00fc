//! `uniform`, where all members subscribe to the same topics (`UniformHomogeneousAssignmentBuilder`).

use super::{GroupSpec, Target};

pub(super) fn assign(group: &GroupSpec) -> Vec<Target> {
    let mut targets = vec![Target::new(); group.members.len()];
    let Some(subscribed) = group.members.first().map(|member| &member.subscribed) else {
        return targets;
    };
    let total: u32 = subscribed.iter().map(|topic| group.topics[*topic].count()).sum();
    let mut unassigned: Vec<(usize, u32)> = Vec::new();
    for topic in subscribed {
        let assigned = group.topics[*topic].assigned.iter().zip(0..);
        let free = assigned.filter(|(assigned, _)| !**assigned);
        unassigned.extend(free.map(|(_, index)| (*topic, index)));
    }
    let members = group.members.len() as u32;
    let least = total / members;
    // Members that still get one more than the others.
    let mut extra = total % members;
    let mut unfilled: Vec<(usize, u32)> = Vec::new();
    for (place, member) in group.members.iter().enumerate() {
        let mut takes_extra = extra > 0;
        let mut quota = least + u32::from(takes_extra);
        for (topic, before) in &member.assigned {
            if !subscribed.contains(topic) {
                continue;
            }
            let mut kept = before.clone();
            if before.len() as u32 <= quota {
                quota -= before.len() as u32;
            } else {
                for index in before.in_order() {
                    if quota > 0 {
                        quota -= 1;
                    } else {
                        kept.remove(index);
                        unassigned.push((*topic, index));
                    }
                }
            }
            if !kept.is_empty() {
                targets[place].insert(*topic, kept);
            }
        }
        // Who has no use for one more leaves it to another, unless the rest of the members all must take one.
        if quota > 0 && takes_extra && members - place as u32 > extra {
            quota -= 1;
            takes_extra = false;
        }
        if quota > 0 {
            unfilled.push((place, quota));
        }
        extra -= u32::from(takes_extra);
    }
    let mut unassigned = unassigned.into_iter();
    for (place, quota) in unfilled {
        for (topic, index) in unassigned.by_ref().take(quota as usize) {
            targets[place].entry(topic).or_default().add(index);
        }
    }
    assert_eq!(unassigned.next(), None, "the quotas add up to all partitions");
    targets
}
