//! DUR-1 acked-survives, DUR-2 lost-write, DUR-3 inconsistent-offsets, DUR-4 ack-needs-min-isr,
//! DUR-5 failed-write-visible.

use std::collections::{BTreeMap, BTreeSet};

use ktrial_sim::NodeId;

use super::judges::Judges;
use super::log::partition;
use super::partition::Name;
use super::sends::{Landing, Sends, Told};
use super::witness::{Detail, Ground, Place};
use crate::config::Acks;
use crate::ids::{Offset, PartitionId, RecordId};
use crate::invariants::Invariant;
use crate::notes::FailureClass;
use crate::protocol::ErrorCode;
use crate::records::{Batch, Contents, Record};

/// A partition's log as a reader finds it after healing.
#[derive(Clone, Debug)]
pub struct FinalLog {
    /// Which partition.
    pub partition: PartitionId,
    /// Offset and record, up to the high watermark.
    pub records: Vec<(Offset, RecordId)>,
}

impl FinalLog {
    /// Its records in stretches of one producer each.
    pub fn by_producer(&self) -> impl Iterator<Item = (NodeId, &[(Offset, RecordId)])> {
        let stretches = self
            .records
            .chunk_by(|(_, one), (_, next)| one.producer == next.producer);
        stretches.map(|stretch| (stretch[0].1.producer, stretch))
    }
}

/// What the logs of a partition hold in the end that no reader is given: not lost, and not readable.
#[derive(Clone, Debug)]
pub struct Unread {
    /// Which partition.
    pub partition: PartitionId,
    /// A broker leads it: these stand in its log, at or above its high watermark. Else they are all that the logs on the
    /// disks of its replicas hold.
    pub led: bool,
    /// Sorted.
    pub records: Vec<RecordId>,
}

impl Unread {
    /// Whether a record stands where no reader gets it.
    pub fn has(unread: &[Unread], partition: PartitionId, record: RecordId) -> bool {
        let mut of_partition = unread.iter().filter(|unread| unread.partition == partition);
        of_partition.any(|unread| unread.records.binary_search(&record).is_ok())
    }
}

/// A leader that was deposed already had a batch acknowledged by its whole maximal ISR.
pub(super) fn committed_by_stale_leader(
    sends: &mut Sends,
    partition: PartitionId,
    batch: &Batch,
    commit: u32,
    contents: &Contents,
) {
    for (record, place) in contents.records(batch.records).iter().zip(0..) {
        if let Some(send) = sends.get_mut(record.id)
            && send.committed.is_none()
        {
            let landing = Landing {
                partition,
                offset: batch.base_offset.plus(u64::from(place)),
                slot: batch.records.start + place,
            };
            send.committed = Some((landing, commit));
        }
    }
}

impl Judges {
    /// A leader appended a batch. Where its records stand is only looked up for what is lost later.
    #[inline]
    pub(super) fn landed(&mut self, partition: PartitionId, batch: &Batch) {
        self.exercised.appended += 1;
        self.landed.push((partition, *batch));
    }

    /// DUR-4: a leader answered. What it saw counts as of the check that let the batch through: its answer can come
    /// later, behind those of other partitions of the request or a network thread that stands still.
    #[inline]
    pub(super) fn answered(
        &mut self,
        id: PartitionId,
        (acks, error): (Acks, ErrorCode),
        end: Option<Offset>,
        high_watermark: Offset,
        (maximal_isr, min_isr): (u32, u32),
    ) {
        let (Acks::All, ErrorCode::None, Some(end)) = (acks, error, end) else {
            return;
        };
        self.exercised.acknowledged_by_all += 1;
        let detail = if high_watermark < end {
            Detail::Between(
                high_watermark.0,
                "was the high watermark at an acks=all success; it needs",
                end.0,
            )
        } else if maximal_isr < min_isr {
            let (has, needs) = (u64::from(maximal_isr), u64::from(min_isr));
            Detail::Between(has, "in-sync replicas at an acks=all success; it needs", needs)
        } else {
            return;
        };
        let place = Place::offset(id, Offset(end.0 - 1));
        self.witnesses
            .add(Invariant::AckNeedsMinIsr, place, Ground::Always, detail);
    }

