//! The nearest known name to one that is not known.

/// Of `names`, the one with the fewest edits from `wanted` (insertions, deletions, replacements, swaps
/// of neighbours; words in another order count as one); none if that would be more than a third of it.
/// Of equals the first.
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: String = wanted.chars().take(200).collect();
    let letters: Vec<char> = wanted.chars().collect();
    let sorted: Vec<char> = in_order(&wanted).chars().collect();
    let most = (letters.len() / 3).max(1);
    names
        .map(|name| {
            (
                edits(&letters, name).min(1 + edits(&sorted, &in_order(name))),
                name,
            )
        })
        .filter(|(edits, _)| *edits <= most)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

fn in_order(name: &str) -> String {
    let mut words: Vec<&str> = name.split('.').collect();
    words.sort_unstable();
    words.join(".")
}

/// Optimal string alignment distance.
fn edits(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_or_a_missing_letter_finds_the_name() {
        let names = ["min.insync.replicas", "num.replica.fetchers", "acks"];
        assert_eq!(
            nearest("min.insnyc.replicas", names.into_iter()),
            Some("min.insync.replicas")
        );
        assert_eq!(
            nearest("min.in.sync.replica", names.into_iter()),
            Some("min.insync.replicas")
        );
        assert_eq!(nearest("ack", names.into_iter()), Some("acks"));
    }

    #[test]
    fn words_in_another_order_find_the_name() {
        let names = ["replica.lag.time.max.ms", "replica.fetch.wait.max.ms"];
        assert_eq!(
            nearest("replica.lag.max.time.ms", names.into_iter()),
            Some(names[0])
        );
    }

    #[test]
    fn something_else_entirely_has_no_nearest_name() {
        assert_eq!(
            nearest("schema.registry.url", ["acks", "retries"].into_iter()),
            None
        );
    }
}
