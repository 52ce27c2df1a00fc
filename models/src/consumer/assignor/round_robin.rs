//! `RoundRobinAssignor`: all partitions in order, one to each member in turn that wants its topic.

use super::{Group, Tp};

pub(super) fn assign(group: &Group<'_>) -> Vec<Vec<Tp>> {
    let mut given = vec![Vec::new(); group.members.len()];
    let members = group.sorted_by_instance(0..group.members.len());
    let mut turns = members.iter().cycle().peekable();
    for partition in group.all() {
        while turns
            .next_if(|member| !group.wanted[**member].contains(&partition.topic))
            .is_some()
        {}
        let member = turns.next().expect("a cycle does not end");
        given[*member].push(partition);
    }
    given
}
