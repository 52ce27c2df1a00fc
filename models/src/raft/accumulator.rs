//! Records that wait to be written (`BatchAccumulator`).

use ktrial_sim::{Duration, Time};

use crate::ids::Offset;
use crate::metadata::MetadataRecord;

/// Gathers what is appended until it has lingered long enough; everything gathered becomes one batch.
///
/// Offsets are given out when records come in. The linger is a plain deadline on the wall clock, so a clock that
/// is stepped back makes records wait for that much longer.
#[derive(Clone, Debug)]
pub(super) struct Accumulator {
    linger: Duration,
    next: Offset,
    gathered: Vec<MetadataRecord>,
    /// Write at once: the start of an epoch is not to linger.
    forced: bool,
    drain_at: Option<Time>,
}

impl Accumulator {
    pub(super) fn new(base: Offset, linger: Duration) -> Self {
        Accumulator {
            linger,
            next: base,
            gathered: Vec::new(),
            forced: false,
            drain_at: None,
        }
    }

    /// The offset of the next record.
    pub(super) fn next_offset(&self) -> Offset {
        self.next
    }

    /// Takes records and returns the offset of the last.
    pub(super) fn append(&mut self, records: &[MetadataRecord], now: Time) -> Offset {
        assert!(!records.is_empty(), "there is something to append");
        self.gathered.extend_from_slice(records);
        self.next = self.next.plus(records.len() as u64);
        self.drain_at.get_or_insert(now + self.linger);
        Offset(self.next.0 - 1)
    }

    /// Takes a control record, to be written at once (`appendControlMessages`).
    pub(super) fn force(&mut self, record: MetadataRecord) {
        self.gathered.push(record);
        self.next = self.next.plus(1);
        self.forced = true;
    }

    /// How long until there is something to write.
    pub(super) fn time_until_drain(&self, now: Time) -> Duration {
        match self.drain_at {
            _ if self.forced => Duration::ZERO,
            Some(at) => at.since(now),
            None => Duration::FOREVER,
        }
    }

    /// What is to be written now.
    pub(super) fn drain(&mut self) -> std::vec::Drain<'_, MetadataRecord> {
        self.forced = false;
        self.drain_at = None;
        self.gathered.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_linger_from_the_first_of_a_batch_and_have_their_offsets_at_once() {
        let mut accumulator = Accumulator::new(Offset(10), Duration(25));
        assert_eq!(accumulator.time_until_drain(Time(0)), Duration::FOREVER);
        let two = [MetadataRecord::NoOp, MetadataRecord::NoOp];
        assert_eq!(accumulator.append(&two, Time(100)), Offset(11));
        assert_eq!(accumulator.append(&two[..1], Time(110)), Offset(12));
        assert_eq!(accumulator.time_until_drain(Time(110)), Duration(15));
        assert_eq!(accumulator.drain().count(), 3);
        assert_eq!(accumulator.time_until_drain(Time(200)), Duration::FOREVER);
        assert_eq!(accumulator.next_offset(), Offset(13));
    }

    #[test]
    fn a_control_record_does_not_linger() {
        let mut accumulator = Accumulator::new(Offset(0), Duration(25));
        accumulator.force(MetadataRecord::NoOp);
        assert_eq!(accumulator.time_until_drain(Time(0)), Duration::ZERO);
    }
}
