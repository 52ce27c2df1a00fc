//! `AbstractStickyAssignor.RackInfo`.

use super::super::{Group, Member, Tp, racks_matter};

/// What racks are known for.
pub(super) struct Racks<'a> {
    group: &'a Group<'a>,
    /// Whether racks are asked at all.
    pub(super) matter: bool,
    some_member_has_one: bool,
}

impl<'a> Racks<'a> {
    pub(super) fn new(group: &'a Group<'a>) -> Self {
        let consumers: Vec<u16> = group
            .members
            .iter()
            .filter_map(|member| member.subscription.rack)
            .collect();
        let each = || group.all().map(|partition| group.racks(partition));
        let mut all: Vec<u16> = each().flatten().copied().collect();
        all.sort();
        all.dedup();
        Racks {
            group,
            matter: racks_matter(&consumers, &all, each()),
            some_member_has_one: !consumers.is_empty(),
        }
    }

    /// A member's rack if racks are asked.
    pub(super) fn of(&self, member: Member) -> Option<u16> {
        self.group.members[member]
            .subscription
            .rack
            .filter(|_| self.matter)
    }

    pub(super) fn mismatch(&self, member: Member, partition: Tp) -> bool {
        self.of(member)
            .is_some_and(|rack| !self.group.racks(partition).contains(&rack))
    }

    /// Partitions with few members in their racks first, whether or not racks are asked.
    pub(super) fn sort_by_consumers(&self, partitions: &mut [Tp]) {
        if !self.some_member_has_one {
            return;
        }
        let members = &self.group.members;
        partitions.sort_by_key(|partition| {
            let racks = self.group.racks(*partition);
            let near = |rack: u16| racks.contains(&rack);
            members
                .iter()
                .filter(|member| member.subscription.rack.is_some_and(near))
                .count()
        });
    }

    /// The place of the next member in a rack of the partition, from `first` around.
    pub(super) fn next_consumer(&self, partition: Tp, members: &[Member], first: usize) -> Option<usize> {
        let racks = self.group.racks(partition);
        (0..members.len())
            .map(|step| (first + step) % members.len())
            .find(|place| self.of(members[*place]).is_some_and(|rack| racks.contains(&rack)))
    }
}
