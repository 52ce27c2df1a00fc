//! State that can go back to where it was at an earlier end of the log (`SnapshotRegistry` and its timeline
//! structures): an undo log.
//!
//! A snapshot stands at each offset up to which a coordinator has written its log. A change is kept with the newest
//! snapshot before it. Going back to a snapshot undoes all changes behind it, newest first. Once a snapshot is
//! committed, nothing goes back behind it.

use std::collections::VecDeque;

use crate::ids::Offset;

/// Changes that can be undone, oldest first.
#[derive(Debug)]
pub struct Timeline<U> {
    changes: VecDeque<(Offset, U)>,
    snapshot: Offset,
}

impl<U> Default for Timeline<U> {
    fn default() -> Self {
        Timeline {
            changes: VecDeque::new(),
            snapshot: Offset(0),
        }
    }
}

impl<U> Timeline<U> {
    /// A change was made; `undo` takes it back.
    pub fn changed(&mut self, undo: U) {
        self.changes.push_back((self.snapshot, undo));
    }

    /// The log was written up to here.
    pub fn snapshot(&mut self, at: Offset) {
        self.snapshot = at;
    }

    /// Nothing goes back behind here any more.
    pub fn committed(&mut self, at: Offset) {
        while self.changes.front().is_some_and(|(snapshot, _)| *snapshot < at) {
            self.changes.pop_front();
        }
    }

    /// What must be undone next to be where it was at a snapshot; none: it is there.
    pub fn undo(&mut self, to: Offset) -> Option<U> {
        if self.changes.back().is_some_and(|(snapshot, _)| *snapshot >= to) {
            return self.changes.pop_back().map(|(_, undo)| undo);
        }
        self.snapshot = to;
        None
    }

    /// The changes behind a snapshot, oldest first: what a reader of that snapshot must not see.
    pub fn behind(&self, at: Offset) -> impl Iterator<Item = &U> {
        let changes = self.changes.iter();
        changes
            .filter(move |(snapshot, _)| *snapshot >= at)
            .map(|(_, undo)| undo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_back_undoes_what_came_behind_a_snapshot_newest_first() {
        let mut timeline = Timeline::default();
        timeline.changed('a');
        timeline.snapshot(Offset(5));
        timeline.changed('b');
        timeline.changed('c');
        assert_eq!(timeline.behind(Offset(5)).collect::<String>(), "bc");
        assert_eq!(timeline.undo(Offset(5)), Some('c'));
        assert_eq!(timeline.undo(Offset(5)), Some('b'));
        assert_eq!(timeline.undo(Offset(5)), None);
        assert_eq!(timeline.undo(Offset(0)), Some('a'));
    }

    #[test]
    fn what_is_committed_is_never_undone() {
        let mut timeline = Timeline::default();
        timeline.changed('a');
        timeline.snapshot(Offset(5));
        timeline.changed('b');
        timeline.committed(Offset(5));
        assert_eq!(timeline.undo(Offset(0)), Some('b'));
        assert_eq!(timeline.undo(Offset(0)), None);
    }
}
