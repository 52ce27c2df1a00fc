//! Why nobody processed a record, where what the members were given tells.

use std::collections::BTreeMap;

use ktrial_models::config::OffsetReset;
use ktrial_models::ids::{Offset, PartitionId, RecordId};
use ktrial_models::notes::ClientNote;
use ktrial_scenarios::GroupOutcome;

use super::words::{View, plural};

/// What a group's members were given of a partition: from which offset on, and behind which nothing any more.
type Given = BTreeMap<PartitionId, (Offset, Offset)>;

fn given(view: View<'_>, outcome: &GroupOutcome) -> Given {
    let layout = &view.detailed.layout;
    let consumers = &view.arm.resolved.consumers;
    let mut given = Given::new();
    for (_, node, note) in view.client_notes() {
        let ClientNote::Polled {
            partition,
            from,
            count,
            ..
        } = note
        else {
            continue;
        };
        let consumer = layout.consumer_index(node);
        if consumer.is_some_and(|consumer| consumers[consumer].group == outcome.group) {
            let behind = from.plus(u64::from(*count));
            let (first, last) = given.entry(*partition).or_insert((*from, behind));
            (*first, *last) = ((*first).min(*from), (*last).max(behind));
        }
    }
    given
}

/// Where each of these records stands in the final logs.
fn places(view: View<'_>, records: &[RecordId]) -> Vec<(PartitionId, Offset)> {
    let mut places = Vec::new();
    for log in &view.detailed.finals {
        let of = log.records.iter();
        let of = of.filter(|(_, record)| records.binary_search(record).is_ok());
        places.extend(of.map(|(offset, _)| (log.partition, *offset)));
    }
    places
}

/// In lines: how many of the records that a group did not process were passed over, and by what.
pub(super) fn reasons(view: View<'_>, outcome: &GroupOutcome) -> Vec<String> {
    if outcome.unprocessed.is_empty() {
        return Vec::new();
    }
    let given = given(view, outcome);
    let mut told: BTreeMap<(PartitionId, &str), usize> = BTreeMap::new();
    for (partition, offset) in places(view, &outcome.unprocessed) {
        let why = match given.get(&partition) {
            None => "nothing",
            Some((first, _)) if offset < *first => "before",
            Some((_, last)) if offset >= *last => "behind",
            Some(_) => "between",
        };
        *told.entry((partition, why)).or_insert(0) += 1;
    }
    let consumers = view.arm.resolved.consumers.iter();
    let mut members = consumers.filter(|consumer| consumer.group == outcome.group);
    let latest = members.any(|member| member.reader.settings.auto_offset_reset == OffsetReset::Latest);
    let line = |((partition, why), count): ((PartitionId, &str), usize)| {
        let (name, count) = (view.partition(partition), plural(count, "record"));
        let (first, last) = given.get(&partition).copied().unwrap_or_default();
        match why {
            "nothing" => format!("  {count} of {name}: no member was given anything of it"),
            "before" if latest => format!(
                "  {count} of {name}: the group began at offset {first}, behind them: nothing was committed, and \
                 auto.offset.reset=latest begins at the log's end"
            ),
            "before" => format!("  {count} of {name}: the group began at offset {first}, behind them"),
            "behind" => format!("  {count} of {name}: the group came to offset {last}, and no further"),
            _ => format!("  {count} of {name}: given to a member, or passed over, and never finished with"),
        }
    };
    told.into_iter().map(line).collect()
}
