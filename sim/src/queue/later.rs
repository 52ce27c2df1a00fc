//! What lies beyond the wheel, by the turn of the wheel in which it comes due.
//!
//! Two seconds of turns are kept apart and unsorted, which the wheel does when it gets there; only what is further off
//! waits in a heap. Kafka's timers are mostly half a second and two seconds long.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{BUCKETS, Entry, NONE};

/// One bit each in a word.
const TURNS: usize = 64;
const TICKS: u64 = BUCKETS as u64;

pub(super) struct Later<E> {
    turns: Box<[Vec<Entry<E>>; TURNS]>,
    /// One bit for each turn that holds anything.
    occupied: u64,
    /// Whatever lay more turns ahead when it was pushed than there are here.
    far: BinaryHeap<Reverse<Entry<E>>>,
    /// The first tick of the earliest turn that holds anything, or [`NONE`].
    first_tick: u64,
}

impl<E> Default for Later<E> {
    fn default() -> Self {
        Later {
            turns: Box::new([const { Vec::new() }; TURNS]),
            occupied: 0,
            far: BinaryHeap::new(),
            first_tick: NONE,
        }
    }
}

impl<E> Later<E> {
    /// Forgets all events but keeps the memory.
    pub(super) fn clear(&mut self) {
        while self.occupied != 0 {
            self.turns[self.occupied.trailing_zeros() as usize].clear();
            self.occupied &= self.occupied - 1;
        }
        self.far.clear();
        self.first_tick = NONE;
    }

    /// The first tick of the earliest turn that holds anything, or [`NONE`].
    #[inline]
    pub(super) fn first_tick(&self) -> u64 {
        self.first_tick
    }

    /// Adds an event of a turn that the wheel has not come to; the wheel stands at `open_tick`.
    pub(super) fn push(&mut self, open_tick: u64, entry: Entry<E>) {
        let turn = entry.tick() / TICKS;
        debug_assert!(turn > open_tick / TICKS, "an event of the wheel's own turn");
        if turn - open_tick / TICKS < TURNS as u64 {
            self.occupied |= 1 << (turn % TURNS as u64);
            self.turns[turn as usize % TURNS].push(entry);
        } else {
            self.far.push(Reverse(entry));
        }
        self.first_tick = self.first_tick.min(turn * TICKS);
    }

    /// Takes out all events of the earliest turn, in no order.
    pub(super) fn take_first_turn(&mut self, mut take: impl FnMut(Entry<E>)) {
        let turn = self.first_tick / TICKS;
        let kept = turn as usize % TURNS;
        self.occupied &= !(1 << kept);
        self.turns[kept].drain(..).for_each(&mut take);
        self.first_tick = match self.occupied.rotate_right(kept as u32) {
            0 => NONE,
            ahead => (turn + u64::from(ahead.trailing_zeros())) * TICKS,
        };
        while let Some(Reverse(entry)) = self.far.peek() {
            let first_tick = entry.tick() / TICKS * TICKS;
            if first_tick > turn * TICKS {
                self.first_tick = self.first_tick.min(first_tick);
                break;
            }
            let Some(Reverse(entry)) = self.far.pop() else {
                unreachable!("just peeked")
            };
            take(entry);
        }
    }
}
