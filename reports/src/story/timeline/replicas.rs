//! What becomes of the logs of replicas.

use ktrial_models::ids::{PartitionId, RecordId};
use ktrial_models::notes::LogNote;
use ktrial_sim::{NodeId, Time};

use super::{About, Chronicle};
use crate::story::changes;
use crate::story::words::plural;

impl Chronicle<'_> {
    pub(super) fn log(&mut self, at: Time, node: NodeId, id: PartitionId, note: &LogNote) {
        let before = self.logs.end(node, id);
        let gone = self.logs.note(at, node, id, note, &self.view.detailed.contents);
        let records: Vec<RecordId> = gone.iter().map(|(record, _)| *record).collect();
        let (name, partition) = (self.view.name(node), self.view.partition(id));
        match note {
            LogNote::Truncated { to, from, reason, .. } if from > to => {
                let why = changes::cut_because(*reason);
                let text = format!(
                    "{name} cuts {partition} back from {from} to {to}, {why}: {}",
                    self.amount(at, &records)
                );
                self.line(at, About::Broker, text);
            }
            // Every replica deletes for itself; that the first one does is the news.
            LogNote::SegmentsDeleted { below, batches, why }
                if self.deleted.get(id).is_none_or(|deleted| deleted < below) =>
            {
                self.deleted.insert(id, *below);
                let contents = &self.view.detailed.contents;
                let records = batches.iter().map(|batch| contents.records(batch.records).len());
                let text = format!(
                    "{name} deletes {partition} below {below}, {}: {}",
                    changes::deleted_because(*why),
                    plural(records.sum(), "record")
                );
                self.line(at, About::Broker, text);
            }
            LogNote::Loaded { end, .. } if *end < before => {
                let text = format!(
                    "{name} finds {partition} up to {end} only, not to {before}: {}",
                    self.amount(at, &records)
                );
                self.line(at, About::Broker, text);
            }
            LogNote::Offline => {
                self.line(
                    at,
                    About::Broker,
                    format!("{name} takes {partition} offline: its disk failed"),
                );
            }
            _ => {}
        }
    }

    /// `28 records gone there (p1-3 to p1-30), 12 of them acknowledged`.
    fn amount(&self, at: Time, records: &[RecordId]) -> String {
        if records.is_empty() {
            return "no record gone".to_owned();
        }
        let acknowledged = records
            .iter()
            .filter(|record| self.view.acknowledged_by(**record, at))
            .count();
        let acknowledged = match acknowledged {
            0 => "none of them acknowledged by then".to_owned(),
            all if all == records.len() => "all acknowledged to their producer".to_owned(),
            some => format!("{some} of them acknowledged to their producer"),
        };
        format!(
            "{} gone there ({}), {acknowledged}",
            plural(records.len(), "record"),
            self.view.records(records)
        )
    }
}
