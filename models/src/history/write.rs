//! Writing `ktrial.history/1`: the same history gives the same bytes.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::event::{Event, FinalRead, History, KnownOutcome, Offsets, Operation, PartitionState};
use super::identity::{ErrorId, Names, NodeId, PartitionId, RecordId, TextId};

impl History {
    /// Writes the header and every event, one JSON object a line.
    ///
    /// # Errors
    /// Those of the destination.
    pub fn write(&self, mut destination: impl Write) -> io::Result<()> {
        let mut line = Line {
            names: &self.names,
            text: self.header.to_json(),
        };
        line.text.push('\n');
        destination.write_all(line.text.as_bytes())?;
        for event in self.events() {
            line.text.clear();
            line.event(self, event);
            line.text.push_str("}\n");
            destination.write_all(line.text.as_bytes())?;
        }
        Ok(())
    }
}

/// A line that is being written.
struct Line<'a> {
    names: &'a Names,
    text: String,
}

impl Line<'_> {
    fn event(&mut self, history: &History, event: &Event) {
        write!(self.text, "{{\"t\":{},\"op\":", event.time.0).expect("writing to a string cannot fail");
        let names = self.names;
        match &event.operation {
            Operation::Start { process, group } => {
                self.op("start").field("process", names.process_name(*process));
                if let Some(group) = group {
                    self.field("group", names.text_of(*group));
                }
            }
            Operation::End { process } => {
                self.op("end").field("process", names.process_name(*process));
            }
            Operation::Died {
                process,
                error,
                message,
            } => {
                self.op("died")
                    .field("process", names.process_name(*process))
                    .failure(*error, *message);
            }
            Operation::Poll { process, records } => {
                self.op("poll")
                    .field("process", names.process_name(*process))
                    .name("records");
                self.list(history.records(*records), |line, placed| {
                    line.partition(placed.partition);
                    line.number(placed.offset.0).text.push(',');
                    line.record(placed.record);
                });
            }
            Operation::Processed { process, record } => {
                self.op("processed")
                    .field("process", names.process_name(*process))
                    .name("id");
                self.record(*record);
            }
            Operation::Commit { process, offsets } => {
                self.op("commit")
                    .field("process", names.process_name(*process))
                    .offsets(offsets);
            }
            Operation::CommitError {
                process,
                offsets,
                error,
                message,
            } => {
                self.op("commit-error")
                    .field("process", names.process_name(*process))
                    .offsets(offsets);
                self.failure(*error, *message);
            }
            Operation::Assigned { process, partitions } => {
                self.op("assigned")
                    .field("process", names.process_name(*process))
                    .partitions(partitions);
            }
            Operation::Revoked { process, partitions } => {
                self.op("revoked")
                    .field("process", names.process_name(*process))
                    .partitions(partitions);
            }
            Operation::Lost { process, partitions } => {
                self.op("lost")
                    .field("process", names.process_name(*process))
                    .partitions(partitions);
            }
            Operation::Seek { process, partitions } => {
                self.op("seek")
                    .field("process", names.process_name(*process))
                    .partitions(partitions);
            }
            Operation::State(state) => self.state(state),
            Operation::Fault { what, who } => {
                self.op("fault")
                    .field("what", names.text_of(*what))
                    .field("who", names.text_of(*who));
            }
            Operation::Final(read) => self.final_read(history, read),
            sending => self.sending(sending),
        }
    }

    /// What producers see.
    fn sending(&mut self, operation: &Operation) {
        let names = self.names;
        match operation {
            Operation::Send {
                process,
                record,
                topic,
                key,
            } => {
                self.op("send")
                    .field("process", names.process_name(*process))
                    .name("id");
                self.record(*record).field("topic", names.topic_name(*topic));
                if let Some(key) = key {
                    self.field("key", names.key_name(*key));
                }
            }
            Operation::Ok {
                record,
                partition,
                offset,
            } => {
                self.op("ok")
                    .name("id")
                    .record(*record)
                    .name("partition")
                    .number(u64::from(*partition));
                match offset {
                    Some(offset) => self.name("offset").number(offset.0),
                    None => self.name("offset").raw("-1"),
                };
            }
            Operation::Error {
                record,
                error,
                message,
                outcome,
            } => {
                self.op("error")
                    .name("id")
                    .record(*record)
                    .failure(*error, *message);
                match outcome {
                    Some(KnownOutcome::Failed) => self.field("outcome", "failed"),
                    Some(KnownOutcome::Unknown) => self.field("outcome", "unknown"),
                    None => self,
                };
            }
            Operation::Begin { process, transaction } => {
                self.op("begin").field("process", names.process_name(*process));
                self.field("txn", names.transaction_name(*transaction));
            }
            Operation::Committed { transaction, offsets } => {
                self.op("committed")
                    .field("txn", names.transaction_name(*transaction));
                if !offsets.is_empty() {
                    self.offsets(offsets);
                }
            }
            Operation::Aborted { transaction } => {
                self.op("aborted")
                    .field("txn", names.transaction_name(*transaction));
            }
            Operation::TransactionError {
                transaction,
                error,
                message,
            } => {
                self.op("txn-error")
                    .field("txn", names.transaction_name(*transaction));
                self.failure(*error, *message);
            }
            Operation::AbortError {
                transaction,
                error,
                message,
            } => {
                self.op("abort-error")
                    .field("txn", names.transaction_name(*transaction));
                self.failure(*error, *message);
            }
            other => unreachable!("{other:?} is written by its reader's side"),
        }
    }

    fn state(&mut self, state: &PartitionState) {
        let (topic, number) = self.names.partition_parts(state.partition);
        let topic = self.names.topic_name(topic);
        self.op("state")
            .field("topic", topic)
            .name("partition")
            .number(u64::from(number))
            .name("leader");
        let leader = state
            .leader
            .map_or("-1".to_owned(), |leader| leader.0.to_string());
        self.raw(&leader);
        for (name, nodes) in [
            ("isr", &state.isr),
            ("elr", &state.elr),
            ("lastKnownElr", &state.last_known_elr),
        ] {
            self.name(name).nodes(nodes);
        }
    }

    fn final_read(&mut self, history: &History, read: &FinalRead) {
        let (topic, number) = self.names.partition_parts(read.partition);
        let topic = self.names.topic_name(topic);
        self.op("final")
            .field("topic", topic)
            .name("partition")
            .number(u64::from(number));
        self.field("isolation", read.isolation.name());
        match read.extent {
            Ok(extent) => {
                for (name, offset) in [
                    ("start", extent.start),
                    ("end", extent.end),
                    ("reached", extent.reached),
                ] {
                    self.name(name).number(offset.0);
                }
                if let Some(message) = read.message {
                    self.field("message", self.names.text_of(message));
                }
            }
            Err(error) => {
                self.failure(error, read.message);
            }
        }
        self.name("records")
            .list(history.records(read.records), |line, placed| {
                line.number(placed.offset.0).text.push(',');
                line.record(placed.record);
            });
    }

    fn op(&mut self, op: &str) -> &mut Self {
        self.quoted(op)
    }

    /// `,"NAME":`
    fn name(&mut self, name: &str) -> &mut Self {
        self.text.push_str(",\"");
        self.text.push_str(name);
        self.text.push_str("\":");
        self
    }

    fn field(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name).quoted(value)
    }

    fn raw(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        write!(self.text, "{number}").expect("writing to a string cannot fail");
        self
    }

    fn quoted(&mut self, text: &str) -> &mut Self {
        let plain = text
            .bytes()
            .all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
        if plain {
            self.text.push('"');
            self.text.push_str(text);
            self.text.push('"');
        } else {
            self.text.push_str(&serde_json::Value::from(text).to_string());
        }
        self
    }

    fn record(&mut self, record: RecordId) -> &mut Self {
        match record {
            RecordId::Counted { process, number } => {
                let process = self.names.process_name(process);
                self.quoted(process);
                self.text.pop();
                write!(self.text, "-{number}\"").expect("writing to a string cannot fail");
                self
            }
            other => {
                let name = self.names.record_name(other);
                self.quoted(&name)
            }
        }
    }

    fn failure(&mut self, error: ErrorId, message: Option<TextId>) -> &mut Self {
        self.field("error", self.names.error_name(error));
        match message {
            Some(message) => self.field("message", self.names.text_of(message)),
            None => self,
        }
    }

    /// `[...,...]` of `[...]`.
    fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.text.push('[');
        for (place, each) in items.iter().enumerate() {
            self.text.push_str(if place == 0 { "[" } else { ",[" });
            item(self, each);
            self.text.push(']');
        }
        self.text.push(']');
    }

    /// `"TOPIC",NUMBER,`
    fn partition(&mut self, partition: PartitionId) {
        let (topic, number) = self.names.partition_parts(partition);
        self.quoted(self.names.topic_name(topic)).text.push(',');
        self.number(u64::from(number)).text.push(',');
    }

    fn offsets(&mut self, offsets: &Offsets) {
        self.name("offsets").list(offsets, |line, (partition, offset)| {
            line.partition(*partition);
            line.number(offset.0);
        });
    }

    fn partitions(&mut self, partitions: &[PartitionId]) {
        self.name("partitions").list(partitions, |line, partition| {
            line.partition(*partition);
            line.text.pop();
        });
    }

    fn nodes(&mut self, nodes: &[NodeId]) {
        let numbers: Vec<String> = nodes.iter().map(|node| node.0.to_string()).collect();
        write!(self.text, "[{}]", numbers.join(",")).expect("writing to a string cannot fail");
    }
}
