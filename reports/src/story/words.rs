//! Names and times as stories use them.

use std::fmt;

use ktrial_models::ids::{Offset, PartitionId, RecordId, ServerId};
use ktrial_models::notes::{ClientNote, ClusterNote, Note};
use ktrial_scenarios::{Arm, Detailed, Outcome, PartitionName, Sent, Told};
use ktrial_sim::{Duration, NodeId, Time};
use serde::{Serialize, Serializer};

use crate::numbers;

/// An instant relative to the clients' start, in microseconds; negative before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// The instant `at` of a trial whose clients started at `start`.
    pub fn of(at: Time, start: Time) -> Self {
        let micros = |time: Time| (time.0 / 1_000) as i64;
        Moment(micros(at) - micros(start))
    }
}

impl fmt::Display for Moment {
    /// Seconds with three decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let millis = self.0.unsigned_abs() / 1_000;
        f.pad(&format!("{sign}{}.{:03} s", millis / 1_000, millis % 1_000))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

/// A trial and what it ran with, to ask for names.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Settings and cluster.
    pub arm: &'a Arm,
    /// Everything that was kept.
    pub detailed: &'a Detailed,
}

impl<'a> View<'a> {
    /// A machine.
    pub fn name(self, node: NodeId) -> &'a str {
        self.detailed.layout.name(node)
    }

    /// A server.
    pub fn server(self, server: ServerId) -> &'a str {
        self.name(server.node())
    }

    /// Whether a broker runs on a machine: not on that of a dedicated controller.
    pub fn is_broker(self, node: NodeId) -> bool {
        let servers = &self.arm.resolved.cluster.servers;
        servers
            .iter()
            .any(|server| server.broker && server.id.node() == node)
    }

    /// Servers, or `none`.
    pub fn servers(self, servers: &[ServerId]) -> String {
        if servers.is_empty() {
            return "none".to_owned();
        }
        let names: Vec<&str> = servers.iter().map(|server| self.server(*server)).collect();
        names.join(" ")
    }

    /// A partition's name, if it ever was created.
    pub fn partition_name(self, partition: PartitionId) -> Option<&'a PartitionName> {
        self.detailed.partitions.get(partition)
    }

    /// A partition as Kafka writes it.
    pub fn partition(self, partition: PartitionId) -> String {
        self.partition_name(partition)
            .map_or_else(|| format!("partition {partition}"), ToString::to_string)
    }

    /// The machines that held replicas of a partition in the end.
    pub fn replicas(self, partition: PartitionId) -> Vec<NodeId> {
        let told = self.detailed.story.told().iter().rev();
        told.filter_map(|(_, told)| match told {
            Told::Note(
                _,
                _,
                Note::Cluster(ClusterNote::Partition {
                    partition: of,
                    registration,
                    ..
                }),
            ) if *of == partition => Some(
                registration
                    .replicas
                    .iter()
                    .map(|replica| replica.node())
                    .collect(),
            ),
            _ => None,
        })
        .next()
        .unwrap_or_default()
    }

    /// What clients told, when and which.
    pub fn client_notes(self) -> impl Iterator<Item = (Time, NodeId, &'a ClientNote)> {
        let told = self.detailed.story.told().iter();
        told.filter_map(|(at, told)| match told {
            Told::Note(node, _, Note::Client(note)) => Some((*at, *node, note)),
            _ => None,
        })
    }

    /// A record as histories write it.
    pub fn record(self, record: RecordId) -> String {
        format!("{}-{}", self.name(record.producer), record.number)
    }

    /// When something happened.
    pub fn moment(self, at: Time) -> Moment {
        Moment::of(at, self.detailed.trial.clients_started)
    }

    /// What its application was told of a record.
    pub fn sent(self, record: RecordId) -> Option<&'a Sent> {
        let producer = self.detailed.layout.producer_index(record.producer)?;
        self.detailed
            .ledger
            .sends()
            .get(producer)?
            .get(record.number as usize)
    }

    /// Whether a record had been acknowledged by an instant.
    pub fn acknowledged_by(self, record: RecordId, at: Time) -> bool {
        self.sent(record)
            .is_some_and(|sent| sent.outcome == Outcome::Acknowledged && sent.told <= at)
    }

    /// Records in one phrase: `p1-3`, `p1-3 to p1-9`, `12 records between p1-3 and p1-90`.
    pub fn records(self, records: &[RecordId]) -> String {
        let mut sorted = records.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        match sorted.as_slice() {
            [] => "no record".to_owned(),
            [one] => self.record(*one),
            [first, .., last] => {
                let unbroken = first.producer == last.producer
                    && (last.number - first.number) as usize == sorted.len() - 1;
                let (first, last) = (self.record(*first), self.record(*last));
                if unbroken {
                    format!("{first} to {last}")
                } else {
                    format!("{} records between {first} and {last}", sorted.len())
                }
            }
        }
    }
}

/// `1 record`, `28 records`.
pub fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", numbers::count(count as u64)),
    }
}

/// Offsets in one phrase.
pub fn offsets(least: Offset, most: Offset) -> String {
    if least == most {
        format!("offset {least}")
    } else {
        format!("offsets {least} to {most}")
    }
}

/// From one instant to another, as people read it.
pub fn length(from: Time, to: Time) -> String {
    numbers::time(Duration(to.0.saturating_sub(from.0)))
}
