//! How records came to stand twice.

use std::collections::{BTreeMap, BTreeSet};

use ktrial_models::ids::{Offset, PartitionId, RecordId};

use super::course::Course;
use super::losses::Explanation;
use super::words::{View, plural};

/// Records that stand more than once in the final logs, those with the same number of attempts together.
pub fn duplicates(view: View<'_>) -> Vec<Explanation> {
    let mut places: BTreeMap<RecordId, Vec<(PartitionId, Offset)>> = BTreeMap::new();
    for log in &view.detailed.finals {
        for (offset, record) in &log.records {
            places.entry(*record).or_default().push((log.partition, *offset));
        }
    }
    places.retain(|_, places| places.len() > 1);
    let interest: BTreeSet<RecordId> = places.keys().copied().collect();
    if interest.is_empty() {
        return Vec::new();
    }
    let course = Course::of(view, &interest);
    let mut records: Vec<RecordId> = places.keys().copied().collect();
    records.sort_unstable();
    // Records that were sent, and sent again, within a second of each other are told together.
    let second = |one: &RecordId, other: &RecordId| {
        let tries = |record| course.attempts.get(record).map_or(&[][..], Vec::as_slice);
        let (one_tries, other_tries) = (tries(one), tries(other));
        one.producer == other.producer
            && places[one][0].0 == places[other][0].0
            && one_tries.len() == other_tries.len()
            && one_tries
                .iter()
                .zip(other_tries)
                .all(|(one, other)| one.1 == other.1 && one.0.0.abs_diff(other.0.0) < 1_000_000_000)
    };
    let groups: Vec<&[RecordId]> = records.chunk_by(second).collect();
    let idempotent = |record: &RecordId| {
        let index = view.detailed.layout.producer_index(record.producer);
        index.is_some_and(|index| view.arm.resolved.producers[index].0.settings.enable_idempotence)
    };
    let explained = groups.into_iter().map(|records| {
        let first = records[0];
        let partition = places[&first][0].0;
        let at: Vec<String> = places[&first]
            .iter()
            .map(|(_, offset)| offset.to_string())
            .collect();
        let tries: Vec<String> = course
            .attempts
            .get(&first)
            .into_iter()
            .flatten()
            .map(|(at, to)| format!("to {} at {}", view.server(*to), view.moment(*at)))
            .collect();
        let steps = vec![
            format!("{} stands at offsets {}", view.record(first), at.join(" and ")),
            format!(
                "it was sent {}: {}",
                plural(tries.len(), "time"),
                tries.join(", ")
            ),
        ];
        let settings = match idempotent(&first) {
            true => Vec::new(),
            false => vec![
                "enable.idempotence=false: the broker cannot tell a retry from a new batch; with true it answers a \
                 retry with the first offset"
                    .to_owned(),
            ],
        };
        Explanation {
            count: records.len(),
            records: view.records(records),
            partition: view.partition(partition),
            steps,
            settings,
        }
    });
    explained.collect()
}
