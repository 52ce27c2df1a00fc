//! What a log needs of the machine its process runs on.

use ktrial_sim::{Context, Disk, EventId, Time};

use crate::documents::Document;
use crate::kafka::Kafka;
use crate::notes::Note;
use crate::records::{Contents, LogEntry};

/// The machine as a log or partition sees it. The engine's [`Context`] is one; tests use one of their own.
pub trait Machine {
    /// The disk.
    fn disk(&mut self) -> &mut Disk<LogEntry, Document>;
    /// What batches refer to.
    fn contents(&mut self) -> &Contents;
    /// The wall clock.
    fn wall(&self) -> Time;
    /// The event being handled.
    fn event(&self) -> EventId;
    /// Names another cause of what is done now.
    fn because(&mut self, by: EventId);
    /// Tells those who watch.
    fn tell(&mut self, note: Note);
}

impl Machine for Context<'_, Kafka> {
    #[inline]
    fn disk(&mut self) -> &mut Disk<LogEntry, Document> {
        Context::disk(self)
    }

    #[inline]
    fn contents(&mut self) -> &Contents {
        Context::arena(self)
    }

    #[inline]
    fn wall(&self) -> Time {
        Context::wall(self)
    }

    #[inline]
    fn event(&self) -> EventId {
        Context::event(self)
    }

    #[inline]
    fn because(&mut self, by: EventId) {
        Context::because(self, by);
    }

    #[inline]
    fn tell(&mut self, note: Note) {
        Context::note(self, note);
    }
}
