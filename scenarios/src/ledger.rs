//! What clients were told in one trial, record by record, and what the logs hold in the end.

use ktrial_models::ids::{Offset, PartitionId, RecordId};
use ktrial_models::invariants::{FinalLog, Unread};
use ktrial_models::notes::{ClientNote, FailureClass};
use ktrial_models::records::{Batch, Contents};
use ktrial_sim::{Duration, NodeId, Time};

use crate::resolved::Layout;

/// What a producer's application was told of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing (yet).
    Pending,
    /// The callback without an error.
    Acknowledged,
    /// An error, and no attempt can have been appended.
    Failed,
    /// An error, and the record may be in the log all the same.
    Unknown,
}

/// One send.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// When the application called send.
    pub at: Time,
    /// When it was told; meaningless while pending.
    pub told: Time,
    /// What it was told.
    pub outcome: Outcome,
    /// The partition, once known.
    pub partition: Option<PartitionId>,
    /// The offset it was told.
    pub offset: Option<Offset>,
    /// Error name, if any.
    pub error: Option<&'static str>,
    /// Some replica's retention deleted it.
    pub deleted: bool,
}

/// All sends of a trial, by producer and number.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    sends: Vec<Vec<Sent>>,
}

impl Ledger {
    /// Forgets all sends; memory is kept.
    pub fn reset(&mut self, producers: usize) {
        self.sends.iter_mut().for_each(Vec::clear);
        self.sends.resize_with(producers, Vec::new);
    }

    /// Makes room for the sends that a producer will make.
    pub fn expect(&mut self, producer: usize, sends: usize) {
        self.sends[producer].reserve(sends);
    }

    /// Takes in what a client told.
    #[inline]
    pub fn note(&mut self, layout: &Layout, at: Time, note: &ClientNote, contents: &Contents) {
        match note {
            ClientNote::Sent { record, .. } => {
                if let Some(sends) = self.of(layout, record.producer) {
                    debug_assert_eq!(sends.len(), record.number as usize, "numbers count the sends");
                    sends.push(Sent {
                        at,
                        told: at,
                        outcome: Outcome::Pending,
                        partition: None,
                        offset: None,
                        error: None,
                        deleted: false,
                    });
                }
            }
            ClientNote::Acknowledged {
                records,
                partition,
                base_offset,
            } => {
                let records = contents.records(*records);
                let producer = records.first().map(|first| first.id.producer);
                let Some(sends) = producer.and_then(|producer| self.of(layout, producer)) else {
                    return;
                };
                for (record, place) in records.iter().zip(0..) {
                    if let Some(sent) = sends.get_mut(record.id.number as usize) {
                        sent.told = at;
                        sent.outcome = Outcome::Acknowledged;
                        sent.partition = Some(*partition);
                        sent.offset = base_offset.map(|base| base.plus(place));
                    }
                }
            }
            ClientNote::Failed {
                record,
                error,
                class,
                partition,
            } => self.tell(layout, *record, |sent| {
                sent.told = at;
                sent.outcome = match class {
                    FailureClass::Definite => Outcome::Failed,
                    FailureClass::Unknown => Outcome::Unknown,
                };
                sent.partition = *partition;
                sent.error = Some(error);
            }),
            _ => {}
        }
    }

    /// Retention deleted these batches on some replica.
    pub fn deleted(&mut self, layout: &Layout, batches: &[Batch], contents: &Contents) {
        for record in batches.iter().flat_map(|batch| contents.records(batch.records)) {
            self.tell(layout, record.id, |sent| sent.deleted = true);
        }
    }

    fn of(&mut self, layout: &Layout, producer: NodeId) -> Option<&mut Vec<Sent>> {
        self.sends.get_mut(layout.producer_index(producer)?)
    }

    fn tell(&mut self, layout: &Layout, record: RecordId, change: impl FnOnce(&mut Sent)) {
        if let Some(sent) = self
            .of(layout, record.producer)
            .and_then(|sends| sends.get_mut(record.number as usize))
        {
            change(sent);
        }
    }

