//! Things by numbers that are used again: requests on their way.

/// The smallest free number is given out first.
#[derive(Debug)]
pub(super) struct Slots<T>(Vec<Option<T>>);

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Slots(Vec::new())
    }

    /// Its number, until it is taken.
    pub(super) fn put(&mut self, thing: T) -> u32 {
        let free = self.0.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            self.0.push(None);
            self.0.len() - 1
        });
        self.0[number] = Some(thing);
        number as u32
    }

    pub(super) fn get_mut(&mut self, number: u32) -> &mut T {
        let slot = &mut self.0[number as usize];
        slot.as_mut().expect("numbers are of things that were not taken")
    }

    pub(super) fn take(&mut self, number: u32) -> T {
        let slot = &mut self.0[number as usize];
        slot.take().expect("a thing is taken once")
    }
}
