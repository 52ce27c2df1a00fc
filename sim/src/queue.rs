//! The event queue: a timing wheel that pops in exact order of (time, insertion).
//!
//! One slot holds 131 microseconds and is sorted when it is opened. Network latencies fall into the wheel; what lies
//! beyond its 8.4 ms, as most of Kafka's timers do, waits for the turn of the wheel in which it comes due (`later.rs`).

mod later;

use std::cmp::Reverse;

use crate::time::Time;
use later::Later;

const TICK_BITS: u32 = 17;
/// One bit each in a word; few enough for the first level of a cache.
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 6;
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
        self.time.0 >> TICK_BITS
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
    /// The opened slot, latest first, so that popping takes from the end.
    open: Vec<Entry<E>>,
    /// The tick whose events are in `open`; everything earlier has been popped.
    open_tick: u64,
    /// The ticks after the open one, round and round.
    wheel: Box<[Vec<Entry<E>>; SLOTS]>,
    /// One bit for each slot that holds anything.
    occupied: u64,
    later: Later<E>,
    pushed: u64,
    popped: u64,
}

impl<E: Copy> Default for Queue<E> {
    fn default() -> Self {
        Queue {
            open: Vec::new(),
            open_tick: 0,
            wheel: Box::new([const { Vec::new() }; SLOTS]),
            occupied: 0,
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
        while self.occupied != 0 {
            self.wheel[self.occupied.trailing_zeros() as usize].clear();
            self.occupied &= self.occupied - 1;
        }
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
        let tick = time.0 >> TICK_BITS;
        if tick.wrapping_sub(self.open_tick + 1) >= SLOTS as u64 {
            return self.push_off_the_wheel(time, sequence, event);
        }
        let slot = tick as usize % SLOTS;
        self.occupied |= 1 << slot;
        let slot = &mut self.wheel[slot];
        if slot.len() == slot.capacity() {
            return push_into_full(slot, time, sequence, event);
        }
        // Put together where it stays: a copy of what has just been written in pieces waits for them.
        slot.push(Entry {
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

    /// Opens the earliest slot that holds anything. An event that is alone in it and lies not after `until` is taken
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
        let slot = tick as usize % SLOTS;
        self.occupied &= !(1 << slot);
        let slot = &mut self.wheel[slot];
        if let [alone] = slot[..]
            && alone.time <= until
        {
            slot.clear();
            return Some(alone);
        }
        std::mem::swap(&mut self.open, slot);
        self.open.sort_unstable_by_key(|entry| Reverse(entry.key()));
        None
    }

    /// Nothing is left before the first turn that may hold events beyond the wheel: it takes them up, and shows the
    /// first tick that it holds then, or [`NONE`].
    #[inline(never)]
    fn begin_turn(&mut self) -> u64 {
        loop {
            let (next, first) = (self.next_occupied(), self.later.first_tick());
            if next < first || first == NONE {
                return next;
            }
            // Then there is a slot for every tick of the first of those turns.
            self.open_tick = first - 1;
            self.later.begin(|entry| {
                let slot = entry.tick() as usize % SLOTS;
                self.occupied |= 1 << slot;
                self.wheel[slot].push(entry);
            });
        }
    }

    /// The tick of the first occupied slot after the open one, or [`NONE`].
    #[inline]
    fn next_occupied(&self) -> u64 {
        if self.occupied == 0 {
            return NONE;
        }
        let next = self.open_tick + 1;
        next + u64::from(self.occupied.rotate_right(next as u32).trailing_zeros())
    }
}

/// Apart, so that whoever pushes need not keep anything over a call.
#[cold]
#[inline(never)]
fn push_into_full<E>(slot: &mut Vec<Entry<E>>, time: Time, sequence: u64, event: E) -> u64 {
    slot.push(Entry {
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

    /// How far ahead events are pushed: at once, within the wheel, within each of the wheels behind it.
    const AHEAD: [u64; 8] = [1, 1 << 16, 1 << 21, 1 << 24, 1 << 27, 1 << 31, 1 << 37, 1 << 46];

    /// Pushes and pops at random against a sorted list, with times near, far, equal and in the past; some pops are
    /// only up to a time that may come before the next event, and what is pushed then may come before it too.
    #[test]
    fn pops_exactly_as_a_sorted_list_does() {
        for seed in 0..100 {
            let mut draws = Chance::new(seed).sequence(0);
            let mut queue = Queue::default();
            let mut list: Vec<(Time, u64, u32)> = Vec::new();
            let mut now = Time::ZERO;
            let kinds = 1 + seed % AHEAD.len() as u64;
            for number in 0..4_000u32 {
                if draws.below(5) < 3 {
                    let most = AHEAD[draws.below(kinds) as usize];
                    let time = Time(now.0 + draws.below(most));
                    let sequence = queue.push(time, number);
                    list.push((time, sequence, number));
                } else {
                    let most = AHEAD[draws.below(kinds) as usize];
                    let until = match draws.below(3) {
                        0 => Time(now.0 + draws.below(most)),
                        _ => Time::NEVER,
                    };
                    list.sort_unstable_by_key(|&(time, sequence, _)| Reverse((time, sequence)));
                    let expected = list.pop_if(|(time, ..)| *time <= until);
                    assert_eq!(queue.pop_until(until), expected);
                    now = expected.map_or(now, |(time, ..)| time);
                }
                assert_eq!(queue.len(), list.len());
            }
        }
    }

    /// A pop that finds nothing yet has opened a slot which the time has not come to.
    #[test]
    fn what_is_pushed_while_a_turn_is_awaited_comes_in_order() {
        let turn = |number: u64| Time(number << (TICK_BITS + SLOT_BITS));
        let mut queue = Queue::default();
        for number in [64, 70] {
            queue.push(turn(number), number);
        }
        assert_eq!(queue.pop_until(turn(1)), None);
        for number in [65, 2] {
            queue.push(turn(number), number);
        }
        let popped: Vec<u64> = std::iter::from_fn(|| queue.pop())
            .map(|(_, _, number)| number)
            .collect();
        assert_eq!(popped, [2, 64, 65, 70]);
    }

    #[test]
    fn holds_the_last_instant_there_is() {
        let mut queue = Queue::default();
        for time in [u64::MAX, 1, u64::MAX - 1] {
            queue.push(Time(time), time);
        }
        let popped: Vec<u64> = std::iter::from_fn(|| queue.pop())
            .map(|(_, _, time)| time)
            .collect();
        assert_eq!(popped, [1, u64::MAX - 1, u64::MAX]);
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
