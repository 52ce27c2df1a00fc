//! A machine for tests: a disk, a clock, and what was told.

use ktrial_sim::{Disk, Duration, EventId, Time};

use super::{Log, Machine};
use crate::config::TopicSettings;
use crate::documents::Document;
use crate::ids::{LeaderEpoch, Offset, PartitionId, ProducerId, RecordId};
use crate::mutation::Mutations;
use crate::notes::Note;
use crate::records::{Batch, Contents, LogEntry, Numbering, Record};

pub(crate) const PARTITION: PartitionId = PartitionId(0);

#[derive(Default)]
pub(crate) struct Bench {
    pub(crate) disk: Disk<LogEntry, Document>,
    pub(crate) contents: Contents,
    pub(crate) now: Time,
    pub(crate) event: EventId,
    pub(crate) notes: Vec<Note>,
    pub(crate) causes: Vec<EventId>,
    written: u32,
}

impl Machine for Bench {
    fn disk(&mut self) -> &mut Disk<LogEntry, Document> {
        &mut self.disk
    }

    fn contents(&mut self) -> &Contents {
        &self.contents
    }

    fn wall(&self) -> Time {
        self.now
    }

    fn event(&self) -> EventId {
        self.event
    }

    fn because(&mut self, by: EventId) {
        self.causes.push(by);
    }

    fn tell(&mut self, note: Note) {
        self.notes.push(note);
    }
}

impl Bench {
    /// A batch of `count` records as a producer sends it.
    pub(crate) fn batch(&mut self, count: u32) -> Batch {
        let (now, written) = (self.now, self.written);
        self.written += count;
        let records = self.contents.store((0..count).map(|number| Record {
            id: RecordId {
                producer: ktrial_sim::NodeId(9),
                number: written + number,
            },
            key: None,
            bytes: 10,
            timestamp: now,
        }));
        Batch {
            base_offset: Offset(0),
            leader_epoch: LeaderEpoch(0),
            records,
            bytes: 10 * count,
            numbering: None,
            max_timestamp: now,
            corrupt: false,
        }
    }

    /// A batch of an idempotent producer.
    pub(crate) fn numbered(&mut self, producer: u64, epoch: u16, base_sequence: u32, count: u32) -> Batch {
        Batch {
            numbering: Some(Numbering {
                producer: ProducerId(producer),
                epoch,
                base_sequence,
            }),
            ..self.batch(count)
        }
    }

    /// A batch as a leader's answer carries it.
    pub(crate) fn copied(&mut self, base_offset: u64, epoch: u32, count: u32) -> Batch {
        Batch {
            base_offset: Offset(base_offset),
            leader_epoch: LeaderEpoch(epoch),
            ..self.batch(count)
        }
    }

    pub(crate) fn load(&mut self, clean: bool) -> Log {
        self.load_with(TopicSettings::default(), clean)
    }

    pub(crate) fn load_with(&mut self, settings: TopicSettings, clean: bool) -> Log {
        self.loaded(settings, Mutations::default(), clean).log
    }

    pub(crate) fn loaded(
        &mut self,
        settings: TopicSettings,
        mutations: Mutations,
        clean: bool,
    ) -> super::Loaded {
        Log::load(
            PARTITION,
            settings,
            Duration::secs(86_400),
            mutations,
            clean,
            self,
        )
        .expect("the disk is well")
    }
}
