//! The event queue: a timing wheel that pops in exact order of (time, insertion).
//!
//! One bucket holds 131 microseconds and is sorted when it is opened. Network latencies fall into the wheel; what lies
//! beyond its 33 ms, as most of Kafka's timers do, waits for the turn of the wheel in which it comes due (`later.rs`).

mod later;

use std::cmp::Reverse;

use crate::time::Time;
use later::Later;

const BUCKET_BITS: u32 = 17;
/// Few enough for the first level of a cache.
const BUCKETS: usize = 256;
const WORDS: usize = BUCKETS / 64;
/// Behind the last tick there is.
const NONE: u64 = u64::MAX;

#[derive(Clone, Copy)]
struct Entry<E> {
    time: Time,
    sequence: u64,
    event: E,
}

impl<E> Entry<E> {
    /// Time, then insertion: one number, because two are compared in many more steps.
    #[inline]
    fn key(&self) -> u128 {
        u128::from(self.time.0) << 64 | u128::from(self.sequence)
    }

    #[inline]
    fn tick(&self) -> u64 {
        self.time.0 >> BUCKET_BITS
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl<E> Eq for Entry<E> {}
impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
    // What the heap asks, without the way through an ordering.
    #[inline]
    fn lt(&self, other: &Self) -> bool {
        self.key() < other.key()
    }
    #[inline]
    fn le(&self, other: &Self) -> bool {
        self.key() <= other.key()
    }
}
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Events in the order of their time; those of one instant in the order they were pushed.
pub struct Queue<E> {
    /// The opened bucket, latest first, so that popping takes from the end.
    open: Vec<Entry<E>>,
    /// The tick whose events are in `open`; everything earlier has been popped.
    open_tick: u64,
    buckets: Box<[Vec<Entry<E>>; BUCKETS]>,
    /// One bit for each bucket that holds anything.
    occupied: [u64; WORDS],
    /// One bit for each word of these that is not zero.
    words: u16,
    later: Later<E>,
    pushed: u64,
    popped: u64,
}

impl<E: Copy> Default for Queue<E> {
    fn default() -> Self {
        Queue {
            open: Vec::new(),
            open_tick: 0,
            buckets: Box::new([const { Vec::new() }; BUCKETS]),
            occupied: [0; WORDS],
            words: 0,
            later: Later::default(),
            pushed: 0,
            popped: 0,
        }
    }
}

impl<E: Copy> Queue<E> {
    /// Forgets all events but keeps the memory.
    pub fn clear(&mut self) {
        self.open.clear();
        self.open_tick = 0;
        for word in 0..WORDS {
            while self.occupied[word] != 0 {
                let bit = self.occupied[word].trailing_zeros() as usize;
                self.buckets[word * 64 + bit].clear();
                self.occupied[word] &= self.occupied[word] - 1;
            }
        }
        self.words = 0;
        self.later.clear();
        self.pushed = 0;
        self.popped = 0;
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        (self.pushed - self.popped) as usize
    }

    /// Whether no event waits.
    pub fn is_empty(&self) -> bool {
        self.pushed == self.popped
    }

    /// Adds an event and returns its number, which orders it among those of the same instant.
    #[inline]
    pub fn push(&mut self, time: Time, event: E) -> u64 {
        let sequence = self.pushed;
        self.pushed += 1;
        let tick = time.0 >> BUCKET_BITS;
        if tick <= self.open_tick || tick >= self.open_tick + BUCKETS as u64 {
            return self.push_off_the_wheel(time, sequence, event);
        }
        let bucket = tick as usize % BUCKETS;
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
        self.words |= 1 << (bucket / 64);
        let bucket = &mut self.buckets[bucket];
        if bucket.len() == bucket.capacity() {
            return push_into_full(bucket, time, sequence, event);
        }
        // Put together where it stays: a copy of what has just been written in pieces waits for them.
        bucket.push(Entry {
            time,
            sequence,
            event,
        });
        sequence
    }

    /// Apart, so that the common way stays short.
    #[inline(never)]
    fn push_off_the_wheel(&mut self, time: Time, sequence: u64, event: E) -> u64 {
        let entry = Entry {
            time,
            sequence,
            event,
        };
        if entry.tick() <= self.open_tick {
            let at = self.open.partition_point(|waiting| waiting.key() > entry.key());
            self.open.insert(at, entry);
        } else {
            self.later.push(self.open_tick, entry);
        }
        sequence
    }

    /// Takes the earliest event: its time, its number and itself.
    #[inline]
    pub fn pop(&mut self) -> Option<(Time, u64, E)> {
        self.pop_until(Time::NEVER)
    }

    /// Takes the earliest event unless it lies after `until`.
    #[inline]
    pub fn pop_until(&mut self, until: Time) -> Option<(Time, u64, E)> {
        let alone = match self.open.is_empty() {
            true => self.open_next(until),
            false => None,
        };
        let entry = alone.or_else(|| self.open.pop_if(|earliest| earliest.time <= until))?;
        self.popped += 1;
        Some((entry.time, entry.sequence, entry.event))
    }

