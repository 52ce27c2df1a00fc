//! A table whose free places are used again.

/// Values under small numbers. The number of a value taken out is given to a later one.
pub(crate) struct Slab<T> {
    values: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            values: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.free.clear();
    }

    #[inline]
    pub(crate) fn put(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(index) => {
                self.values[index as usize] = Some(value);
                index
            }
            None => {
                self.values.push(Some(value));
                self.values.len() as u32 - 1
            }
        }
    }

    #[inline]
    pub(crate) fn take(&mut self, index: u32) -> T {
        self.free.push(index);
        self.values[index as usize]
            .take()
            .expect("a number stands for one value until it is taken")
    }
}
