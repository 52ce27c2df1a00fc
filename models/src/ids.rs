//! The numbers Kafka gives to things, each a type of its own.

use std::fmt;

use ktrial_sim::NodeId;
use smallvec::SmallVec;

/// Kafka's `node.id` of a broker or controller. It is also the number of the simulated machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u16);

impl ServerId {
    /// The machine it runs on.
    pub fn node(self) -> NodeId {
        NodeId(self.0)
    }
}

impl From<NodeId> for ServerId {
    fn from(node: NodeId) -> Self {
        ServerId(node.0)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Replicas, an ISR, an ELR: ordered where the order means something (assignments), sorted where it does not.
pub type Servers = SmallVec<[ServerId; 8]>;

macro_rules! number {
    ($(#[$documentation:meta])* $name:ident($inner:ty)) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A partition of a topic instance, cluster-wide and dense: the controller numbers partitions as it creates
    /// them. It stands for (topic id, partition index) in requests, so a topic created again has other numbers,
    /// as it has another topic id (KIP-516).
    PartitionId(u32)
);
number!(
    /// An instance of a topic: which specification of the scenario it was created from, and the how manieth topic
    /// of the cluster it is. Stands for the topic id (KIP-516).
    TopicId(u16)
);
number!(
    /// A record's position in a partition.
    Offset(u64)
);
number!(
    /// Counts the leaders a partition has had.
    LeaderEpoch(u32)
);
number!(
    /// Counts the changes of a partition's metadata.
    PartitionEpoch(u32)
);
number!(
    /// The end of the metadata log when a broker's registration was handled: the offset of its registration
    /// record, unless records that clean up after its former process come before it in the same batch.
    BrokerEpoch(u64)
);
number!(
    /// Raft's term of the metadata quorum: which controller is active.
    QuorumEpoch(u32)
);
number!(
    /// Names a process of a broker: its incarnation id in registrations (a random UUID in Kafka).
    IncarnationId(u64)
);
number!(
    /// Names a log directory as it was formatted: a disk that was replaced has another one.
    DirectoryId(u64)
);
number!(
    /// An idempotent producer's id.
    ProducerId(u64)
);

number!(
    /// A group (`group.id`), by its number among the scenario's groups
    /// ([`crate::specification::ClusterSpecification::groups`]).
    GroupId(u16)
);
number!(
    /// A `group.instance.id` (KIP-345). Instance ids and client ids of a trial are numbered together, in the order of
    /// their texts.
    GroupInstanceId(u16)
);
number!(
    /// A `client.id`, numbered like [`GroupInstanceId`].
    ClientId(u16)
);
number!(
    /// A member of a group. Kafka's id is the instance id (of a static member) or the client id, a dash, and a random
    /// UUID: the upper 16 bits are the number of the former, the others are drawn. So ids sort as Kafka's texts do.
    /// A member of the consumer protocol draws its id itself, once in the life of its process, and all of it
    /// (KIP-1082: `Uuid.randomUuid`).
    MemberId(u64)
);
number!(
    /// Counts the rebalances of a classic group. Where Kafka's field is `GenerationIdOrMemberEpoch`, a member's epoch
    /// stands here too ([`MemberEpoch::generation`]).
    GenerationId(i32)
);
number!(
    /// Counts the changes of a consumer group (KIP-848) that its assignment must follow. A new group begins with 1.
    GroupEpoch(i32)
);
number!(
    /// How far a member of a consumer group (KIP-848) has followed the group's epoch. In a request also
    /// [`MemberEpoch::JOIN`], [`MemberEpoch::LEAVE`] and [`MemberEpoch::LEAVE_STATIC`].
    MemberEpoch(i32)
);

impl MemberId {
    /// The id of a new member: `prefix` is the number of its instance id or client id.
    pub fn generate(prefix: u16, drawn: u64) -> MemberId {
        MemberId(u64::from(prefix) << 48 | drawn >> 16)
    }
}

impl GroupEpoch {
    /// The epoch after a change.
    pub fn next(self) -> GroupEpoch {
        GroupEpoch(self.0 + 1)
    }

    /// The epoch of a member that has followed as far as this.
    pub fn reached(self) -> MemberEpoch {
        MemberEpoch(self.0)
    }
}

impl MemberEpoch {
    /// `JOIN_GROUP_MEMBER_EPOCH`: joins, for the first time or after it was fenced.
    pub const JOIN: MemberEpoch = MemberEpoch(0);
    /// `LEAVE_GROUP_MEMBER_EPOCH`: leaves for good.
    pub const LEAVE: MemberEpoch = MemberEpoch(-1);
    /// `LEAVE_GROUP_STATIC_MEMBER_EPOCH`: a static member leaves and will come back.
    pub const LEAVE_STATIC: MemberEpoch = MemberEpoch(-2);

    /// Where a field carries either (`GenerationIdOrMemberEpoch` of a commit, `MemberEpoch` of an OffsetFetch).
    pub fn generation(self) -> GenerationId {
        GenerationId(self.0)
    }
}

impl GenerationId {
    /// The other way round, on a coordinator that found a consumer group.
    pub fn member_epoch(self) -> MemberEpoch {
        MemberEpoch(self.0)
    }

    /// `UNKNOWN_GENERATION_ID`: of no generation.
    pub const NONE: GenerationId = GenerationId(-1);
}

impl Offset {
    /// The offset `count` behind this one.
    #[inline]
    pub fn plus(self, count: u64) -> Offset {
        Offset(self.0 + count)
    }
}

impl DirectoryId {
    /// `DirectoryId.UNASSIGNED`: nobody knows yet in which directory of its broker a replica is. Counts as online, as
    /// MIGRATING does, which clusters with ZooKeeper left behind. LOST, for a directory that failed before the
    /// controller knew what was in it, needs a broker with several.
    pub const UNASSIGNED: DirectoryId = DirectoryId(0);

    /// The id that formatting gives to the log directory on the `generation`th disk of a server.
    pub fn formatted(server: ServerId, generation: u32) -> DirectoryId {
        DirectoryId(u64::from(server.0) << 32 | u64::from(generation))
    }
}

impl QuorumEpoch {
    /// The epoch of the next election.
    pub fn next(self) -> QuorumEpoch {
        QuorumEpoch(self.0 + 1)
    }
}

impl LeaderEpoch {
    /// The epoch of the next leader.
    pub fn next(self) -> LeaderEpoch {
        LeaderEpoch(self.0 + 1)
    }
}

/// A record as its application knows it: which producer, and its how manieth send (from 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The machine of the producer.
    pub producer: NodeId,
    /// Counts the producer's sends from 0, over restarts of its process too.
    pub number: u32,
}

/// A dense table over partitions.
#[derive(Clone, Debug)]
pub struct PartitionMap<T>(Vec<Option<T>>);

impl<T> Default for PartitionMap<T> {
    fn default() -> Self {
        PartitionMap(Vec::new())
    }
}

impl<T> PartitionMap<T> {
    /// The entry of a partition.
    #[inline]
    pub fn get(&self, partition: PartitionId) -> Option<&T> {
        self.0.get(partition.0 as usize)?.as_ref()
    }

    /// The entry of a partition, to change it.
    #[inline]
    pub fn get_mut(&mut self, partition: PartitionId) -> Option<&mut T> {
        self.0.get_mut(partition.0 as usize)?.as_mut()
    }

    /// Sets the entry of a partition and returns the one before.
    pub fn insert(&mut self, partition: PartitionId, value: T) -> Option<T> {
        let index = partition.0 as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index].replace(value)
    }

    /// The entry of a partition, made if it is not there.
    pub fn get_or_insert_with(&mut self, partition: PartitionId, make: impl FnOnce() -> T) -> &mut T {
        let index = partition.0 as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index].get_or_insert_with(make)
    }

    /// Takes the entry of a partition out.
    pub fn remove(&mut self, partition: PartitionId) -> Option<T> {
        self.0.get_mut(partition.0 as usize)?.take()
    }

    /// Forgets all entries, keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The number after the largest that an entry was set for.
    pub fn numbers(&self) -> u32 {
        self.0.len() as u32
    }

    /// All entries in order of their partition.
    pub fn iter(&self) -> impl Iterator<Item = (PartitionId, &T)> {
        self.0
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| Some((PartitionId(index as u32), entry.as_ref()?)))
    }

    /// All entries in order of their partition, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (PartitionId, &mut T)> {
        let entries = self.0.iter_mut().enumerate();
        entries.filter_map(|(index, entry)| Some((PartitionId(index as u32), entry.as_mut()?)))
    }
}