    /// Opens the earliest bucket that holds anything. An event that is alone in it and lies not after `until` is taken
    /// out at once: a cluster that has little to do has few others.
    fn open_next(&mut self, until: Time) -> Option<Entry<E>> {
        let mut tick = self.next_occupied();
        if tick >= self.later.first_tick() {
            tick = self.begin_turn();
        }
        if tick == NONE {
            return None;
        }
        self.open_tick = tick;
        let bucket = &mut self.buckets[tick as usize % BUCKETS];
        if let [alone] = bucket[..]
            && alone.time <= until
        {
            bucket.clear();
            self.vacate(tick);
            return Some(alone);
        }
        std::mem::swap(&mut self.open, bucket);
        self.vacate(tick);
        self.open.sort_unstable_by_key(|entry| Reverse(entry.key()));
        None
    }

    /// Nothing is left before the first turn that has events beyond the wheel: it takes them up, and shows the first
    /// tick that it holds then, or [`NONE`].
    #[inline(never)]
    fn begin_turn(&mut self) -> u64 {
        let first = self.later.first_tick();
        if first != NONE {
            // Now there is a bucket for every tick of that turn.
            self.open_tick = first - 1;
            self.later.take_first_turn(|entry| {
                let bucket = entry.tick() as usize % BUCKETS;
                self.occupied[bucket / 64] |= 1 << (bucket % 64);
                self.words |= 1 << (bucket / 64);
                self.buckets[bucket].push(entry);
            });
        }
        self.next_occupied()
    }

    /// The bucket of `tick` holds nothing any more.
    #[inline]
    fn vacate(&mut self, tick: u64) {
        let bucket = tick as usize % BUCKETS;
        let word = &mut self.occupied[bucket / 64];
        *word &= !(1 << (bucket % 64));
        if *word == 0 {
            self.words &= !(1 << (bucket / 64));
        }
    }

    /// The tick of the first occupied bucket after the open one, or [`NONE`].
    #[inline]
    fn next_occupied(&self) -> u64 {
        if self.words == 0 {
            return NONE;
        }
        let start = (self.open_tick as usize + 1) % BUCKETS;
        let (word, bit) = (start / 64, start % 64);
        let here = self.occupied[word] & u64::MAX << bit;
        let bucket = if here != 0 {
            word * 64 + here.trailing_zeros() as usize
        } else {
            // The words behind the first one in turn, itself last: its lower bits are the wheel's end.
            let turned = self.words.rotate_right(word as u32 + 1);
            let word = (word + 1 + turned.trailing_zeros() as usize) % WORDS;
            word * 64 + self.occupied[word].trailing_zeros() as usize
        };
        let ahead = (bucket + BUCKETS - start) % BUCKETS;
        self.open_tick + 1 + ahead as u64
    }
}

/// Apart, so that whoever pushes need not keep anything over a call.
#[cold]
#[inline(never)]
fn push_into_full<E>(bucket: &mut Vec<Entry<E>>, time: Time, sequence: u64, event: E) -> u64 {
    bucket.push(Entry {
        time,
        sequence,
        event,
    });
    sequence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    /// Pushes and pops at random against a sorted list, with times near, far, equal and in the past.
    #[test]
    fn pops_exactly_as_a_sorted_list_does() {
        for seed in 0..50 {
            let mut draws = Chance::new(seed).sequence(0);
            let mut queue = Queue::default();
            let mut list: Vec<(Time, u64, u32)> = Vec::new();
            let mut now = Time::ZERO;
            for number in 0..4_000u32 {
                if draws.below(5) < 3 {
                    let ahead = match draws.below(4) {
                        0 => 0,
                        1 => draws.below(1 << 16),
                        2 => draws.below(1 << 27),
                        _ => draws.below(1 << 35),
                    };
                    let time = Time(now.0 + ahead);
                    let sequence = queue.push(time, number);
                    list.push((time, sequence, number));
                } else {
                    list.sort_unstable_by_key(|&(time, sequence, _)| Reverse((time, sequence)));
                    let expected = list.pop();
                    assert_eq!(queue.pop(), expected);
                    now = expected.map_or(now, |(time, ..)| time);
                }
                assert_eq!(queue.len(), list.len());
            }
        }
    }

    #[test]
    fn a_cleared_queue_is_as_good_as_new() {
        let mut queue = Queue::default();
        for time in [5, 1 << 20, 1 << 40] {
            queue.push(Time(time), ());
        }
        queue.pop();
        queue.clear();
        assert!(queue.is_empty());
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.push(Time(3), ()), 0);
        assert_eq!(queue.pop(), Some((Time(3), 0, ())));
    }
}