    /// An application was told of the success of a batch.
    pub(super) fn acknowledged(&mut self, records: &[Record], id: PartitionId, base_offset: Option<Offset>) {
        self.exercised.acknowledged += records.len() as u64;
        let mut late = false;
        if let Some((client, sends)) = self.sends.of_batch(records) {
            for record in records {
                if let Some(send) = sends.get_mut(record.id.number as usize) {
                    late |= client.lateness(send, self.witnesses.at).is_some();
                    send.told = Told::Success;
                    send.partition = Some(id);
                }
            }
        }
        if late {
            records.iter().for_each(|record| self.resolves_in_time(record.id));
        }
        if let Some(base_offset) = base_offset {
            self.names(id, base_offset, records, false);
        }
    }

    /// An application was told of an error.
    pub(super) fn failed(&mut self, record: RecordId, class: FailureClass, partition: Option<PartitionId>) {
        self.exercised.failed += 1;
        self.exercised.refused += u64::from(class == FailureClass::Definite);
        self.resolves_in_time(record);
        let Some(send) = self.sends.get_mut(record) else {
            return;
        };
        send.told = Told::Failure(class);
        send.partition = partition;
        if send.read && class == FailureClass::Definite {
            self.failed_visible(record, partition.unwrap_or_default(), None);
        }
    }

    /// A reader got records of a batch, the first of them from this offset.
    pub(super) fn read(&mut self, records: &[Record], id: PartitionId, from: Offset) {
        let mut refused = false;
        if let Some((_, sends)) = self.sends.of_batch(records) {
            for record in records {
                if let Some(send) = sends.get_mut(record.id.number as usize) {
                    send.read = true;
                    refused |= send.told == Told::Failure(FailureClass::Definite);
                }
            }
        }
        if refused {
            let offsets = (0..).map(|place| from.plus(place));
            self.refused_visible(offsets.zip(records.iter().map(|record| record.id)), id);
        }
        self.names(id, from, records, true);
    }

    /// DUR-5 of those records that were refused throughout.
    #[cold]
    fn refused_visible(&mut self, records: impl Iterator<Item = (Offset, RecordId)>, id: PartitionId) {
        for (offset, record) in records {
            let send = self.sends.get(record);
            if send.is_some_and(|send| send.told == Told::Failure(FailureClass::Definite)) {
                self.failed_visible(record, id, Some(offset));
            }
        }
    }

    /// DUR-5, once a record.
    #[cold]
    fn failed_visible(&mut self, record: RecordId, partition: PartitionId, offset: Option<Offset>) {
        let Some(send) = self.sends.get_mut(record) else {
            return;
        };
        if !std::mem::replace(&mut send.blamed, true) {
            let place = Place {
                partition: Some(partition),
                record: Some(record),
                offset,
            };
            let detail = Detail::Text("every attempt was refused, and it can be read");
            self.witnesses
                .add(Invariant::FailedWriteVisible, place, Ground::Always, detail);
        }
    }

    /// DUR-3: offsets from this one on name these records.
    fn names(&mut self, id: PartitionId, from: Offset, records: &[Record], read: bool) {
        let known = partition(&mut self.partitions, id, &self.facts);
        let named = known.names(from, records.len()).iter_mut().zip(records);
        for ((name, record), place) in named.zip(0..) {
            let record = record.id;
            match name {
                Some(name) if name.record == record => name.read |= read,
                None => *name = Some(Name { record, read }),
                Some(before) => {
                    let ground = Ground::Names([(before.record, before.read), (record, read)]);
                    let detail = Detail::Between(
                        u64::from(before.record.number),
                        "was the number of the record here; now it is",
                        u64::from(record.number),
                    );
                    *name = Some(Name { record, read });
                    let place = Place::record(id, record, from.plus(place));
                    self.witnesses
                        .add(Invariant::InconsistentOffsets, place, ground, detail);
                }
            }
        }
    }

