//! `BufferPool`: `buffer.memory`, handed out in order of asking.

/// Memory of a producer. One application thread, so at most one waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct BufferPool {
    available: u64,
    waiter: Option<Waiter>,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    size: u64,
    accumulated: u64,
}

impl BufferPool {
    pub(super) fn new(total: u64) -> Self {
        BufferPool {
            available: total,
            waiter: None,
        }
    }

    /// Takes `size` bytes; false: the caller waits for [`BufferPool::take_grant`].
    pub(super) fn allocate(&mut self, size: u64) -> bool {
        if self.available >= size {
            self.available -= size;
            return true;
        }
        // The waiter is woken for each piece of memory that becomes free and keeps it.
        self.waiter = Some(Waiter { size, accumulated: 0 });
        false
    }

    /// Whether somebody waits: makes every batch ready to be sent.
    pub(super) fn exhausted(&self) -> bool {
        self.waiter.is_some()
    }

    pub(super) fn deallocate(&mut self, size: u64) {
        self.available += size;
        if let Some(waiter) = &mut self.waiter {
            let got = (waiter.size - waiter.accumulated).min(self.available);
            self.available -= got;
            waiter.accumulated += got;
        }
    }

    /// Whether the one who waits has its memory now.
    pub(super) fn is_granted(&self) -> bool {
        self.waiter
            .is_some_and(|waiter| waiter.accumulated == waiter.size)
    }

    /// Ends the wait of the one who has its memory now; false: it waits on.
    pub(super) fn take_grant(&mut self) -> bool {
        let granted = self.is_granted();
        if granted {
            self.waiter = None;
        }
        granted
    }

    /// The one who waits gives up.
    pub(super) fn give_up(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.available += waiter.accumulated;
        }
    }

    #[cfg(test)]
    pub(super) fn available(&self) -> u64 {
        self.available
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_gathers_what_becomes_free() {
        let mut pool = BufferPool::new(100);
        assert!(pool.allocate(60) && pool.allocate(40));
        assert!(!pool.allocate(70));
        pool.deallocate(60);
        assert!(pool.exhausted() && !pool.take_grant());
        pool.deallocate(40);
        assert!(pool.take_grant());
        assert_eq!((pool.available(), pool.exhausted()), (30, false));
    }

    #[test]
    fn a_waiter_that_gives_up_returns_what_it_gathered() {
        let mut pool = BufferPool::new(100);
        assert!(pool.allocate(60));
        assert!(!pool.allocate(70));
        pool.deallocate(20);
        pool.give_up();
        assert_eq!(pool.available(), 60);
    }
}
