//! From a record's identity to its place among all records of a history.

use super::event::{History, Operation};
use super::identity::RecordId;

/// The place of a record among all records of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub(super) u32);

impl Slot {
    /// The place in a vector with one entry for each record.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// All records of a history, by identity.
///
/// A process numbers its sends without gaps, so the place of a number is almost always known from the
/// place of the process's first; only odd histories need the search.
#[derive(Debug, Default)]
pub(super) struct RecordIndex {
    records: Vec<RecordId>,
    /// By process: the place of its first record and that record's number.
    starts: Vec<(u32, u32)>,
}

impl RecordIndex {
    /// Every record that is sent, told of or read in a history.
    pub(super) fn new(history: &History) -> Self {
        let mut sent = Vec::new();
        for event in history.events() {
            if let Operation::Send { record, .. } = event.operation {
                sent.push(record);
            }
        }
        let index = RecordIndex::of(sent, history.names.processes());
        let mut unsent = Vec::new();
        let mut look = |record: RecordId| {
            if index.find(record).is_none() {
                unsent.push(record);
            }
        };
        for event in history.events() {
            match &event.operation {
                Operation::Ok { record, .. } | Operation::Error { record, .. } => look(*record),
                Operation::Poll { records, .. } => {
                    history
                        .records(*records)
                        .iter()
                        .for_each(|placed| look(placed.record));
                }
                Operation::Final(read) => {
                    history
                        .records(read.records)
                        .iter()
                        .for_each(|placed| look(placed.record));
                }
                _ => {}
            }
        }
        if unsent.is_empty() {
            return index;
        }
        let mut all = index.records;
        all.append(&mut unsent);
        RecordIndex::of(all, history.names.processes())
    }

    fn of(mut records: Vec<RecordId>, processes: usize) -> Self {
        if !records.is_sorted() {
            records.sort();
        }
        records.dedup();
        let mut starts = vec![(0, 0); processes];
        let mut before = None;
        for (place, record) in records.iter().enumerate() {
            if let RecordId::Counted { process, number } = *record
                && before.replace(process) != Some(process)
            {
                starts[process.index()] = (place as u32, number);
            }
        }
        RecordIndex { records, starts }
    }

    pub(super) fn records(&self) -> &[RecordId] {
        &self.records
    }

    /// Where a record is, if the history has it.
    #[inline]
    pub(super) fn find(&self, record: RecordId) -> Option<Slot> {
        if let RecordId::Counted { process, number } = record {
            let (place, first) = self.starts[process.index()];
            let guess = u64::from(place) + u64::from(number.wrapping_sub(first));
            if self.records.get(guess as usize) == Some(&record) {
                return Some(Slot(guess as u32));
            }
        }
        self.records
            .binary_search(&record)
            .ok()
            .map(|place| Slot(place as u32))
    }
}
