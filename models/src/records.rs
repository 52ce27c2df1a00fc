//! Records and batches: who wrote what, not the bytes of it.

use std::collections::BTreeMap;

use ktrial_sim::{Arena, Entry, NodeId, Time};

use crate::application::Outside;
use crate::groups::CoordinatorRecord;
use crate::groups::records::CoordinatorRecordKey;
use crate::ids::{LeaderEpoch, Offset, PartitionId, ProducerId, QuorumEpoch, RecordId, TopicId};
use crate::metadata::MetadataRecord;
use crate::protocol::{Boxes, FetchRequest, FetchResponse, QuorumFetchRequest, QuorumFetchResponse};

/// A record: identity, key, size and timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who wrote it.
    pub id: RecordId,
    /// Its key, if it has one: the number `k` stands for the key `"k{number}"`.
    pub key: Option<u32>,
    /// Key, value and record overhead, in bytes, as the first record of a batch.
    pub bytes: u32,
    /// CreateTime, by the producer's wall clock.
    pub timestamp: Time,
}

/// Records of one batch: a stretch of the trial's arena, never changed once written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Where they start.
    pub start: u32,
    /// How many there are.
    pub count: u32,
}

/// Everything messages and disks of a trial refer to.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    records: Vec<Record>,
    metadata: Vec<MetadataRecord>,
    coordinator: Vec<CoordinatorRecord>,
    /// Keys of records of internal topics, by the number that stands for each.
    coordinator_keys: BTreeMap<CoordinatorRecordKey, u32>,
    /// Of which record of another topic a record is a copy.
    originals: BTreeMap<RecordId, RecordId>,
    /// How many topics and partitions were given numbers.
    topics_named: u16,
    partitions_named: u32,
    /// What is kept outside of Kafka.
    pub outside: Outside,
    /// Fetches that have been worked through, and their answers.
    pub(crate) fetches: Boxes<FetchRequest>,
    pub(crate) fetch_answers: Boxes<FetchResponse>,
    /// Those of the metadata quorum.
    pub(crate) quorum_fetches: Boxes<QuorumFetchRequest>,
    pub(crate) quorum_answers: Boxes<QuorumFetchResponse>,
}

impl Arena for Contents {
    fn clear(&mut self) {
        self.records.clear();
        self.metadata.clear();
        self.coordinator.clear();
        self.coordinator_keys.clear();
        self.originals.clear();
        self.topics_named = 0;
        self.partitions_named = 0;
        self.outside.clear();
    }
}

impl Contents {
    /// Stores the records of a batch.
    pub fn store(&mut self, records: impl IntoIterator<Item = Record>) -> Records {
        let start = self.records.len() as u32;
        self.records.extend(records);
        Records {
            start,
            count: self.records.len() as u32 - start,
        }
    }

    /// The records of a batch.
    #[inline]
    pub fn records(&self, records: Records) -> &[Record] {
        &self.records[records.start as usize..][..records.count as usize]
    }

    /// The numbers of the next topic that is created and of its first partition. They stand for Kafka's random ids: no
    /// cluster gives one twice, even one whose metadata was lost and that begins anew beside the logs of old topics.
    pub fn next_topic(&self) -> (TopicId, PartitionId) {
        (TopicId(self.topics_named), PartitionId(self.partitions_named))
    }

    /// The next topic was created, with so many partitions.
    pub fn name_topic(&mut self, partitions: u32) {
        self.topics_named += 1;
        self.partitions_named += partitions;
    }

    /// An application sends a record on to another topic, as this one.
    pub fn copied(&mut self, copy: RecordId, record: RecordId) {
        let original = self.original(record);
        self.originals.insert(copy, original);
    }

    /// What a record is a copy of, in the end; itself, if it is none.
    pub fn original(&self, record: RecordId) -> RecordId {
        self.originals.get(&record).copied().unwrap_or(record)
    }

