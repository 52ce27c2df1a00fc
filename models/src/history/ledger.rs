//! The books on a history: for each record what was told of it, for each partition its final log.
//!
//! Built in one pass or two; the judges then only look things up.

use ktrial_sim::Time;

use super::event::{Extent, FinalRead, History, Isolation, Operation, Placed, Span};
use super::identity::{ErrorId, KeyId, Offset, PartitionId, ProcessId, RecordId, TopicId, TransactionId};
use super::outcome::{self, Outcome};
use super::record_index::{RecordIndex, Slot};
use super::settings::{ProducerSettings, TopicSettings};

/// When, by whom and whereto a record was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// When the application called send.
    pub time: Time,
    /// Who.
    pub process: ProcessId,
    /// Whereto.
    pub topic: TopicId,
    /// With which key.
    pub key: Option<KeyId>,
    /// Which of the process's sends it was.
    pub order: u32,
}

/// What an acknowledgement said.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    /// When.
    pub time: Time,
    /// In which partition; none if the history never named it elsewhere.
    pub partition: Option<PartitionId>,
    /// Where, if the broker told it.
    pub offset: Option<Offset>,
}

/// Everything that is known of one record.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which record.
    pub record: RecordId,
    /// Its send, unless it was read without one.
    pub sent: Option<Sent>,
    /// What became of the send.
    pub outcome: Outcome,
    /// Its acknowledgement.
    pub acknowledged: Option<Acknowledged>,
    /// The error of its callback and when it came.
    pub error: Option<(ErrorId, Time)>,
    /// The transaction it was sent in.
    pub transaction: Option<TransactionId>,
    /// Its first place in the final logs of all records.
    pub landed: Option<(PartitionId, Offset)>,
    /// At how many places it stands there.
    pub copies: u32,
    /// At how many places it stands in the final logs of committed records.
    pub committed_copies: u32,
}

/// What became of a transaction, as far as its application knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// Nobody knows: it was never ended, or its end failed.
    #[default]
    Unknown,
    /// Committed.
    Committed,
    /// Aborted by the application.
    Aborted,
    /// Aborted because something in it had failed.
    AbortedAfterError,
}

impl Fate {
    /// Whether it was aborted, for whatever reason.
    pub fn is_aborted(self) -> bool {
        matches!(self, Fate::Aborted | Fate::AbortedAfterError)
    }
}

/// A transaction's life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transaction {
    /// Who began it; nobody if the history does not tell.
    pub process: Option<ProcessId>,
    /// What became of it.
    pub fate: Fate,
    failed: bool,
}

/// A partition's log as the final read found it.
#[derive(Clone, Debug, Default)]
pub struct FinalLog {
    /// How far the read went; none where the partition could not be read or was not tried.
    pub extent: Option<Extent>,
    /// Offset and record, by offset.
    pub records: Vec<(Offset, Slot)>,
}

impl FinalLog {
    /// Whether the log was read to its end.
    pub fn complete(&self) -> bool {
        self.extent.is_some_and(|extent| extent.reached >= extent.end)
    }

    /// Whether the read went over this offset, so that what is missing there is not in the log.
    pub fn covers(&self, offset: Option<Offset>) -> bool {
        let Some(extent) = self.extent else { return false };
        match offset {
            Some(offset) => offset >= extent.start && (self.complete() || offset < extent.reached),
            None => extent.start == Offset(0) && self.complete(),
        }
    }

    /// The place of the first record at or after an offset.
    pub fn position(&self, offset: Offset) -> usize {
        self.records.partition_point(|(at, _)| *at < offset)
    }

    /// Whether this record stands at this offset.
    pub fn holds(&self, offset: Offset, slot: Slot) -> bool {
        let from = self.position(offset);
        self.records[from..]
            .iter()
            .take_while(|(at, _)| *at == offset)
            .any(|(_, found)| *found == slot)
    }
}

