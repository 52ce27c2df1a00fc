//! What happened in a trial, kept for those who want it told.

use ktrial_models::notes::Note;
use ktrial_sim::{EventId, NodeId, Time};

/// Something to be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// The cluster is ready and the clients start.
    ClientsStart,
    /// A scripted entry was carried out on these nodes.
    Fault {
        /// Its number in the script.
        entry: usize,
        /// The nodes it meant.
        nodes: Vec<NodeId>,
    },
    /// What an entry did to links, clocks, disks or threads was taken back.
    TakenBack {
        /// Its number in the script.
        entry: usize,
    },
    /// A process was started again.
    Started(NodeId),
    /// A paused process goes on.
    Resumed(NodeId),
    /// The applications send nothing more; faults last on.
    Quiescing,
    /// Faults are over.
    Healing,
    /// A node told something.
    Note(NodeId, EventId, Note),
}

/// Everything that was told, in order. Empty unless it is kept.
#[derive(Clone, Debug, Default)]
pub struct Story {
    kept: bool,
    told: Vec<(Time, Told)>,
}

impl Story {
    /// A story that is kept, or not.
    pub fn new(kept: bool) -> Self {
        Story {
            kept,
            told: Vec::new(),
        }
    }

    /// Whether anything is kept.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    pub(crate) fn tell(&mut self, at: Time, told: Told) {
        if self.kept {
            self.told.push((at, told));
        }
    }

    #[inline]
    pub(crate) fn note(&mut self, at: Time, node: NodeId, event: EventId, note: &Note) {
        if self.kept {
            self.told.push((at, Told::Note(node, event, note.clone())));
        }
    }

    /// What was told, in order of time.
    pub fn told(&self) -> &[(Time, Told)] {
        &self.told
    }
}
