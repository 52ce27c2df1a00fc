//! What groups came to: records that nobody processed, or somebody twice, or too late.

use ktrial_models::ids::RecordId;
use ktrial_scenarios::{GroupCounts, GroupOutcome, Work};
use serde::Serialize;

use super::words::{View, plural};

/// What a group came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupStory {
    /// Its name.
    pub group: String,
    /// In numbers.
    #[serde(flatten)]
    pub counts: GroupCounts,
    /// In words: what its members did, and then what went wrong.
    pub lines: Vec<String>,
}

/// Every group of a trial.
pub fn groups(view: View<'_>) -> Vec<GroupStory> {
    let names = &view.arm.resolved.cluster.groups.names;
    let outcomes = view.detailed.groups.iter();
    let stories = outcomes.map(|outcome| GroupStory {
        group: names[usize::from(outcome.group.0)].clone(),
        counts: outcome.counts,
        lines: lines(view, outcome),
    });
    stories.collect()
}

fn lines(view: View<'_>, outcome: &GroupOutcome) -> Vec<String> {
    let counts = &outcome.counts;
    let mut lines = vec![format!(
        "processed {}",
        plural(counts.processed as usize, "record")
    )];
    let deleted = match counts.unprocessed_deleted {
        0 => String::new(),
        deleted => format!(", {deleted} of them deleted by retention"),
    };
    named(
        view,
        &mut lines,
        "processed by nobody",
        &outcome.unprocessed,
        &deleted,
    );
    lines.extend(super::unprocessed::reasons(view, outcome));
    let mut add = |what: &str, records: &[RecordId], more: &str| named(view, &mut lines, what, records, more);
    add(
        "processed behind a later one of the same key",
        &outcome.reordered,
        "",
    );
    let twice: Vec<RecordId> = outcome.twice.iter().map(|(record, _)| *record).collect();
    add("processed more than once", &twice, "");
    if let Some((record, work)) = most(outcome) {
        let times = match counts.processed_most {
            2 => "twice".to_owned(),
            most => format!("{most} times"),
        };
        lines.push(format!(
            "  {} {times}: {}",
            view.record(*record),
            told(view, work)
        ));
    }
    if counts.processed_together > 0 {
        lines.push(format!(
            "  {} of them in work at {} members at the same time",
            counts.processed_together, counts.processed_places
        ));
    }
    if let Some(sink) = &counts.sink {
        lines.push(format!(
            "its sink took effect of {}: {} missing, {} effects repeated, {} out of order by key, {} stale in the end",
            plural(sink.applied as usize, "record"),
            sink.missing,
            sink.repeated,
            sink.reordered,
            plural(sink.stale as usize, "key"),
        ));
    }
    lines
}

fn named(view: View<'_>, lines: &mut Vec<String>, what: &str, records: &[RecordId], more: &str) {
    if !records.is_empty() {
        let (count, named) = (plural(records.len(), "record"), view.records(records));
        lines.push(match named.starts_with(&count) {
            true => format!("{what}: {named}{more}"),
            false => format!("{what}: {count} ({named}){more}"),
        });
    }
}

/// The first of the records that were processed most often.
fn most(outcome: &GroupOutcome) -> Option<&(RecordId, Vec<Work>)> {
    let most = outcome.counts.processed_most as usize;
    outcome.twice.iter().find(|(_, work)| work.len() == most)
}

/// At most so many are told one by one.
const ONE_BY_ONE: usize = 4;

fn told(view: View<'_>, work: &[Work]) -> String {
    let each = work.iter().take(ONE_BY_ONE).map(|one| {
        let (from, to) = (view.moment(one.from), view.moment(one.to));
        format!("by {} from {from} to {to}", view.name(one.member))
    });
    let mut told = each.collect::<Vec<_>>().join(", ");
    if work.len() > ONE_BY_ONE {
        told.push_str(", and so on");
    }
    told
}
