//! `ConsumerCoordinator.MetadataSnapshot`: what the leader compares to see that its assignment is out of date.

use smallvec::SmallVec;

use crate::client::Metadata;

/// Racks of a partition's replicas, sorted; none for a replica whose broker is down or has none.
type Racks = SmallVec<[Option<u16>; 4]>;

/// The partitions of the group's topics as they were.
#[derive(Clone, Debug, Default)]
pub(super) struct MetadataSnapshot {
    version: u32,
    topics: Vec<(u16, Vec<Racks>)>,
}

impl MetadataSnapshot {
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    /// `with_racks`: the member has one itself.
    pub(super) fn of(metadata: &Metadata, topics: &[u16], with_racks: bool) -> Self {
        let racks = |partition: &crate::client::CachedPartition| -> Racks {
            if !with_racks {
                return Racks::new();
            }
            let mut racks: Racks = partition.replicas.iter().map(|one| metadata.rack(*one)).collect();
            racks.sort();
            racks.dedup();
            racks
        };
        let known = |topic: &u16| {
            let partitions = metadata.partitions(*topic)?;
            Some((*topic, partitions.iter().map(racks).collect()))
        };
        MetadataSnapshot {
            version: metadata.version(),
            topics: topics.iter().filter_map(known).collect(),
        }
    }

    pub(super) fn matches(&self, other: &MetadataSnapshot) -> bool {
        self.version == other.version || self.topics == other.topics
    }
}
