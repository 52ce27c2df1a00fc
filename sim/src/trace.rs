//! Causes: which event led to which.

use crate::kernel::EventId;

/// For every event the one during which it was put into the queue, and what a node named besides.
/// Kept only when asked for, by running the same trial again.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Indexed by event number.
    parents: Vec<EventId>,
    /// (event, because of), in the order they were named.
    named: Vec<(EventId, EventId)>,
}

impl Trace {
    pub(crate) fn clear(&mut self) {
        self.parents.clear();
        self.named.clear();
    }

    #[inline]
    pub(crate) fn caused(&mut self, event: EventId, by: EventId) {
        debug_assert_eq!(
            event.0 as usize,
            self.parents.len(),
            "events are numbered in the order they are queued"
        );
        self.parents.push(by);
    }

    pub(crate) fn because(&mut self, event: EventId, by: EventId) {
        if event != by && self.named.last() != Some(&(event, by)) {
            self.named.push((event, by));
        }
    }

    /// The event during which `event` was queued; event 0 and those queued before the start cause themselves.
    pub fn parent(&self, event: EventId) -> Option<EventId> {
        self.parents
            .get(event.0 as usize)
            .copied()
            .filter(|parent| *parent != event)
    }

    /// All causes of `event`: the one that queued it, then those its node named.
    pub fn causes(&self, event: EventId) -> impl Iterator<Item = EventId> + '_ {
        let start = self.named.partition_point(|(of, _)| *of < event);
        let named = self.named[start..]
            .iter()
            .take_while(move |(of, _)| *of == event)
            .map(|(_, by)| *by);
        self.parent(event).into_iter().chain(named)
    }
}