    /// All sends: producer by number, then record by number.
    pub fn sends(&self) -> &[Vec<Sent>] {
        &self.sends
    }

    /// How many sends have no outcome yet.
    pub fn pending(&self) -> usize {
        self.sends
            .iter()
            .flatten()
            .filter(|sent| sent.outcome == Outcome::Pending)
            .count()
    }

    /// The time during which a producer's oldest send without outcome had waited for more than a second and nothing
    /// was acknowledged to it, from that send on: when its partition could not be written.
    pub fn unwritable(&self, until: Time) -> Duration {
        self.sends
            .iter()
            .map(|sends| unwritable(sends, until))
            .max()
            .unwrap_or_default()
    }
}

/// A send that waits for longer marks its time as one without writes.
const NOTICEABLE: Duration = Duration::secs(1);

fn unwritable(sends: &[Sent], until: Time) -> Duration {
    // Stretches from each slow send to its acknowledgement, but no earlier than the acknowledgement before.
    let end_of = |sent: &Sent| match sent.outcome {
        Outcome::Pending => until,
        _ => sent.told,
    };
    let is_slow = |sent: &&Sent| end_of(sent).since(sent.at) > NOTICEABLE;
    let Some(first) = sends.iter().find(is_slow) else {
        return Duration::ZERO;
    };
    // What was acknowledged before the first slow send ends no silence.
    let ends_some = |sent: &&Sent| sent.outcome == Outcome::Acknowledged && sent.told > first.at;
    let mut acknowledged = Vec::with_capacity(sends.len());
    acknowledged.extend(sends.iter().filter(ends_some).map(|sent| sent.told));
    // In the order of the sends they are in order but for a few: a stable sort finds the runs.
    acknowledged.sort();
    let mut total = Duration::ZERO;
    let mut covered = Time::ZERO;
    let mut acknowledged = acknowledged.into_iter();
    let mut next = acknowledged.next();
    for sent in sends {
        // Silence lasts from the send (or the last acknowledgement before its end) to the next acknowledgement.
        while next.is_some_and(|at| at <= sent.at) {
            next = acknowledged.next();
        }
        let counted = next.is_some_and(|at| at <= covered);
        if counted || !is_slow(&sent) {
            continue;
        }
        let end = next.unwrap_or(until).min(end_of(sent).max(sent.at));
        if end.since(sent.at) > NOTICEABLE {
            let start = sent.at.max(covered);
            if end > start {
                total = total.saturating_add(end.since(start));
                covered = end;
            }
        }
    }
    total
}

/// Counts of one trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of send.
    pub sent: u64,
    /// Told without an error.
    pub acknowledged: u64,
    /// Told an error, certainly not in the log.
    pub failed: u64,
    /// Told an error (or nothing), possibly in the log.
    pub unknown: u64,
    /// Acknowledged and not in the log, although no retention deleted it: neither in the final log nor where no reader gets
    /// it so far ([`Unread`]).
    pub lost: u64,
    /// Acknowledged and not in the final log, because retention deleted it.
    pub deleted: u64,
    /// Copies beyond the first in the final logs.
    pub duplicates: u64,
    /// Places of the final logs at which a record stands behind a later one of its producer. A second copy counts
    /// where it stands (ORD-2, as the judges of histories count it).
    pub reordered: u64,
}

/// Whether a count can be left out of what is written.
pub(crate) fn is_nothing(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    /// Adds another trial's counts.
    pub fn add(&mut self, other: &Counts) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.lost += other.lost;
        self.deleted += other.deleted;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
    }
}

/// Marks, record by record, of one walk over the final logs.
#[derive(Clone, Debug, Default)]
pub struct Landed {
    copies: Vec<Vec<u32>>,
}

impl Landed {
    /// How often each record stands in the final logs.
    pub fn copies(&self, producer: usize, number: usize) -> u32 {
        self.copies
            .get(producer)
            .and_then(|records| records.get(number))
            .copied()
            .unwrap_or(0)
    }
}

