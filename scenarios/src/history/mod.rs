//! A trial as the history that its clients would have written (`ktrial.history/1`).

mod clients;
mod faults;
mod header;

use std::collections::BTreeSet;

use ktrial_models::history::{
    Extent, FinalRead, History, Isolation, NodeId as HistoryNode, Operation, PartitionState, Placed,
    RecordId as HistoryRecord,
};
use ktrial_models::ids::{PartitionId, RecordId, ServerId};
use ktrial_models::metadata::PartitionRegistration;
use ktrial_sim::{NodeId, Time};

use crate::scenario::Arm;
use crate::trial::{Detailed, Ending};
use header::header;
pub(crate) use header::shape;

/// What the clients of a trial saw, from the story that was kept of it.
pub fn history(arm: &Arm, detailed: &Detailed) -> History {
    write(arm, detailed, false)
}

/// The same as a recorder of a real cluster would have written it: of a send that failed it knows the last error, and
/// not what became of every attempt.
pub(crate) fn recorded_history(arm: &Arm, detailed: &Detailed) -> History {
    write(arm, detailed, true)
}

fn write(arm: &Arm, detailed: &Detailed, recorded: bool) -> History {
    let mut writer = Writer {
        history: History::new(header(arm)),
        arm,
        detailed,
        recorded,
        healed: false,
        down: BTreeSet::new(),
        dead: BTreeSet::new(),
        rolling: BTreeSet::new(),
        known: Vec::new(),
    };
    writer.servers_start();
    for (at, told) in detailed.story.told() {
        writer.told(*at, told);
    }
    writer.clients_end();
    for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
        writer.finals(isolation);
    }
    writer.history
}

struct Writer<'a> {
    history: History,
    arm: &'a Arm,
    detailed: &'a Detailed,
    /// Only what a recorder of a real cluster knows is written.
    recorded: bool,
    /// The faults are over.
    healed: bool,
    /// Clients whose process was ended.
    down: BTreeSet<NodeId>,
    /// Nodes whose process was killed.
    dead: BTreeSet<NodeId>,
    /// Servers that are to be shut down one after the other.
    rolling: BTreeSet<NodeId>,
    /// By partition: the last state told, so that what a second controller repeats is not told twice.
    known: Vec<Option<PartitionRegistration>>,
}

impl Writer<'_> {
    fn name(&self, node: NodeId) -> String {
        self.detailed.layout.name(node).to_owned()
    }

    fn record(&mut self, record: RecordId) -> HistoryRecord {
        let name = self.detailed.layout.name(record.producer);
        HistoryRecord::Counted {
            process: self.history.names.process(name),
            number: record.number,
        }
    }

    fn partition(&mut self, partition: PartitionId) -> Option<ktrial_models::history::PartitionId> {
        let name = self.detailed.partitions.get(partition)?;
        // What groups keep in their own topic no client is shown.
        if name.topic == self.arm.resolved.cluster.groups.offsets_topic.name {
            return None;
        }
        let topic = self.history.names.topic(&name.topic);
        Some(self.history.names.partition(topic, name.index))
    }

    fn state(&mut self, at: Time, partition: PartitionId, registration: &PartitionRegistration) {
        let index = partition.0 as usize;
        if self.known.len() <= index {
            self.known.resize(index + 1, None);
        }
        let newer = self.known[index]
            .as_ref()
            .is_none_or(|known| known.partition_epoch < registration.partition_epoch);
        let Some(named) = self.partition(partition).filter(|_| newer) else {
            return;
        };
        self.known[index] = Some(registration.clone());
        let node = |server: &ServerId| HistoryNode(i32::from(server.0));
        let state = PartitionState {
            partition: named,
            leader: registration.leader.as_ref().map(node),
            isr: registration.isr.iter().map(node).collect(),
            elr: registration.elr.iter().map(node).collect(),
            last_known_elr: registration.last_known_elr.iter().map(node).collect(),
        };
        self.history.push(at, Operation::State(Box::new(state)));
    }

    /// Producers that have the outcome of every send end as they should.
    fn clients_end(&mut self) {
        if self.detailed.trial.ending != Ending::Converged {
            return;
        }
        for client in self.detailed.layout.clients() {
            let process = self.history.names.process(self.detailed.layout.name(client));
            self.history
                .push(self.detailed.trial.ended, Operation::End { process });
        }
    }

    fn finals(&mut self, isolation: Isolation) {
        let at = self.detailed.trial.ended;
        let partitions: Vec<PartitionId> = self.detailed.partitions.iter().map(|(id, _)| id).collect();
        for partition in partitions {
            let Some(named) = self.partition(partition) else {
                continue;
            };
            let log = self.detailed.finals.iter().find(|log| log.partition == partition);
            let (extent, records) = match log {
                None => (Err(self.history.names.error("LEADER_NOT_AVAILABLE")), Vec::new()),
                Some(log) => {
                    let placed = log.records.iter().map(|(offset, record)| Placed {
                        partition: named,
                        offset: *offset,
                        record: self.record(*record),
                    });
                    let placed: Vec<Placed> = placed.collect();
                    let known = self.detailed.extents.get(partition).copied().unwrap_or_default();
                    // What stands above the high watermark nobody is given: the reader gave up before the log's end.
                    let extent = Extent {
                        start: known.start,
                        end: known.end,
                        reached: known.high_watermark,
                    };
                    (Ok(extent), placed)
                }
            };
            let records = self.history.keep(records);
            let read = FinalRead {
                partition: named,
                isolation,
                extent,
                message: None,
                records,
            };
            self.history.push(at, Operation::Final(Box::new(read)));
        }
    }
}
