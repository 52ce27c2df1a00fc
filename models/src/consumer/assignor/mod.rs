//! Who of a group gets which partitions: `RangeAssignor`, `RoundRobinAssignor`, `StickyAssignor`,
//! `CooperativeStickyAssignor`.
//!
//! The leader of a generation calls one of them with everything it knows: the partitions in its metadata, with the
//! racks of their replicas, and what each member said when it joined.
//!
//! | assignor | protocol | what it does |
//! |---|---|---|
//! | range | eager | topic by topic, contiguous shares to members in order; racks first where they differ |
//! | roundrobin | eager | all partitions in order, one to each member in turn |
//! | sticky | eager | as even as can be, members keep what they had |
//! | cooperative-sticky | cooperative, eager | the same; what another member still owns is left out this time |
//!
//! The order of members in a Java `HashMap` decides some of the sticky assignors' choices: it is worked out from the
//! hashes of their ids ([`java`]). Results are sets: the order in which an assignor lists a member's partitions reaches
//! nobody, because consumers sort what they are assigned (`ConsumerCoordinator.onJoinComplete`).
//! `cases.txt` holds what Kafka's own classes assign, made by `Cases.java`.

mod cooperative;
mod java;
mod range;
mod round_robin;
mod sticky;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::ids::{GenerationId, GroupInstanceId, PartitionId};
use crate::protocol::Subscription;

pub use crate::protocol::Assignor;

/// When members give partitions up (`ConsumerPartitionAssignor.RebalanceProtocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RebalanceProtocol {
    /// All of them, before they join.
    Eager,
    /// Those that go to others, after the assignment; then they join again (KIP-429).
    Cooperative,
}

/// The assignor that a class name in `partition.assignment.strategy` means.
pub fn assignor_of_class(class: &str) -> Option<Assignor> {
    match class.strip_prefix("org.apache.kafka.clients.consumer.")? {
        "RangeAssignor" => Some(Assignor::Range),
        "RoundRobinAssignor" => Some(Assignor::RoundRobin),
        "StickyAssignor" => Some(Assignor::Sticky),
        "CooperativeStickyAssignor" => Some(Assignor::CooperativeSticky),
        _ => None,
    }
}

/// The protocol of a member that lists `assignors`: the highest that all of them support
/// (`ConsumerCoordinator`'s constructor).
pub fn protocol_of(assignors: &[Assignor]) -> RebalanceProtocol {
    match assignors
        .iter()
        .all(|assignor| *assignor == Assignor::CooperativeSticky)
    {
        true => RebalanceProtocol::Cooperative,
        false => RebalanceProtocol::Eager,
    }
}

/// A partition as the leader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignablePartition {
    /// Its number in the cluster.
    pub partition: PartitionId,
    /// The racks of its replicas, those of brokers that are down left out.
    pub racks: SmallVec<[u16; 4]>,
}

/// A topic as the leader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignableTopic {
    /// Its number in the specification.
    pub topic: u16,
    /// Its name: assignors go by the order of names.
    pub name: String,
    /// Its partitions in order of their index.
    pub partitions: Vec<AssignablePartition>,
}

/// A member as the leader is told of it (`ConsumerPartitionAssignor.Subscription`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// The text of its member id.
    pub member: String,
    /// `group.instance.id`.
    pub instance: Option<GroupInstanceId>,
    /// What it said when it joined.
    pub subscription: Arc<Subscription>,
}

/// Kafka's assignor throws here: the leader's `poll` fails with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssignorThrows;

/// A partition as assignors sort it: by the rank of its topic's name, then by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Tp {
    topic: usize,
    index: usize,
}

/// A member by the rank of its id.
type Member = usize;

/// A group as assignors look at it: members by the rank of their ids, topics by the rank of their names.
struct Group<'a> {
    topics: Vec<&'a AssignableTopic>,
    members: Vec<&'a GroupMember>,
    /// Wanted topics that there are, in the order in which each member names them.
    wanted: Vec<Vec<usize>>,
    /// Members in the order of a Java `HashMap`.
    hashed: Vec<Member>,
    places: BTreeMap<PartitionId, Tp>,
}

