//! What clients did and were told.

use ktrial_models::history::{KnownOutcome, Operation, Placed};
use ktrial_models::ids::{Offset, PartitionId, RecordId};
use ktrial_models::notes::{ClientNote, CommittedBy, FailureClass};
use ktrial_sim::{NodeId, Time};

use super::Writer;

impl Writer<'_> {
    pub(super) fn client(&mut self, at: Time, node: NodeId, note: &ClientNote) {
        let process = self.history.names.process(self.detailed.layout.name(node));
        let operation = match note {
            ClientNote::Started => {
                let consumer = self.detailed.layout.consumer_index(node);
                let group = consumer.map(|consumer| self.arm.resolved.consumers[consumer].group);
                let names = &self.arm.resolved.cluster.groups.names;
                let group = group.map(|group| self.history.names.text(&names[usize::from(group.0)]));
                Operation::Start { process, group }
            }
            ClientNote::Sent { record, key } => {
                let Some(producer) = self.detailed.layout.producer_index(record.producer) else {
                    return;
                };
                let topic = usize::from(self.arm.resolved.producers[producer].0.topic);
                let topic = &self.arm.resolved.cluster.topics[topic].name;
                Operation::Send {
                    process,
                    record: self.record(*record),
                    topic: self.history.names.topic(topic),
                    key: key.map(|key| self.history.names.key(&format!("k{key}"))),
                }
            }
            ClientNote::Acknowledged {
                records,
                partition,
                base_offset,
            } => {
                let index = self.detailed.partitions.get(*partition).map(|name| name.index);
                let records = self.detailed.contents.records(*records);
                let records: Vec<RecordId> = records.iter().map(|record| record.id).collect();
                for (record, place) in records.into_iter().zip(0..) {
                    let ok = Operation::Ok {
                        record: self.record(record),
                        partition: index.unwrap_or_default(),
                        offset: base_offset.map(|base| base.plus(place)),
                    };
                    self.history.push(at, ok);
                }
                return;
            }
            ClientNote::Failed {
                record, error, class, ..
            } => Operation::Error {
                record: self.record(*record),
                error: self.history.names.error(error),
                message: None,
                outcome: (!self.recorded).then_some(match class {
                    FailureClass::Definite => KnownOutcome::Failed,
                    FailureClass::Unknown => KnownOutcome::Unknown,
                }),
            },
            ClientNote::Polled {
                partition,
                from,
                batch,
                first,
                count,
                ..
            } => {
                let Some(partition) = self.partition(*partition) else {
                    return;
                };
                let records = self.detailed.contents.records(batch.records);
                let records = &records[*first as usize..][..*count as usize];
                let records: Vec<RecordId> = records.iter().map(|record| record.id).collect();
                let placed: Vec<Placed> = records
                    .into_iter()
                    .enumerate()
                    .map(|(number, record)| Placed {
                        partition,
                        offset: from.plus(number as u64),
                        record: self.record(record),
                    })
                    .collect();
                let records = self.history.keep(placed);
                Operation::Poll { process, records }
            }
            ClientNote::Processed {
                batch, first, count, ..
            } => {
                let records = self.detailed.contents.records(batch.records);
                let records = &records[*first as usize..][..*count as usize];
                let records: Vec<RecordId> = records.iter().map(|record| record.id).collect();
                for record in records {
                    let record = self.record(record);
                    self.history.push(at, Operation::Processed { process, record });
                }
                return;
            }
            ClientNote::Committed {
                offsets,
                by: CommittedBy::Application,
            } => Operation::Commit {
                process,
                offsets: self.offsets(offsets),
            },
            ClientNote::CommitFailed {
                offsets,
                by: CommittedBy::Application,
                error,
            } => Operation::CommitError {
                process,
                offsets: self.offsets(offsets),
                error: self.history.names.error(error),
                message: None,
            },
            // A listener that is told of no partitions has nothing to tell.
            ClientNote::Assigned {
                added: partitions, ..
            }
            | ClientNote::Revoked(partitions)
            | ClientNote::Lost(partitions)
                if partitions.is_empty() =>
            {
                return;
            }
            ClientNote::Assigned { added, .. } => Operation::Assigned {
                process,
                partitions: self.partitions(added),
            },
            ClientNote::Revoked(partitions) => Operation::Revoked {
                process,
                partitions: self.partitions(partitions),
            },
            ClientNote::Lost(partitions) => Operation::Lost {
                process,
                partitions: self.partitions(partitions),
            },
            ClientNote::Sought { partition, .. } => Operation::Seek {
                process,
                partitions: self.partitions(&[*partition]),
            },
            ClientNote::Died(error) | ClientNote::Exited(error) => Operation::Died {
                process,
                error: self.history.names.error(error),
                message: None,
            },
            // Commits of the client itself are not seen by its application.
            ClientNote::Committed { .. }
            | ClientNote::CommitFailed { .. }
            | ClientNote::PollTimeout
            | ClientNote::Attempt { .. }
            | ClientNote::ProducerId(..)
            | ClientNote::PositionReset { .. }
            | ClientNote::ProcessingFailed { .. }
            | ClientNote::Applied { .. }
            | ClientNote::ApplyRefused { .. }
            | ClientNote::CaughtUp { .. }
            | ClientNote::Runs
            | ClientNote::Closes
            | ClientNote::Rebalance(_)
            | ClientNote::IsMember(_)
            | ClientNote::AsksForPositions(_)
            | ClientNote::AskedInVain(_)
            | ClientNote::CommitAnswered(_)
            | ClientNote::ToldPositions { .. }
            | ClientNote::Closed => return,
        };
        self.history.push(at, operation);
    }

    fn partitions(&mut self, partitions: &[PartitionId]) -> Box<[ktrial_models::history::PartitionId]> {
        let mut named = Vec::new();
        for partition in partitions {
            named.extend(self.partition(*partition));
        }
        named.into()
    }

    fn offsets(&mut self, offsets: &[(PartitionId, Offset)]) -> ktrial_models::history::Offsets {
        let mut named = Vec::new();
        for (partition, offset) in offsets {
            named.extend(self.partition(*partition).map(|partition| (partition, *offset)));
        }
        named.into()
    }
}
