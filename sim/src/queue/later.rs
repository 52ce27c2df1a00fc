//! What lies beyond the wheel, by the turn of the wheel in which it comes due.
//!
//! Wheels of wheels: a slot of the first level is a turn of the queue's wheel, a slot of each further level all slots
//! of the level before it. What a slot holds is unsorted, and handed down when its time comes.

use super::{Entry, NONE, SLOT_BITS, SLOTS};

/// As many as it takes to hold every turn there is.
const LEVELS: usize = (u64::BITS - super::TICK_BITS - SLOT_BITS).div_ceil(SLOT_BITS) as usize;

pub(super) struct Later<E> {
    levels: Box<[[Vec<Entry<E>>; SLOTS]; LEVELS]>,
    /// One bit for each slot of a level that holds anything.
    occupied: [u64; LEVELS],
    /// A turn that the queue's wheel has come to. A slot's level is that of the highest digit in which its turns differ
    /// from this one, hence the earliest slot is the first one of the first level that holds anything.
    begun: u64,
    /// The first tick of the earliest slot that holds anything, or [`NONE`]: the wheel stands before it.
    first_tick: u64,
}

impl<E> Default for Later<E> {
    fn default() -> Self {
        Later {
            levels: Box::new([const { [const { Vec::new() }; SLOTS] }; LEVELS]),
            occupied: [0; LEVELS],
            begun: 0,
            first_tick: NONE,
        }
    }
}

impl<E> Later<E> {
    /// Forgets all events but keeps the memory.
    pub(super) fn clear(&mut self) {
        for (level, occupied) in self.levels.iter_mut().zip(&mut self.occupied) {
            while *occupied != 0 {
                level[occupied.trailing_zeros() as usize].clear();
                *occupied &= *occupied - 1;
            }
        }
        self.begun = 0;
        self.first_tick = NONE;
    }

    /// The first tick of the earliest turns that may hold anything, or [`NONE`].
    #[inline]
    pub(super) fn first_tick(&self) -> u64 {
        self.first_tick
    }

    /// Adds an event of a turn behind that of `open_tick`, where the wheel stands.
    pub(super) fn push(&mut self, open_tick: u64, entry: Entry<E>) {
        self.begun = open_tick >> SLOT_BITS;
        self.keep(entry);
    }

    fn keep(&mut self, entry: Entry<E>) {
        let turn = entry.tick() >> SLOT_BITS;
        debug_assert!(turn > self.begun, "an event of the wheel's own turn");
        let level = (turn ^ self.begun).ilog2() / SLOT_BITS;
        let place = turn >> (level * SLOT_BITS);
        let (slot, bits) = (place as usize % SLOTS, (level + 1) * SLOT_BITS);
        self.occupied[level as usize] |= 1 << slot;
        self.levels[level as usize][slot].push(entry);
        self.first_tick = self.first_tick.min(place << bits);
    }

    /// The wheel comes to the earliest turns: hands down what they hold, that of the first turn to `take`, in no order.
    pub(super) fn begin(&mut self, mut take: impl FnMut(Entry<E>)) {
        let Some((level, slot)) = self.earliest() else {
            unreachable!("the first tick is one of something")
        };
        self.begun = self.first_tick >> SLOT_BITS;
        self.first_tick = NONE;
        self.occupied[level] &= !(1 << slot);
        let mut due = std::mem::take(&mut self.levels[level][slot]);
        for entry in due.drain(..) {
            match entry.tick() >> SLOT_BITS == self.begun {
                true => take(entry),
                false => self.keep(entry),
            }
        }
        self.levels[level][slot] = due;
        if let Some((level, slot)) = self.earliest() {
            let bits = (level as u32 + 1) * SLOT_BITS;
            let place = self.begun >> bits << SLOT_BITS | slot as u64;
            self.first_tick = place << bits;
        }
    }

    /// The earliest slot that holds anything, and its level.
    fn earliest(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|occupied| *occupied != 0)?;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }
}
