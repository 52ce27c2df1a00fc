//! Which record stands where on which server, followed through a story.

use std::collections::BTreeMap;

use ktrial_models::ids::{Offset, PartitionId, RecordId};
use ktrial_models::notes::{LogNote, TruncationReason};
use ktrial_models::records::Contents;
use ktrial_scenarios::{Action, Unflushed};
use ktrial_sim::{NodeId, Time};

/// How a copy of a record ceased to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// Its replica was cut: from this end to that one.
    Cut {
        /// The end before.
        from: Offset,
        /// The end after.
        to: Offset,
        /// Why.
        reason: TruncationReason,
    },
    /// It had not reached the disk when the power failed.
    PageCache,
    /// The disk was lost.
    Disk,
    /// It was not there when the log was loaded again.
    NotFound,
}

/// A copy that ceased to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// On which server.
    pub node: NodeId,
    /// In which partition.
    pub partition: PartitionId,
    /// At which offset.
    pub offset: Offset,
    /// When.
    pub at: Time,
    /// How.
    pub loss: Loss,
}

/// The logs of all servers.
#[derive(Default)]
pub struct Logs {
    replicas: BTreeMap<(NodeId, PartitionId), Vec<(Offset, RecordId)>>,
    /// Servers whose power failed since they last loaded anything.
    crashes: BTreeMap<NodeId, (Time, Loss)>,
}

impl Logs {
    /// Takes in what a replica told, and returns the copies that ceased to be.
    pub fn note(
        &mut self,
        at: Time,
        node: NodeId,
        partition: PartitionId,
        note: &LogNote,
        contents: &Contents,
    ) -> Vec<(RecordId, Gone)> {
        match note {
            LogNote::Appended { batch, .. } => {
                let log = self.replicas.entry((node, partition)).or_default();
                let records = contents.records(batch.records).iter().enumerate();
                log.extend(
                    records.map(|(number, record)| (batch.base_offset.plus(number as u64), record.id)),
                );
                Vec::new()
            }
            LogNote::Truncated { to, from, reason, .. } => {
                let loss = Loss::Cut {
                    from: *from,
                    to: *to,
                    reason: *reason,
                };
                self.cut(at, node, partition, *to, loss)
            }
            LogNote::SegmentsDeleted { below, .. } => {
                if let Some(log) = self.replicas.get_mut(&(node, partition)) {
                    let gone = log.partition_point(|(offset, _)| offset < below);
                    log.drain(..gone);
                }
                Vec::new()
            }
            LogNote::Loaded { end, .. } => {
                let (at, loss) = self.crashes.get(&node).copied().unwrap_or((at, Loss::NotFound));
                self.cut(at, node, partition, *end, loss)
            }
            _ => Vec::new(),
        }
    }

    /// Takes in a fault.
    pub fn fault(&mut self, at: Time, node: NodeId, action: &Action) -> Vec<(RecordId, Gone)> {
        match action {
            Action::PowerOff {
                unflushed: Unflushed::Drawn | Unflushed::Lost,
                ..
            } => {
                self.crashes.insert(node, (at, Loss::PageCache));
                Vec::new()
            }
            Action::LoseDisk(_) => {
                self.crashes.insert(node, (at, Loss::Disk));
                let partitions: Vec<PartitionId> = self
                    .replicas
                    .keys()
                    .filter(|(of, _)| *of == node)
                    .map(|(_, partition)| *partition)
                    .collect();
                partitions
                    .into_iter()
                    .flat_map(|partition| self.cut(at, node, partition, Offset(0), Loss::Disk))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn cut(
        &mut self,
        at: Time,
        node: NodeId,
        partition: PartitionId,
        to: Offset,
        loss: Loss,
    ) -> Vec<(RecordId, Gone)> {
        let Some(log) = self.replicas.get_mut(&(node, partition)) else {
            return Vec::new();
        };
        let stays = log.partition_point(|(offset, _)| *offset < to);
        let gone = log.split_off(stays).into_iter().map(|(offset, record)| {
            let gone = Gone {
                node,
                partition,
                offset,
                at,
                loss,
            };
            (record, gone)
        });
        gone.collect()
    }

    /// The servers that hold a record of a partition now, with its offset there.
    pub fn holders(&self, partition: PartitionId, record: RecordId) -> Vec<(NodeId, Offset)> {
        let logs = self.replicas.iter().filter(|((_, of), _)| *of == partition);
        logs.filter_map(|((node, _), log)| {
            let (offset, _) = log.iter().rev().find(|(_, found)| *found == record)?;
            Some((*node, *offset))
        })
        .collect()
    }

    /// Where a replica's log ends; nothing if it never held anything.
    pub fn end(&self, node: NodeId, partition: PartitionId) -> Offset {
        let last = self.replicas.get(&(node, partition)).and_then(|log| log.last());
        last.map_or(Offset(0), |(offset, _)| offset.plus(1))
    }
}
