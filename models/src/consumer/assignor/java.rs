//! The order in which a Java `HashMap` is gone through.

/// `String.hashCode`.
pub(super) fn string_hash(text: &str) -> u32 {
    let step = |hash: u32, unit: u16| hash.wrapping_mul(31).wrapping_add(u32::from(unit));
    text.encode_utf16().fold(0, step)
}

/// `TopicPartition.hashCode`.
pub(super) fn partition_hash(topic: &str, index: u32) -> u32 {
    (31u32.wrapping_add(index))
        .wrapping_mul(31)
        .wrapping_add(string_hash(topic))
}

/// How many buckets a table has that grew from empty to `entries`.
fn buckets(entries: usize) -> usize {
    let mut buckets = 16;
    while entries * 4 > buckets * 3 {
        buckets *= 2;
    }
    buckets
}

fn bucket(hash: u32, buckets: usize) -> usize {
    (hash ^ hash >> 16) as usize & (buckets - 1)
}

/// In which order entries come that were put in the order of `hashes`. Buckets with eight entries or more, which
/// Java turns into trees, are taken for lists.
pub(super) fn hash_map_order(hashes: impl ExactSizeIterator<Item = u32>) -> Vec<usize> {
    let buckets = buckets(hashes.len());
    let mut order: Vec<(usize, usize)> = hashes
        .enumerate()
        .map(|(place, hash)| (bucket(hash, buckets), place))
        .collect();
    order.sort();
    order.into_iter().map(|(_, place)| place).collect()
}

/// A `HashSet` that is asked for its first element.
#[derive(Clone, Debug)]
pub(super) struct HashSet<T> {
    elements: Vec<(u32, T)>,
    most: usize,
}

impl<T: Copy + PartialEq> HashSet<T> {
    pub(super) fn new() -> Self {
        HashSet {
            elements: Vec::new(),
            most: 0,
        }
    }

    pub(super) fn add(&mut self, hash: u32, element: T) {
        if !self.elements.iter().any(|(_, known)| *known == element) {
            self.elements.push((hash, element));
            self.most = self.most.max(self.elements.len());
        }
    }

    pub(super) fn remove(&mut self, element: T) {
        self.elements.retain(|(_, known)| *known != element);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The first element: of the lowest bucket, the one that came first. Tables do not shrink.
    pub(super) fn first(&self) -> Option<T> {
        let buckets = buckets(self.most);
        let first = self
            .elements
            .iter()
            .min_by_key(|(hash, _)| bucket(*hash, buckets));
        first.map(|(_, element)| *element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_and_a_partition_hash_as_in_java() {
        assert_eq!(string_hash("consumer-1"), 4128728090);
        assert_eq!(string_hash("ab"), 97 * 31 + 98);
        assert_eq!(partition_hash("ab", 2), 33 * 31 + 97 * 31 + 98);
    }

    #[test]
    fn a_table_doubles_when_it_is_three_quarters_full() {
        assert_eq!([12, 13, 24, 25].map(buckets), [16, 32, 32, 64]);
    }
}