impl<'a> Group<'a> {
    fn new(topics: &'a [AssignableTopic], given: &'a [GroupMember]) -> Self {
        let wanted = |topic: &&AssignableTopic| {
            let wants = |member: &GroupMember| member.subscription.topics.contains(&topic.topic);
            !topic.partitions.is_empty() && given.iter().any(wants)
        };
        let mut topics: Vec<&AssignableTopic> = topics.iter().filter(wanted).collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        let mut members: Vec<&GroupMember> = given.iter().collect();
        members.sort_by(|one, other| one.member.cmp(&other.member));
        let rank = |number: &u16| topics.iter().position(|topic| topic.topic == *number);
        let wanted = members
            .iter()
            .map(|member| member.subscription.topics.iter().filter_map(rank).collect())
            .collect();
        let order = java::hash_map_order(given.iter().map(|one| java::string_hash(&one.member)));
        let hashed = order.into_iter().map(|place| {
            let id = &given[place].member;
            members.partition_point(|member| member.member < *id)
        });
        let mut places = BTreeMap::new();
        for (rank, topic) in topics.iter().enumerate() {
            for (index, partition) in topic.partitions.iter().enumerate() {
                places.insert(partition.partition, Tp { topic: rank, index });
            }
        }
        Group {
            hashed: hashed.collect(),
            wanted,
            places,
            members,
            topics,
        }
    }

    fn partitions(&self, topic: usize) -> impl Iterator<Item = Tp> + use<> {
        (0..self.topics[topic].partitions.len()).map(move |index| Tp { topic, index })
    }

    fn all(&self) -> impl Iterator<Item = Tp> {
        (0..self.topics.len()).flat_map(|topic| self.partitions(topic))
    }

    fn racks(&self, partition: Tp) -> &[u16] {
        &self.topics[partition.topic].partitions[partition.index].racks
    }

    fn known(&self, partitions: &[PartitionId]) -> Vec<Tp> {
        partitions
            .iter()
            .filter_map(|partition| self.places.get(partition).copied())
            .collect()
    }

    /// Members in order of instance id, then those without one by member id (`MemberInfo.compareTo`).
    fn sorted_by_instance(&self, members: impl Iterator<Item = Member>) -> Vec<Member> {
        let mut sorted: Vec<Member> = members.collect();
        sorted.sort_by_key(|member| {
            let instance = self.members[*member].instance;
            (instance.is_none(), instance, *member)
        });
        sorted
    }

    fn id(&self, partition: Tp) -> PartitionId {
        self.topics[partition.topic].partitions[partition.index].partition
    }
}

/// Whether racks tell partitions apart (`AbstractPartitionAssignor.useRackAwareAssignment`). Sets are sorted.
fn racks_matter<'a>(consumers: &[u16], partitions: &[u16], each: impl Iterator<Item = &'a [u16]>) -> bool {
    consumers.iter().any(|rack| partitions.contains(rack))
        && !set_of(each).all(|racks| racks.as_slice() == partitions)
}

fn set_of<'a>(each: impl Iterator<Item = &'a [u16]>) -> impl Iterator<Item = SmallVec<[u16; 4]>> {
    each.map(|racks| {
        let mut set: SmallVec<[u16; 4]> = SmallVec::from_slice(racks);
        set.sort();
        set.dedup();
        set
    })
}

/// A member's assignors with what they keep from one assignment to the next.
#[derive(Clone, Debug)]
pub struct Assignors {
    /// `AbstractStickyAssignor.maxGeneration` of the sticky and the cooperative one.
    newest: [GenerationId; 2],
}

impl Default for Assignors {
    fn default() -> Self {
        Assignors {
            newest: [GenerationId::NONE; 2],
        }
    }
}

impl Assignors {
    /// What each member gets, in the order of `members`, sorted.
    ///
    /// # Errors
    ///
    /// Where Kafka's class throws: a general sticky assignment in which a former owner can no longer take part.
    pub fn assign(
        &mut self,
        assignor: Assignor,
        topics: &[AssignableTopic],
        members: &[GroupMember],
    ) -> Result<Vec<Vec<PartitionId>>, AssignorThrows> {
        let group = Group::new(topics, members);
        let given = match assignor {
            Assignor::Range => range::assign(&group),
            Assignor::RoundRobin => round_robin::assign(&group),
            Assignor::Sticky => sticky::assign(&group, &mut self.newest[0], assignor)?.given,
            Assignor::CooperativeSticky => cooperative::assign(&group, &mut self.newest[1])?,
        };
        let of = |member: &GroupMember| {
            let rank = group
                .members
                .partition_point(|other| other.member < member.member);
            let mut partitions: Vec<Tp> = given[rank].clone();
            partitions.sort();
            partitions
                .into_iter()
                .map(|partition| group.id(partition))
                .collect()
        };
        Ok(members.iter().map(of).collect())
    }
}
