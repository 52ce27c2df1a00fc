//! What applications send, expanded from the seed before a trial starts.

use std::sync::Arc;

use ktrial_models::specification::SendOperation;
use ktrial_sim::{Chance, Duration, Identity, Site};

/// A producer's application: so many records, evenly spread with some jitter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Between two sends on average.
    pub interval: Duration,
    /// How many records at most; unlimited: for as long as the faults last.
    pub count: Option<u32>,
    /// Key, value and overhead of a record in bytes.
    pub bytes: u32,
    /// The record's number is written in it: its digits come on top of `bytes`.
    pub numbered: bool,
    /// Keys are drawn from this many; 0: records have no key.
    pub keys: u32,
}

/// How early or late a send is.
const JITTER: Site = Site(100);
/// A record's key.
const KEY: Site = Site(101);

impl Workload {
    /// The sends of the producer with this number, over `duration`.
    pub fn expand(&self, chance: &Chance, producer: usize, duration: Duration) -> Arc<[SendOperation]> {
        let interval = self.interval.0.max(1);
        let most = duration.0 / interval;
        let count = self.count.map_or(most, |count| most.min(u64::from(count)));
        (0..count)
            .map(|number| {
                // A fifth of the interval early or late: applications are no metronomes.
                let send = Identity(producer as u64, number);
                let jitter = chance.below(JITTER, send, interval * 2 / 5 + 1);
                let after = Duration(number * interval + interval * 4 / 5 + jitter);
                let digits = if self.numbered {
                    number.max(1).ilog10() + 1
                } else {
                    0
                };
                let key = (self.keys > 0).then(|| chance.below(KEY, send, u64::from(self.keys)) as u32);
                SendOperation {
                    after,
                    key,
                    bytes: self.bytes + digits,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_in_order_of_time_and_ends_with_the_faults() {
        let workload = Workload {
            interval: Duration::millis(10),
            count: None,
            bytes: 100,
            numbered: false,
            keys: 3,
        };
        let sends = workload.expand(&Chance::new(1), 0, Duration::secs(2));
        assert_eq!(sends.len(), 200);
        assert!(sends.is_sorted_by_key(|send| send.after));
        assert!(sends.iter().all(|send| send.key.is_some_and(|key| key < 3)));
    }

    #[test]
    fn two_producers_send_at_different_instants() {
        let workload = Workload {
            interval: Duration::millis(10),
            count: Some(5),
            bytes: 100,
            numbered: false,
            keys: 0,
        };
        let chance = Chance::new(1);
        let second = Duration::secs(1);
        assert_ne!(
            workload.expand(&chance, 0, second),
            workload.expand(&chance, 1, second)
        );
    }

    #[test]
    fn the_number_that_is_written_in_a_record_counts_with_its_digits() {
        let workload = Workload {
            interval: Duration::millis(1),
            count: None,
            bytes: 100,
            numbered: true,
            keys: 0,
        };
        let sends = workload.expand(&Chance::new(1), 0, Duration::secs(2));
        let bytes = [0, 9, 10, 99, 100, 1_000].map(|number| sends[number].bytes);
        assert_eq!(bytes, [101, 101, 102, 102, 103, 104]);
    }
}
