//! Brokers that answer for partitions which they lead no more.

use std::collections::BTreeMap;

use ktrial_models::ids::{PartitionId, RecordId};
use ktrial_models::metadata::PartitionRegistration;
use ktrial_models::notes::LeaderNote;
use ktrial_models::protocol::ErrorCode;
use ktrial_sim::{NodeId, Time};

use super::timeline::{About, Line};
use super::words::{View, length, plural};

/// What one of them did.
struct Stale {
    since: Time,
    last: Time,
    epoch: u32,
    records: Vec<RecordId>,
}

/// All of them.
#[derive(Default)]
pub struct StaleLeaders(BTreeMap<(NodeId, PartitionId), Stale>);

impl StaleLeaders {
    /// Takes in what a leader told while `registration` was committed.
    pub fn note(
        &mut self,
        view: View<'_>,
        at: Time,
        node: NodeId,
        partition: PartitionId,
        registration: Option<&PartitionRegistration>,
        note: &LeaderNote,
    ) {
        let (
            LeaderNote::Answered {
                records,
                error: ErrorCode::None,
                ..
            },
            Some(registration),
        ) = (note, registration)
        else {
            return;
        };
        if registration.leader.map(|leader| leader.node()) == Some(node) {
            return;
        }
        let stale = self.0.entry((node, partition)).or_insert(Stale {
            since: at,
            last: at,
            epoch: registration.leader_epoch.0,
            records: Vec::new(),
        });
        stale.last = at;
        let records = view.detailed.contents.records(*records);
        stale.records.extend(records.iter().map(|record| record.id));
    }

    /// A line for each.
    pub fn lines(&self, view: View<'_>) -> Vec<Line> {
        let line = |((node, partition), stale): (&(NodeId, PartitionId), &Stale)| Line {
            at: view.moment(stale.since),
            about: About::Broker,
            text: format!(
                "{} still takes itself for the leader of {} although epoch {} has begun: it acknowledges {} in {} ({})",
                view.name(*node),
                view.partition(*partition),
                stale.epoch,
                plural(stale.records.len(), "record"),
                length(stale.since, stale.last),
                view.records(&stale.records),
            ),
        };
        self.0.iter().map(line).collect()
    }
}