    /// DUR-1, DUR-2 and the rest of DUR-5, over the final logs. What stands in a log that could not be read to its end
    /// is not lost; whether it can be read once it can, nobody knows: that is counted and not judged.
    pub(super) fn finish_durability(&mut self, finals: &[FinalLog], unread: &[Unread], contents: &Contents) {
        for log in finals {
            for (producer, records) in log.by_producer() {
                let Some(sends) = self.sends.of_node(producer) else {
                    continue;
                };
                let mut refused = false;
                for (_, record) in records {
                    if let Some(send) = sends.get_mut(record.number as usize) {
                        send.found += 1;
                        refused |= send.told == Told::Failure(FailureClass::Definite);
                    }
                }
                if refused {
                    self.refused_visible(records.iter().copied(), log.partition);
                }
            }
        }
        let known = |id: PartitionId| {
            finals.iter().any(|log| log.partition == id) || unread.iter().any(|logs| logs.partition == id)
        };
        let mut undecided = 0;
        let mut lost = std::mem::take(&mut self.lost);
        lost.clear();
        lost.extend(self.sends.iter().filter_map(|(record, send)| {
            let id = send.partition?;
            let missing = send.told == Told::Success && send.found == 0 && !send.expired;
            if !missing {
                return None;
            }
            let waits = Unread::has(unread, id, record);
            undecided += u64::from(waits);
            (!waits && known(id)).then_some((record, id))
        }));
        if !lost.is_empty() {
            let landings = self.landings(&lost, contents);
            for (record, id) in &lost {
                let nobody_leads = unread.iter().any(|logs| logs.partition == *id && !logs.led);
                let landing = landings.get(record).copied();
                self.lost_write(*record, *id, landing, nobody_leads, contents);
            }
        }
        self.lost = lost;
        self.unread = undecided;
    }

    /// Without a leader all disks were looked at, and none has it.
    fn lost_write(
        &mut self,
        record: RecordId,
        id: PartitionId,
        landing: Option<Landing>,
        nobody_leads: bool,
        contents: &Contents,
    ) {
        let place = Place {
            partition: Some(id),
            record: Some(record),
            offset: landing.map(|landing| landing.offset),
        };
        let detail = Detail::Text("acknowledged, and not in the final log");
        self.witnesses
            .add(Invariant::LostWrite, place, Ground::Lost(record), detail);
        let known = partition(&mut self.partitions, id, &self.facts);
        let held = !nobody_leads
            && landing.is_some_and(|landing| {
                let mut logs = known.logs.iter();
                logs.any(|log| log.holds_record(landing.offset, record, contents))
            });
        if !held {
            let detail = Detail::Text("acknowledged, and in no replica's log");
            self.witnesses
                .add(Invariant::AckedSurvives, place, Ground::Lost(record), detail);
        }
    }

    /// Where leaders appended what is lost: the last place of each record counts.
    fn landings(&self, lost: &[(RecordId, PartitionId)], contents: &Contents) -> BTreeMap<RecordId, Landing> {
        let lost: BTreeSet<RecordId> = lost.iter().map(|(record, _)| *record).collect();
        let mut landings = BTreeMap::new();
        for (partition, batch) in &self.landed {
            for (record, place) in contents.records(batch.records).iter().zip(0..) {
                if lost.contains(&record.id) {
                    let landing = Landing {
                        partition: *partition,
                        offset: batch.base_offset.plus(u64::from(place)),
                        slot: batch.records.start + place,
                    };
                    landings.insert(record.id, landing);
                }
            }
        }
        landings
    }
}
