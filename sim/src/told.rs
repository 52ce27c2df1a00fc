//! What nodes have told during a step, until those who watch hear of it.

use crate::event::EventId;
use crate::node::NodeId;

struct Place<N> {
    node: NodeId,
    event: EventId,
    note: Option<N>,
}

impl<N> Place<N> {
    const FREE: Self = Place {
        node: NodeId(0),
        event: EventId::SET_UP,
        note: None,
    };
}

/// Notes in the order in which they were told. There is always a free place for the next one.
pub(crate) struct Told<N> {
    places: Vec<Place<N>>,
    used: usize,
}

impl<N> Default for Told<N> {
    fn default() -> Self {
        Told {
            places: vec![Place::FREE],
            used: 0,
        }
    }
}

impl<N> Told<N> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Always inlined, and never drops anything, so that a note is put together where it stays: a copy of what has
    /// just been written in small pieces waits for them.
    #[inline(always)]
    pub(crate) fn push(&mut self, node: NodeId, event: EventId, note: N) {
        let Some(place) = self.places.get_mut(self.used) else {
            std::mem::forget(note);
            unreachable!("a free place is made before it is needed")
        };
        (place.node, place.event) = (node, event);
        std::mem::forget(place.note.replace(note));
        self.used += 1;
        if self.used == self.places.len() {
            self.places.push(Place::FREE);
        }
    }

    /// Lets `hear` hear all of them, and forgets them.
    pub(crate) fn drain(&mut self, mut hear: impl FnMut(NodeId, EventId, &N)) {
        for place in &mut self.places[..self.used] {
            if let Some(note) = &place.note {
                hear(place.node, place.event, note);
            }
            place.note = None;
        }
        self.used = 0;
    }

    pub(crate) fn clear(&mut self) {
        self.drain(|_, _, _| ());
    }
}
