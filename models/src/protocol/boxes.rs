//! Memory of messages that have been read.

/// Boxes to be filled again: what is sent by the thousand in a trial needs no new memory each time.
#[derive(Debug)]
pub struct Boxes<T> {
    empty: Vec<Box<T>>,
    /// How many were made here: not more are kept, wherever those that come back are from.
    made: usize,
}

impl<T> Default for Boxes<T> {
    fn default() -> Self {
        Boxes {
            empty: Vec::new(),
            made: 0,
        }
    }
}

/// A copy has no boxes of its own yet.
impl<T> Clone for Boxes<T> {
    fn clone(&self) -> Self {
        Boxes::default()
    }
}

impl<T> Boxes<T> {
    /// Puts `content` into a box, where it is made.
    #[inline(always)]
    pub fn fill(&mut self, content: impl FnOnce() -> T) -> Box<T> {
        match self.empty.pop() {
            Some(mut used) => {
                *used = content();
                used
            }
            None => self.make(content()),
        }
    }

    /// A box whose content is overwritten in place: that of a message before, or what `new` makes.
    #[inline]
    pub fn reuse(&mut self, new: impl FnOnce() -> T) -> Box<T> {
        self.empty.pop().unwrap_or_else(|| self.make(new()))
    }

    /// Takes a box whose content nobody needs any more.
    #[inline]
    pub fn take_back(&mut self, used: Box<T>) {
        if self.empty.len() < self.made {
            self.empty.push(used);
        }
    }

    #[cold]
    fn make(&mut self, content: T) -> Box<T> {
        self.made += 1;
        Box::new(content)
    }
}
