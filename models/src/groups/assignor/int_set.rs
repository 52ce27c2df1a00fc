//! Java's `HashSet<Integer>`: a set of numbers that knows in which order Java goes through it. The order decides
//! which partitions a member keeps that has too many.

/// How full the table may get: three quarters.
fn threshold(buckets: usize) -> usize {
    buckets / 4 * 3
}

/// A set of partition indexes.
#[derive(Clone, Debug)]
pub(in crate::groups) struct IntSet {
    buckets: usize,
    /// In the order in which they came.
    elements: Vec<u32>,
}

impl Default for IntSet {
    /// `new HashSet<>()`.
    fn default() -> Self {
        IntSet {
            buckets: 16,
            elements: Vec::new(),
        }
    }
}

impl IntSet {
    /// `new HashSet<>(list)`.
    pub(super) fn from_list(list: Vec<u32>) -> Self {
        IntSet {
            buckets: (list.len() * 4 / 3 + 1).max(16).next_power_of_two(),
            elements: list,
        }
    }

    /// `new HashSet<>(capacity)`.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        IntSet {
            buckets: capacity.next_power_of_two(),
            elements: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.elements.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Adds a number that is not in it.
    pub(super) fn add(&mut self, number: u32) {
        self.elements.push(number);
        // A table of two takes one, and one of one takes none, before it doubles.
        let limit = match self.buckets {
            1 => 0,
            2 => 1,
            buckets => threshold(buckets),
        };
        if self.elements.len() > limit {
            self.buckets *= 2;
        }
    }

    pub(super) fn remove(&mut self, number: u32) {
        self.elements.retain(|known| *known != number);
    }

    /// All, as Java goes through them: bucket by bucket, within one in the order in which they came. Buckets with
    /// eight entries or more, which Java turns into trees or splits, are taken for lists.
    pub(super) fn in_order(&self) -> Vec<u32> {
        let mut order = self.elements.clone();
        order.sort_by_key(|number| *number as usize & (self.buckets - 1));
        order
    }
}
