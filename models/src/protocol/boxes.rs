//! Memory of messages that have been read.

/// Boxes to be filled again: what is sent by the thousand in a trial needs no new memory each time.
#[derive(Debug)]
pub struct Boxes<T>(Vec<Box<T>>);

impl<T> Default for Boxes<T> {
    fn default() -> Self {
        Boxes(Vec::new())
    }
}

/// A copy has no boxes of its own yet.
impl<T> Clone for Boxes<T> {
    fn clone(&self) -> Self {
        Boxes::default()
    }
}

impl<T> Boxes<T> {
    /// Puts `content` into a box.
    #[inline]
    pub fn fill(&mut self, content: T) -> Box<T> {
        match self.0.pop() {
            Some(mut used) => {
                *used = content;
                used
            }
            None => Box::new(content),
        }
    }

    /// A box whose content is overwritten in place: that of a message before, or what `new` makes.
    #[inline]
    pub fn reuse(&mut self, new: impl FnOnce() -> T) -> Box<T> {
        self.0.pop().unwrap_or_else(|| Box::new(new()))
    }

    /// Takes a box whose content nobody needs any more.
    #[inline]
    pub fn take_back(&mut self, used: Box<T>) {
        self.0.push(used);
    }
}
