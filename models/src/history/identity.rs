//! Names as small integers, so that a million events need no string each.
//!
//! Every name is kept once, in [`Names`]; events hold its index. A record whose id has the usual
//! form `PROCESS-N` needs not even that: its process and number are the identity. These integers are
//! a history's own: a recorded cluster has no others, so a simulated trial that writes one translates.

use std::collections::BTreeMap;
use std::fmt::Write;

pub use crate::ids::Offset;

macro_rules! index {
    ($($(#[$doc:meta])* $name:ident)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The place in a vector with one entry for each.
            #[inline]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )* };
}

index! {
    /// A client: a producer, a consumer, an application.
    ProcessId
    /// A topic by its name.
    TopicId
    /// A partition of a topic; see [`Names::partition_name`].
    PartitionId
    /// A record's key.
    KeyId
    /// A transaction, by the name its application gave it.
    TransactionId
    /// An error, by Kafka's name or the client exception's class.
    ErrorId
    /// Any other text: messages, faults, groups.
    TextId
    /// The id of a record that has not the form `PROCESS-N`.
    NameId
    /// The id of an output that names the input it came from.
    DerivedId
}

/// A node's number, as Kafka's `node.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub i32);

/// Which record: what a send is called in acknowledgements and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordId {
    /// `PROCESS-N`: the N-th send of a process.
    Counted {
        /// Who sent it.
        process: ProcessId,
        /// Which of its sends, from 0.
        number: u32,
    },
    /// Any other name.
    Named(NameId),
    /// `TRANSACTION:INPUT`: what a read-process-write application wrote for an input.
    Derived(DerivedId),
}

/// Strings, each once, by the order in which they were first seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Table {
    names: Vec<String>,
    places: BTreeMap<String, u32>,
}

impl Table {
    fn intern(&mut self, name: &str) -> u32 {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let place = u32::try_from(self.names.len()).expect("fewer than 2^32 names fit in memory");
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }
}

macro_rules! tables {
    ($($(#[$doc:meta])* $table:ident $intern:ident $find:ident $name_of:ident $id:ident)*) => {
        impl Names { $(
            $(#[$doc])*
            pub fn $intern(&mut self, name: &str) -> $id {
                $id(self.$table.intern(name))
            }
            /// The index of a name, if any event has used it.
            pub fn $find(&self, name: &str) -> Option<$id> {
                self.$table.places.get(name).copied().map($id)
            }
            /// The name of an index that this table gave.
            pub fn $name_of(&self, id: $id) -> &str {
                &self.$table.names[id.index()]
            }
        )* }
    };
}

tables! {
    /// The index of a process, given now if it is new.
    processes process find_process process_name ProcessId
    /// The index of a topic, given now if it is new.
    topics topic find_topic topic_name TopicId
    /// The index of a key, given now if it is new.
    keys key find_key key_name KeyId
    /// The index of a transaction, given now if it is new.
    transactions transaction find_transaction transaction_name TransactionId
    /// The index of an error's name, given now if it is new.
    errors error find_error error_name ErrorId
    /// The index of a text, given now if it is new.
    texts text find_text text_of TextId
    /// The index of a record's free-form name, given now if it is new.
    named named find_named named_name NameId
}

/// All names of a history and the integers that stand for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    processes: Table,
    topics: Table,
    keys: Table,
    transactions: Table,
    errors: Table,
    texts: Table,
    named: Table,
    partitions: Vec<(TopicId, u32)>,
    partition_places: BTreeMap<(TopicId, u32), PartitionId>,
    derived: Vec<(TransactionId, RecordId)>,
    derived_places: BTreeMap<(TransactionId, RecordId), DerivedId>,
}

impl Names {
    /// The index of a partition, given now if it is new.
    pub fn partition(&mut self, topic: TopicId, number: u32) -> PartitionId {
        let next = PartitionId(self.partitions.len() as u32);
        let found = *self.partition_places.entry((topic, number)).or_insert(next);
        if found == next {
            self.partitions.push((topic, number));
        }
        found
    }

    /// The index of a partition, if any event or the header has named it.
    pub fn find_partition(&self, topic: TopicId, number: u32) -> Option<PartitionId> {
        self.partition_places.get(&(topic, number)).copied()
    }

    /// Topic and number of a partition.
    pub fn partition_parts(&self, id: PartitionId) -> (TopicId, u32) {
        self.partitions[id.index()]
    }

    /// `TOPIC-NUMBER`, as Kafka writes it.
    pub fn partition_name(&self, id: PartitionId) -> String {
        let (topic, number) = self.partition_parts(id);
        format!("{}-{number}", self.topic_name(topic))
    }

    /// How many partitions have been named.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// How many processes have been named.
    pub fn processes(&self) -> usize {
        self.processes.names.len()
    }

    /// How many transactions have been named.
    pub fn transactions(&self) -> usize {
        self.transactions.names.len()
    }

    /// The identity of what `transaction` wrote for `input`.
    pub fn derived(&mut self, transaction: TransactionId, input: RecordId) -> RecordId {
        let next = DerivedId(self.derived.len() as u32);
        let found = *self.derived_places.entry((transaction, input)).or_insert(next);
        if found == next {
            self.derived.push((transaction, input));
        }
        RecordId::Derived(found)
    }

    /// The transaction and the input of a derived record.
    pub fn derived_parts(&self, id: DerivedId) -> (TransactionId, RecordId) {
        self.derived[id.index()]
    }

    /// The identity of a record called `id`, whatever its form.
    ///
    /// [`Names::record_name`] gives the same text back.
    pub fn record(&mut self, id: &str) -> RecordId {
        let mut parts = id.rsplit(':');
        let last = parts.next().unwrap_or_default();
        let mut record = match counted(last) {
            Some((process, number)) => RecordId::Counted {
                process: self.process(process),
                number,
            },
            None => RecordId::Named(self.named(last)),
        };
        // From the right: an output of an output names the whole chain it came through.
        for transaction in parts {
            let transaction = self.transaction(transaction);
            record = self.derived(transaction, record);
        }
        record
    }

    /// The text of a record's id.
    pub fn record_name(&self, id: RecordId) -> String {
        let mut text = String::new();
        self.write_record(id, &mut text);
        text
    }

    /// Appends the text of a record's id.
    pub fn write_record(&self, mut id: RecordId, text: &mut String) {
        loop {
            match id {
                RecordId::Counted { process, number } => {
                    text.push_str(self.process_name(process));
                    write!(text, "-{number}").expect("writing to a string cannot fail");
                    return;
                }
                RecordId::Named(name) => return text.push_str(self.named_name(name)),
                RecordId::Derived(derived) => {
                    let (transaction, input) = self.derived_parts(derived);
                    text.push_str(self.transaction_name(transaction));
                    text.push(':');
                    id = input;
                }
            }
        }
    }
}

/// Process and number of an id `PROCESS-N`, where N is written the only way it would be written back.
fn counted(id: &str) -> Option<(&str, u32)> {
    let (process, digits) = id.rsplit_once('-')?;
    let canonical = digits == "0" || !digits.starts_with('0');
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && plain).then(|| digits.parse().ok().map(|number| (process, number)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_its_name_whatever_its_form() {
        let mut names = Names::default();
        for id in [
            "p1-17",
            "p1-007",
            "-3",
            "p-",
            "",
            "x1-t4:p1-2",
            "a:b:c-0",
            ":",
            "p-99999999999",
            "p1-+3",
        ] {
            let record = names.record(id);
            assert_eq!(names.record_name(record), id);
            assert_eq!(names.record(id), record);
        }
    }

    #[test]
    fn an_output_names_its_transaction_and_its_input() {
        let mut names = Names::default();
        let input = names.record("p1-2");
        let RecordId::Derived(output) = names.record("x1-t4:p1-2") else {
            panic!("an output is derived")
        };
        let transaction = names.find_transaction("x1-t4").expect("the output named it");
        assert_eq!(names.derived_parts(output), (transaction, input));
    }
}