impl Ledger {
    /// Counts outcomes against the final logs, and what else logs hold: what stands there is not lost.
    pub fn count(
        &self,
        layout: &Layout,
        finals: &[FinalLog],
        unread: &[Unread],
        landed: &mut Landed,
    ) -> Counts {
        landed.copies.resize_with(self.sends.len(), Vec::new);
        for (copies, sends) in landed.copies.iter_mut().zip(&self.sends) {
            copies.clear();
            copies.resize(sends.len(), 0);
        }
        let mut counts = Counts::default();
        // Of each producer: one more than the largest number so far.
        let mut next: Vec<u32> = Vec::new();
        for log in finals {
            next.clear();
            next.resize(self.sends.len(), 0);
            for (node, records) in log.by_producer() {
                let Some(producer) = layout.producer_index(node) else {
                    continue;
                };
                let (copies, next) = (&mut landed.copies[producer], &mut next[producer]);
                for (_, record) in records {
                    let copies = &mut copies[record.number as usize];
                    *copies += 1;
                    counts.duplicates += u64::from(*copies > 1);
                    let own = record.number + 1;
                    counts.reordered += u64::from(*next > own);
                    *next = own.max(*next);
                }
            }
        }
        for ((producer, sends), node) in self.sends.iter().enumerate().zip(layout.producers()) {
            counts.sent += sends.len() as u64;
            for (number, (sent, copies)) in sends.iter().zip(&landed.copies[producer]).enumerate() {
                match sent.outcome {
                    Outcome::Acknowledged => {
                        counts.acknowledged += 1;
                        if *copies > 0 {
                            continue;
                        }
                        let record = RecordId {
                            producer: node,
                            number: number as u32,
                        };
                        match sent.partition {
                            Some(of) if Unread::has(unread, of, record) => {}
                            Some(_) if sent.deleted => counts.deleted += 1,
                            Some(_) => counts.lost += 1,
                            None => {}
                        }
                    }
                    Outcome::Failed => counts.failed += 1,
                    Outcome::Unknown | Outcome::Pending => counts.unknown += 1,
                }
            }
        }
        counts
    }
}

/// The records of a log, from a list of batches.
pub fn records_of(
    batches: impl Iterator<Item = Batch>,
    limit: Offset,
    contents: &Contents,
) -> Vec<(Offset, RecordId)> {
    let mut records = Vec::new();
    for batch in batches {
        let all = contents.records(batch.records);
        let below = limit.0.saturating_sub(batch.base_offset.0);
        let below = all.len().min(usize::try_from(below).unwrap_or(usize::MAX));
        let numbered = all[..below].iter().zip(0..);
        records.extend(numbered.map(|(record, place)| (batch.base_offset.plus(place), record.id)));
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(at: u64, told: u64, outcome: Outcome) -> Sent {
        let time = |millis: u64| Time(millis * 1_000_000);
        Sent {
            at: time(at),
            told: time(told),
            outcome,
            partition: None,
            offset: None,
            error: None,
            deleted: false,
        }
    }

    #[test]
    fn silence_is_counted_once_however_many_sends_wait_in_it() {
        let sends = [
            sent(0, 5, Outcome::Acknowledged),
            sent(10, 9_010, Outcome::Acknowledged),
            sent(20, 9_011, Outcome::Acknowledged),
            sent(5_000, 9_012, Outcome::Acknowledged),
        ];
        assert_eq!(unwritable(&sends, Time(20_000_000_000)), Duration::millis(9_000));
    }

    #[test]
    fn quick_answers_leave_no_silence() {
        let sends = [
            sent(0, 900, Outcome::Acknowledged),
            sent(5_000, 5_900, Outcome::Failed),
        ];
        assert_eq!(unwritable(&sends, Time(20_000_000_000)), Duration::ZERO);
    }

    #[test]
    fn a_send_without_outcome_leaves_silence_to_the_end() {
        let sends = [sent(1_000, 1_000, Outcome::Pending)];
        assert_eq!(unwritable(&sends, Time(20_000_000_000)), Duration::secs(19));
    }
}
