//! What clients saw, condensed: errors, silence, records that were read and are gone.

use std::collections::BTreeMap;

use ktrial_models::ids::RecordId;
use ktrial_models::invariants::Unread;
use ktrial_models::notes::ClientNote;
use ktrial_scenarios::{Outcome, Sent};
use ktrial_sim::{Duration, NodeId, Time};
use serde::Serialize;

use super::timeline::{About, Line};
use super::words::{View, length, plural};

/// Silence of at least this long is told.
const NOTICEABLE: Duration = Duration::secs(1);
/// The same error after less than this belongs to what went before.
const APART: Duration = Duration::secs(5);
/// Silence after less than this is the same trouble.
const INTERRUPTED: Duration = Duration::millis(500);

/// The outcome of one client's work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientSummary {
    /// Its name.
    pub client: String,
    /// What it met.
    pub text: String,
}

/// Lines about clients, to be put among the others.
pub fn lines(view: View<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    for producer in view.detailed.layout.producers() {
        let index = view.detailed.layout.producer_index(producer).expect("a producer");
        let sends = &view.detailed.ledger.sends()[index];
        errors(view, producer, sends, &mut lines);
        silence(view, producer, sends, &mut lines);
    }
    for reader in view
        .detailed
        .layout
        .readers()
        .chain(view.detailed.layout.consumers())
    {
        reading(view, reader, &mut lines);
    }
    lines
}