    /// Stores the records of a batch of an internal topic. They are records like others, with the broker that wrote
    /// them for their producer; their numbers lead to what they say.
    pub fn store_coordinator(
        &mut self,
        by: NodeId,
        timestamp: Time,
        records: impl IntoIterator<Item = CoordinatorRecord>,
    ) -> Records {
        let start = self.records.len() as u32;
        for record in records {
            let next_key = self.coordinator_keys.len() as u32;
            let key = *self.coordinator_keys.entry(record.key()).or_insert(next_key);
            self.records.push(Record {
                id: RecordId {
                    producer: by,
                    number: self.coordinator.len() as u32,
                },
                key: Some(key),
                bytes: record.bytes(),
                timestamp,
            });
            self.coordinator.push(record);
        }
        Records {
            start,
            count: self.records.len() as u32 - start,
        }
    }

    /// What the records of a batch of an internal topic say.
    pub fn coordinator(&self, records: Records) -> &[CoordinatorRecord] {
        match self.records(records).first() {
            Some(first) => &self.coordinator[first.id.number as usize..][..records.count as usize],
            None => &[],
        }
    }

    /// Stores the records of a metadata batch.
    pub fn store_metadata(&mut self, records: impl IntoIterator<Item = MetadataRecord>) -> Records {
        let start = self.metadata.len() as u32;
        self.metadata.extend(records);
        Records {
            start,
            count: self.metadata.len() as u32 - start,
        }
    }

    /// The records of a metadata batch.
    #[inline]
    pub fn metadata(&self, records: Records) -> &[MetadataRecord] {
        &self.metadata[records.start as usize..][..records.count as usize]
    }
}

/// Who numbered a batch, if it came from an idempotent producer (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// The producer's id.
    pub producer: ProducerId,
    /// Its epoch.
    pub epoch: u16,
    /// The sequence number of the first record: `0..=i32::MAX`, wrapping to 0.
    pub base_sequence: u32,
}

/// A record batch (magic 2) as logs and messages carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Offset of the first record; set by the leader.
    pub base_offset: Offset,
    /// The epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// Its records.
    pub records: Records,
    /// Its size in bytes.
    pub bytes: u32,
    /// Sequence numbers of an idempotent producer.
    pub numbering: Option<Numbering>,
    /// The largest timestamp of its records (or the leader's wall clock under LogAppendTime).
    pub max_timestamp: Time,
    /// The checksum does not fit: the disk lost or spoilt a part of it.
    pub corrupt: bool,
}

impl Batch {
    /// The offset behind its last record.
    #[inline]
    pub fn next_offset(&self) -> Offset {
        self.base_offset.plus(u64::from(self.records.count))
    }

    /// Offset of its last record.
    #[inline]
    pub fn last_offset(&self) -> Offset {
        Offset(self.next_offset().0 - 1)
    }
}

/// A batch of the metadata log: all or none of it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataBatch {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// The quorum epoch it was appended in.
    pub epoch: QuorumEpoch,
    /// Its records, in [`Contents::metadata`].
    pub records: Records,
    /// The checksum does not fit.
    pub corrupt: bool,
}

impl MetadataBatch {
    /// The offset behind its last record.
    #[inline]
    pub fn next_offset(&self) -> Offset {
        self.base_offset.plus(u64::from(self.records.count))
    }
}

/// One entry of a log on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEntry {
    /// Of a partition.
    Data(Batch),
    /// Of the metadata log.
    Metadata(MetadataBatch),
}

impl Entry for LogEntry {
    fn spoil(&mut self) {
        match self {
            LogEntry::Data(batch) => batch.corrupt = true,
            LogEntry::Metadata(batch) => batch.corrupt = true,
        }
    }
}

impl LogEntry {
    /// The batch of a partition's log.
    #[inline]
    pub fn data(&self) -> &Batch {
        match self {
            LogEntry::Data(batch) => batch,
            LogEntry::Metadata(_) => unreachable!("a partition's log holds data"),
        }
    }

    /// The batch of the metadata log.
    #[inline]
    pub fn metadata(&self) -> &MetadataBatch {
        match self {
            LogEntry::Metadata(batch) => batch,
            LogEntry::Data(_) => unreachable!("the metadata log holds metadata"),
        }
    }
}