/// The books on a history.
pub struct Ledger<'h> {
    /// The history they are about.
    pub history: &'h History,
    /// What the producers were set to.
    pub producer: ProducerSettings,
    /// One entry a record, sent or only read.
    pub entries: Vec<Entry>,
    /// By [`TransactionId`]; those that are only named in records have nobody and an unknown fate.
    pub transactions: Vec<Transaction>,
    /// Outcomes of records that nobody sent.
    pub strays: u64,
    index: RecordIndex,
    /// The slot of each record that was read, in the order of [`History::all_records`].
    read: Vec<Slot>,
    logs: [Vec<FinalLog>; 2],
    compacted: Vec<bool>,
    unsent: usize,
}

impl<'h> Ledger<'h> {
    /// Goes through a history once to know its records, once to fill in what became of them.
    pub fn new(history: &'h History) -> Self {
        let names = &history.names;
        let index = RecordIndex::new(history);
        let entries = index.records().iter().map(|&record| Entry::of(record)).collect();
        let slot = |placed: &Placed| index.find(placed.record).expect("the index has what was read");
        let read = history.all_records().iter().map(slot).collect();
        let partitions = names.partitions();
        let compacted = (0..partitions).map(|partition| {
            let (topic, _) = names.partition_parts(PartitionId(partition as u32));
            TopicSettings::of(&history.header, names.topic_name(topic)).compacted
        });
        let mut ledger = Ledger {
            history,
            producer: ProducerSettings::of(&history.header),
            entries,
            transactions: vec![Transaction::default(); names.transactions()],
            strays: 0,
            index,
            read,
            logs: [
                vec![FinalLog::default(); partitions],
                vec![FinalLog::default(); partitions],
            ],
            compacted: compacted.collect(),
            unsent: 0,
        };
        ledger.follow_clients();
        ledger.read_logs();
        ledger.unsent = ledger.entries.iter().filter(|entry| entry.sent.is_none()).count();
        ledger
    }

    /// How many records were sent.
    pub fn sent(&self) -> usize {
        self.entries.len() - self.unsent
    }

    /// The place of a record, if the history sends, tells of or reads it.
    pub fn find(&self, record: RecordId) -> Option<Slot> {
        self.index.find(record)
    }

    /// The place of a record that the history sends, tells of or reads.
    pub fn slot(&self, record: RecordId) -> Slot {
        self.index
            .find(record)
            .expect("every record of the history has a slot")
    }

    /// The records of a poll or a final read, with their slots.
    pub fn reads(&self, span: Span) -> impl Iterator<Item = (&Placed, Slot)> {
        self.history
            .records(span)
            .iter()
            .zip(self.read[span.range()].iter().copied())
    }

    /// Every slot with its entry.
    pub fn slots(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        self.entries
            .iter()
            .enumerate()
            .map(|(place, entry)| (Slot(place as u32), entry))
    }

    /// The entry of a record.
    pub fn entry(&self, slot: Slot) -> &Entry {
        &self.entries[slot.index()]
    }

    /// The log of a partition as a reader of this level found it in the end.
    pub fn log(&self, partition: PartitionId, isolation: Isolation) -> &FinalLog {
        &self.logs[isolation as usize][partition.index()]
    }

    /// Whether compaction may have removed records of a partition.
    pub fn compacted(&self, partition: PartitionId) -> bool {
        self.compacted[partition.index()]
    }

    /// The fate of the transaction a record was sent in; none for one sent outside.
    pub fn fate(&self, entry: &Entry) -> Option<Fate> {
        entry
            .transaction
            .map(|transaction| self.transactions[transaction.index()].fate)
    }

