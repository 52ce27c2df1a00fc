//! Consumer groups on their coordinator: the state machine of one partition of `__consumer_offsets`
//! (`GroupCoordinatorShard` with `GroupMetadataManager` and `OffsetMetadataManager`).
//!
//! Pure: it decides from a request and its own state which records to write, what to answer to whom and which timers
//! to set. `broker::coordinator` runs it: appends the records, holds answers back until they are committed, takes
//! back what could not be appended.
//!
//! | what | where | kept how |
//! |---|---|---|
//! | groups by id | [`shard`] | with an undo log (Kafka: `TimelineHashMap`) |
//! | committed offsets | [`offsets`] | with an undo log |
//! | a consumer group (KIP-848) | [`consumer`], `assignor` | with the undo log of the groups |
//! | a classic group's members, state and generation | [`classic`] | as they are: Kafka does not roll them back either, it mends them when an append fails |
//!
//! Share and Streams groups and transactional offsets are not here.

mod assignor;
pub mod classic;
mod commit;
pub mod consumer;
pub mod effects;
pub mod group;
pub mod offsets;
pub mod operations;
pub mod records;
pub mod refusal;
pub mod shard;
#[cfg(test)]
mod testing;
pub mod timeline;

pub use effects::{Around, Effects, ResponseId, TimerChange, Written};
pub use group::Group;
pub use operations::{Append, GroupRequest, GroupTimeout, GroupTimer};
pub use records::{CoordinatorRecord, GroupMetadataValue, MemberMetadata, OffsetCommitValue};
pub use shard::GroupShard;

/// Which partition of `__consumer_offsets` keeps a group: `Utils.abs(groupId.hashCode()) % partitions`
/// (`GroupCoordinatorService.partitionFor`).
pub fn partition_of(name: &str, partitions: u32) -> u32 {
    let units = name.encode_utf16();
    let hash = units.fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    // Utils.abs: the smallest number becomes 0.
    let positive = if hash == i32::MIN { 0 } else { hash.unsigned_abs() };
    positive % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    #[test]
    fn a_group_lives_where_java_hashes_its_name_to() {
        // Values of java.lang.String.hashCode: "" 0, "billing" -109829509, "polygenelubricants" the smallest number.
        assert_eq!(partition_of("", 50), 0);
        assert_eq!(partition_of("billing", 50), 9);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("billing", 1), 0);
    }
}
