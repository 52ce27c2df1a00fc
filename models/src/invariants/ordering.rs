//! ORD-3 nonmonotonic-poll, ORD-4 poll-skip, ORD-5 read-above-hw. ORD-1 and ORD-2 are judged as the committed log
//! grows ([`super::committed`]).

use ktrial_sim::NodeId;

use super::judges::Judges;
use super::log::partition;
use super::witness::{Detail, Ground, Place};
use crate::ids::{Offset, PartitionId, PartitionMap, ServerId};
use crate::invariants::Invariant;
use crate::records::{Batch, Contents};

/// Where a reader's session stands: the next offset of each partition.
pub(super) type Positions = PartitionMap<Offset>;

impl Judges {
    pub(super) fn positions(&mut self, reader: NodeId) -> Option<&mut Positions> {
        let index = usize::from(reader.0.checked_sub(self.first_reader)?);
        self.readers.get_mut(index)
    }

    /// ORD-3 and ORD-4: one poll returned `count` records of a batch.
    pub(super) fn polled(
        &mut self,
        reader: NodeId,
        id: PartitionId,
        from: Offset,
        (batch, first, count): (&Batch, u32, u32),
        contents: &Contents,
    ) {
        self.exercised.polled += u64::from(count);
        let to = from.plus(u64::from(count));
        let next = self
            .positions(reader)
            .and_then(|positions| positions.insert(id, to));
        match next {
            Some(next) if from < next => {
                let detail = Detail::Between(from.0, "was read where the next offset was", next.0);
                let place = Place::offset(id, from);
                self.witnesses
                    .add(Invariant::NonmonotonicPoll, place, Ground::Always, detail);
            }
            Some(next) if from > next => {
                let known = partition(&mut self.partitions, id, &self.facts);
                if known.committed.has_records(next, from) {
                    let detail =
                        Detail::Between(from.0, "was read next where there are records from", next.0);
                    let place = Place::offset(id, next);
                    self.witnesses
                        .add(Invariant::PollSkip, place, Ground::Quorum, detail);
                }
            }
            _ => {}
        }
        let records = contents.records(batch.records);
        self.read(&records[first as usize..][..count as usize], id, from);
    }

    /// ORD-5: a broker served a consumer.
    #[inline]
    pub(super) fn served(&mut self, server: ServerId, id: PartitionId, limit: Offset, to: Offset) {
        let known = partition(&mut self.partitions, id, &self.facts);
        let Some(log) = known.logs.get(usize::from(server.0)) else {
            return;
        };
        let allowed = match log.loaded {
            true => limit.min(log.largest_high_watermark),
            false => limit,
        };
        if to > allowed {
            let detail = Detail::Between(
                to.0,
                "is the end of what a consumer got; it may read up to",
                allowed.0,
            );
            let place = Place::offset(id, Offset(to.0 - 1));
            self.witnesses
                .add(Invariant::ReadAboveHighWatermark, place, Ground::Always, detail);
        }
    }
}
