//! What happened in which order, and which event led to which.

use std::collections::BTreeMap;

use crate::event::{Event, EventId};
use crate::node::{NodeId, TimerSlot};
use crate::time::Time;

/// For every event the one during which it was put into the queue, and what a node named besides.
/// Kept only when asked for, by running the same trial again.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Indexed by event number minus one.
    parents: Vec<EventId>,
    /// What else an event happened because of, in the order it was named.
    named: BTreeMap<EventId, Vec<EventId>>,
    /// Every event in the order it happened.
    happened: Vec<(Time, Event)>,
    /// How many messages of each kind were read.
    read: BTreeMap<u8, u64>,
}

impl Trace {
    pub(crate) fn clear(&mut self) {
        self.parents.clear();
        self.named.clear();
        self.happened.clear();
        self.read.clear();
    }

    pub(crate) fn reads(&mut self, kind: u8) {
        *self.read.entry(kind).or_default() += 1;
    }

    /// How many messages of each kind processes read from connections, by [`Message::kind`].
    ///
    /// [`Message::kind`]: crate::Message::kind
    pub fn messages(&self) -> &BTreeMap<u8, u64> {
        &self.read
    }

    /// How many events of each kind happened, by what the engine calls them.
    pub fn events(&self) -> BTreeMap<&'static str, u64> {
        let mut events = BTreeMap::new();
        for (_, event) in &self.happened {
            *events.entry(event.name()).or_default() += 1;
        }
        events
    }

    /// How often each timer may have run out. A timer that was set anew meanwhile counts at its old time too.
    pub fn timers(&self) -> BTreeMap<(NodeId, TimerSlot), u64> {
        let mut timers = BTreeMap::new();
        for (_, event) in &self.happened {
            if let Event::Timer { node, slot } = event {
                *timers.entry((NodeId(*node), TimerSlot(*slot))).or_default() += 1;
            }
        }
        timers
    }

    /// Apart: in most runs nothing is traced.
    #[cold]
    pub(crate) fn happens(&mut self, time: Time, word: u64) {
        self.happened.push((time, Event::of(word)));
    }

    /// The first event that did not happen in both of two traces alike: how many happened before it, and what it
    /// was in each, in words.
    pub fn first_difference(&self, other: &Trace) -> Option<(usize, String, String)> {
        let longest = self.happened.len().max(other.happened.len());
        let at = (0..longest).find(|at| self.happened.get(*at) != other.happened.get(*at))?;
        let told = |trace: &Trace| match trace.happened.get(at) {
            Some((time, event)) => format!("{time} {event:?}"),
            None => "the end".to_owned(),
        };
        Some((at, told(self), told(other)))
    }

    pub(crate) fn caused(&mut self, event: EventId, by: EventId) {
        self.parents.push(by);
        debug_assert_eq!(
            event.0 as usize,
            self.parents.len(),
            "events are numbered in the order they are queued"
        );
    }

    pub(crate) fn because(&mut self, event: EventId, by: EventId) {
        if event == by || by == EventId::SET_UP || self.parent(event) == Some(by) {
            return;
        }
        let named = self.named.entry(event).or_default();
        if !named.contains(&by) {
            named.push(by);
        }
    }

    /// The event during which `event` was queued, unless that was during the set-up.
    pub fn parent(&self, event: EventId) -> Option<EventId> {
        let index = event.0.checked_sub(1)? as usize;
        let parent = *self.parents.get(index)?;
        (parent != EventId::SET_UP).then_some(parent)
    }

    /// All causes of `event`: the one that queued it, then those that were named, each once.
    pub fn causes(&self, event: EventId) -> impl Iterator<Item = EventId> + '_ {
        let named = self.named.get(&event).into_iter().flatten().copied();
        self.parent(event).into_iter().chain(named)
    }
}