    fn follow_clients(&mut self) {
        let history = self.history;
        let mut orders = vec![0_u32; history.names.processes()];
        let mut open: Vec<Option<TransactionId>> = vec![None; history.names.processes()];
        for event in history.events() {
            match event.operation {
                Operation::Send {
                    process,
                    record,
                    topic,
                    key,
                } => {
                    let order = orders[process.index()];
                    orders[process.index()] += 1;
                    let slot = self.slot(record);
                    let entry = &mut self.entries[slot.index()];
                    if entry.sent.is_none() {
                        entry.sent = Some(Sent {
                            time: event.time,
                            process,
                            topic,
                            key,
                            order,
                        });
                        entry.transaction = open[process.index()];
                    }
                }
                Operation::Ok {
                    record,
                    partition,
                    offset,
                } => {
                    self.acknowledge(event.time, record, partition, offset);
                }
                Operation::Error {
                    record,
                    error,
                    outcome,
                    ..
                } => {
                    let class = outcome::of_error(
                        history.names.error_name(error),
                        outcome,
                        self.producer.one_attempt,
                    );
                    let slot = self.slot(record);
                    let entry = &mut self.entries[slot.index()];
                    if entry.sent.is_none() {
                        self.strays += 1;
                    } else if entry.outcome == Outcome::Pending {
                        entry.outcome = class;
                        entry.error = Some((error, event.time));
                    }
                }
                Operation::Begin { process, transaction } => {
                    open[process.index()] = Some(transaction);
                    self.transactions[transaction.index()].process = Some(process);
                }
                ref other => self.end_transaction(other, &mut open),
            }
        }
    }

    fn acknowledge(&mut self, time: Time, record: RecordId, partition: u32, offset: Option<Offset>) {
        let slot = self.slot(record);
        let entry = &mut self.entries[slot.index()];
        match entry.sent {
            None => self.strays += 1,
            Some(sent) if entry.outcome == Outcome::Pending => {
                let partition = self.history.names.find_partition(sent.topic, partition);
                entry.outcome = Outcome::Acknowledged;
                entry.acknowledged = Some(Acknowledged {
                    time,
                    partition,
                    offset,
                });
            }
            Some(_) => {}
        }
    }

    fn end_transaction(&mut self, operation: &Operation, open: &mut [Option<TransactionId>]) {
        let (ended, fate) = match *operation {
            Operation::TransactionError { transaction, .. } => {
                self.transactions[transaction.index()].failed = true;
                return;
            }
            Operation::Committed { transaction, .. } => (transaction, Fate::Committed),
            Operation::Aborted { transaction } => match self.transactions[transaction.index()].failed {
                true => (transaction, Fate::AbortedAfterError),
                false => (transaction, Fate::Aborted),
            },
            Operation::AbortError { transaction, .. } => (transaction, Fate::Unknown),
            _ => return,
        };
        let transaction = &mut self.transactions[ended.index()];
        transaction.fate = fate;
        if let Some(process) = transaction.process
            && open[process.index()] == Some(ended)
        {
            open[process.index()] = None;
        }
    }

    fn read_logs(&mut self) {
        for event in self.history.events() {
            if let Operation::Final(read) = &event.operation {
                let log = self.final_log(read);
                self.logs[read.isolation as usize][read.partition.index()] = log;
            }
        }
        for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
            for (partition, log) in self.logs[isolation as usize].iter().enumerate() {
                let partition = PartitionId(partition as u32);
                let mut before = None;
                for &(offset, slot) in &log.records {
                    // One record told twice at one place stands at one place.
                    if before.replace((offset, slot)) == Some((offset, slot)) {
                        continue;
                    }
                    let entry = &mut self.entries[slot.index()];
                    if isolation == Isolation::ReadCommitted {
                        entry.committed_copies += 1;
                    } else {
                        entry.copies += 1;
                        entry.landed.get_or_insert((partition, offset));
                    }
                }
            }
        }
    }

    fn final_log(&self, read: &FinalRead) -> FinalLog {
        let mut records: Vec<(Offset, Slot)> = self
            .reads(read.records)
            .map(|(placed, slot)| (placed.offset, slot))
            .collect();
        records.sort_by_key(|(offset, _)| *offset);
        FinalLog {
            extent: read.extent.ok(),
            records,
        }
    }
}

impl Entry {
    fn of(record: RecordId) -> Self {
        Entry {
            record,
            sent: None,
            outcome: Outcome::Pending,
            acknowledged: None,
            error: None,
            transaction: None,
            landed: None,
            copies: 0,
            committed_copies: 0,
        }
    }
}