/// Runs of one error.
fn errors(view: View<'_>, producer: NodeId, sends: &[Sent], lines: &mut Vec<Line>) {
    let mut runs: BTreeMap<(&'static str, bool), Vec<(Time, RecordId)>> = BTreeMap::new();
    for (number, sent) in sends.iter().enumerate() {
        if let Some(error) = sent.error {
            let number = number as u32;
            runs.entry((error, sent.outcome == Outcome::Failed))
                .or_default()
                .push((sent.told, RecordId { producer, number }));
        }
    }
    for ((error, failed), mut told) in runs {
        told.sort_unstable();
        for run in told.chunk_by(|one, next| next.0.since(one.0) < APART) {
            let (first, last) = (run[0].0, run[run.len() - 1].0);
            let records: Vec<RecordId> = run.iter().map(|(_, record)| *record).collect();
            let meaning = if failed {
                "certainly not in the log"
            } else {
                "in the log or not, the producer cannot know"
            };
            let until = if last > first {
                format!(" within {}", length(first, last))
            } else {
                String::new()
            };
            let text = format!(
                "{} is told {error} for {}{until} ({}): {meaning}",
                view.name(producer),
                plural(run.len(), "send"),
                view.records(&records)
            );
            lines.push(Line {
                at: view.moment(first),
                about: About::Client,
                text,
            });
        }
    }
}

/// Stretches without acknowledgements while sends waited.
fn silence(view: View<'_>, producer: NodeId, sends: &[Sent], lines: &mut Vec<Line>) {
    let end = view.detailed.trial.ended;
    let mut acknowledged: Vec<Time> = sends
        .iter()
        .filter(|sent| sent.outcome == Outcome::Acknowledged)
        .map(|sent| sent.told)
        .collect();
    acknowledged.sort_unstable();
    let mut covered = Time::ZERO;
    let mut stretches: Vec<(Time, Time, usize)> = Vec::new();
    for sent in sends {
        let own_end = match sent.outcome {
            Outcome::Pending => end,
            _ => sent.told,
        };
        let next = acknowledged.partition_point(|at| *at <= sent.at);
        let until = acknowledged
            .get(next)
            .copied()
            .unwrap_or(end)
            .min(own_end.max(sent.at));
        if sent.at < covered || until.since(sent.at) <= NOTICEABLE {
            continue;
        }
        // Failed sends in between do not end the silence; the next acknowledgement does.
        let until = acknowledged.get(next).copied().unwrap_or(until);
        covered = until;
        let waiting = sends
            .iter()
            .filter(|other| other.at >= sent.at && other.at < until)
            .count();
        stretches.push((sent.at, until, waiting));
    }
    for run in stretches.chunk_by(|one, next| next.0.since(one.1) < INTERRUPTED) {
        let (from, until) = (run[0].0, run[run.len() - 1].1);
        let waiting: usize = run.iter().map(|(_, _, waiting)| waiting).sum();
        let name = view.name(producer);
        let what = match longest(run.iter().map(|(from, until, _)| (*from, *until))) {
            _ if run.len() == 1 => format!("{name} gets no acknowledgement for {}", length(from, until)),
            longest => format!(
                "{name} is left without acknowledgements {} times, for up to {longest}",
                run.len()
            ),
        };
        lines.push(Line {
            at: view.moment(from),
            about: About::Client,
            text: format!(
                "{what} (until {}), while it sends {}",
                view.moment(until),
                plural(waiting, "record")
            ),
        });
    }
}

/// The longest of some stretches.
fn longest(stretches: impl Iterator<Item = (Time, Time)>) -> String {
    let longest = stretches.max_by_key(|(from, until)| until.since(*from));
    longest.map_or_else(String::new, |(from, until)| length(from, until))
}

/// Stretches without records, as long as there was something to read.
fn reading(view: View<'_>, reader: NodeId, lines: &mut Vec<Line>) {
    let mut last: Option<Time> = None;
    let mut stretches: Vec<(Time, Time)> = Vec::new();
    for (at, node, note) in view.client_notes() {
        if node != reader || !matches!(note, ClientNote::Polled { .. }) {
            continue;
        }
        if let Some(last) = last.filter(|last| at.since(*last) > NOTICEABLE) {
            stretches.push((last, at));
        }
        last = Some(at);
    }
    for run in stretches.chunk_by(|one, next| next.0.since(one.1) < INTERRUPTED) {
        let (from, until) = (run[0].0, run[run.len() - 1].1);
        let name = view.name(reader);
        let what = match longest(run.iter().copied()) {
            _ if run.len() == 1 => format!("{name} is given nothing for {}", length(from, until)),
            longest => format!("{name} is given nothing {} times, for up to {longest}", run.len()),
        };
        lines.push(Line {
            at: view.moment(from),
            about: About::Client,
            text: format!("{what} (until {})", view.moment(until)),
        });
    }
}

/// Each client's work in a line.
pub fn summaries(view: View<'_>) -> Vec<ClientSummary> {
    let layout = &view.detailed.layout;
    let kept = kept(view);
    let producers = layout.producers().map(|producer| {
        let index = layout.producer_index(producer).expect("a producer");
        let sends = &view.detailed.ledger.sends()[index];
        let count = |outcome| sends.iter().filter(|sent| sent.outcome == outcome).count();
        let mut text = format!(
            "sent {}: {} acknowledged, {} failed for certain, {} unknown, {} without outcome",
            plural(sends.len(), "record"),
            count(Outcome::Acknowledged),
            count(Outcome::Failed),
            count(Outcome::Unknown),
            count(Outcome::Pending)
        );
        if count(Outcome::Unknown) > 0 {
            let there = sends.iter().enumerate().filter(|(number, sent)| {
                let number = *number as u32;
                let record = RecordId { producer, number };
                sent.outcome == Outcome::Unknown && kept.binary_search(&record).is_ok()
            });
            text.push_str(&format!(
                "; {} of the unknown are in the final log",
                there.count()
            ));
        }
        let again = sent_again(view, producer);
        if again > 0 {
            let noun = if again == 1 { "batch was" } else { "batches were" };
            text.push_str(&format!("; {again} {noun} sent again"));
        }
        ClientSummary {
            client: view.name(producer).to_owned(),
            text,
        }
    });
    let mut summaries: Vec<ClientSummary> = producers.collect();
    let gone = read_and_gone(view);
    for reader in layout.readers().chain(layout.consumers()) {
        let (mut records, mut polls) = (0, 0);
        for (_, node, note) in view.client_notes() {
            if let ClientNote::Polled { count, .. } = note
                && node == reader
            {
                records += *count as usize;
                polls += 1;
            }
        }
        let mut text = format!(
            "read {} in {}",
            plural(records, "record"),
            match polls {
                1 => "1 batch".to_owned(),
                _ => format!("{polls} batches"),
            }
        );
        if let Some(gone) = gone.get(&reader) {
            text.push_str(&format!(
                "; {} of them are in no log any more: {}",
                gone.len(),
                view.records(gone)
            ));
        }
        summaries.push(ClientSummary {
            client: view.name(reader).to_owned(),
            text,
        });
    }
    summaries
}

/// How many attempts of a producer were not the first of their batch.
fn sent_again(view: View<'_>, producer: NodeId) -> usize {
    let again = |note: &ClientNote| matches!(note, ClientNote::Attempt { attempt, .. } if *attempt > 0);
    let notes = view.client_notes();
    notes
        .filter(|(_, node, note)| *node == producer && again(note))
        .count()
}

/// All records of the final logs, sorted.
fn kept(view: View<'_>) -> Vec<RecordId> {
    let logs = view.detailed.finals.iter();
    let mut kept: Vec<RecordId> = logs
        .flat_map(|log| log.records.iter().map(|(_, record)| *record))
        .collect();
    kept.sort_unstable();
    kept
}

/// By reader, records that it was given and that no log holds.
fn read_and_gone(view: View<'_>) -> BTreeMap<NodeId, Vec<RecordId>> {
    let kept = kept(view);
    let mut gone: BTreeMap<NodeId, Vec<RecordId>> = BTreeMap::new();
    for (_, node, note) in view.client_notes() {
        let ClientNote::Polled {
            partition,
            batch,
            first,
            count,
            ..
        } = note
        else {
            continue;
        };
        let records = view.detailed.contents.records(batch.records);
        for record in &records[*first as usize..][..*count as usize] {
            let unread = || Unread::has(&view.detailed.unread, *partition, record.id);
            if kept.binary_search(&record.id).is_err() && !unread() {
                gone.entry(node).or_default().push(record.id);
            }
        }
    }
    for records in gone.values_mut() {
        records.sort_unstable();
        records.dedup();
    }
    gone
}
