//! Many deadlines behind one timer of the engine (`SystemTimer`, monotonic).

use std::collections::BTreeMap;

use ktrial_sim::Time;

/// Names a deadline. Never used again for another one.
pub type Handle = (Time, u64);

/// Deadlines in order.
#[derive(Debug)]
pub struct Timers<T> {
    tasks: BTreeMap<Handle, T>,
    next: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Timers {
            tasks: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<T> Timers<T> {
    /// Adds a task.
    pub fn add(&mut self, at: Time, task: T) -> Handle {
        self.next += 1;
        let handle = (at, self.next);
        self.tasks.insert(handle, task);
        handle
    }

    /// Takes a task back, if it has not run.
    pub fn cancel(&mut self, handle: Handle) {
        self.tasks.remove(&handle);
    }

    /// The next task that is due.
    pub fn due(&mut self, now: Time) -> Option<(Handle, T)> {
        let (at, _) = *self.tasks.first_key_value()?.0;
        (at <= now).then(|| self.tasks.pop_first()).flatten()
    }

    /// When the next task is due.
    pub fn next(&self) -> Option<Time> {
        Some(self.tasks.first_key_value()?.0.0)
    }
}
