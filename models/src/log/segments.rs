//! Where the segments of a log begin: as much of them as flushing, recovery and retention need.

use ktrial_sim::Time;

use crate::config::TopicSettings;
use crate::ids::Offset;
use crate::records::LogEntry;

/// The segments of a log. The last one is active.
#[derive(Clone, Debug)]
pub struct Segments {
    bases: Vec<Offset>,
    active_bytes: u64,
    active_first_timestamp: Option<Time>,
}

/// One segment, as retention looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Base offset of the next one; the last one has none.
    pub next: Option<Offset>,
    /// Bytes.
    pub bytes: u64,
    /// The largest timestamp of its records; an empty one has none.
    pub largest_timestamp: Option<Time>,
}

impl Segments {
    /// One empty segment.
    pub fn new(base: Offset) -> Self {
        Segments {
            bases: vec![base],
            active_bytes: 0,
            active_first_timestamp: None,
        }
    }

    /// The segments of a log on disk: the decisions of its appends, taken again one batch after the other. (Kafka
    /// reads them off the names of the files.) `start` is the checkpointed log start.
    pub fn of(entries: &[LogEntry], start: Offset, settings: &TopicSettings) -> Self {
        let first = entries.first().map_or(start, |entry| entry.data().base_offset);
        let base = first.min(start);
        let mut segments = Segments::new(base);
        for entry in entries {
            let batch = entry.data();
            if segments.should_roll(batch.bytes, batch.max_timestamp, settings) {
                segments.roll(batch.base_offset);
            }
            segments.appended(batch.bytes, batch.max_timestamp);
        }
        segments
    }

    /// Base offset of the first segment.
    pub fn first_base(&self) -> Offset {
        self.bases[0]
    }

    /// Base offset of the active segment.
    pub fn active_base(&self) -> Offset {
        *self.bases.last().expect("there is always an active segment")
    }

    /// Base offset of the segment before the active one.
    pub fn previous_base(&self) -> Option<Offset> {
        self.bases.iter().nth_back(1).copied()
    }

    /// Base offset of the segment that holds an offset; of the first one for what lies before it.
    pub fn floor(&self, offset: Offset) -> Offset {
        let behind = self.bases.partition_point(|base| *base <= offset);
        self.bases[behind.saturating_sub(1)]
    }

    /// Base offset of the first segment that begins at or behind an offset.
    pub fn ceiling(&self, offset: Offset) -> Option<Offset> {
        let at = self.bases.partition_point(|base| *base < offset);
        self.bases.get(at).copied()
    }

    /// Base offset of the first segment behind an offset.
    pub fn higher(&self, offset: Offset) -> Option<Offset> {
        let at = self.bases.partition_point(|base| *base <= offset);
        self.bases.get(at).copied()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.bases.len()
    }

    /// All of them, oldest first, of a log with these entries.
    pub fn each<'a>(&'a self, entries: &'a [LogEntry]) -> impl Iterator<Item = Segment> + 'a {
        let mut rest = entries;
        (1..=self.bases.len()).map(move |following| {
            let next = self.bases.get(following).copied();
            let own = next.map_or(rest.len(), |next| {
                rest.partition_point(|entry| entry.data().base_offset < next)
            });
            let (batches, behind) = rest.split_at(own);
            rest = behind;
            let batches = batches.iter().map(LogEntry::data);
            Segment {
                next,
                bytes: batches.clone().map(|batch| u64::from(batch.bytes)).sum(),
                largest_timestamp: batches.map(|batch| batch.max_timestamp).max(),
            }
        })
    }

    /// Base offsets of all of them, oldest first.
    pub fn bases(&self) -> &[Offset] {
        &self.bases
    }

    /// The first `count` are gone; there are more.
    pub fn deleted(&mut self, count: usize) {
        assert!(count < self.bases.len(), "there is always an active segment");
        self.bases.drain(..count);
    }

    /// Whether an append of so many bytes opens a new segment first (`LogSegment.shouldRoll`, without full
    /// indexes): the active one would grow beyond `segment.bytes`, or its first batch is older than `segment.ms`
    /// by the timestamps of the two batches.
    #[inline]
    pub fn should_roll(&self, bytes: u32, timestamp: Time, settings: &TopicSettings) -> bool {
        let limit = u64::from(settings.segment_size());
        let longest = match settings.cleanup_policy.compact {
            true => settings.segment_ms.min(settings.max_compaction_lag_ms),
            false => settings.segment_ms,
        };
        let aged = self
            .active_first_timestamp
            .is_some_and(|first| timestamp.millis().saturating_sub(first.millis()) > longest.as_millis());
        self.active_bytes + u64::from(bytes) > limit || (self.active_bytes > 0 && aged)
    }

    /// Opens a new segment.
    pub fn roll(&mut self, base: Offset) {
        if self.active_base() != base {
            self.bases.push(base);
        }
        self.active_bytes = 0;
        self.active_first_timestamp = None;
    }

    /// A batch went into the active segment.
    #[inline]
    pub fn appended(&mut self, bytes: u32, timestamp: Time) {
        self.active_bytes += u64::from(bytes);
        self.active_first_timestamp.get_or_insert(timestamp);
    }

    /// The log now ends with these entries, at `end`: later segments are gone.
    pub fn truncated(&mut self, entries: &[LogEntry], end: Offset) {
        let kept = self.bases.partition_point(|base| *base <= end).max(1);
        self.bases.truncate(kept);
        let active = self.active_base();
        self.active_bytes = 0;
        self.active_first_timestamp = None;
        let first = entries.partition_point(|entry| entry.data().base_offset < active);
        for entry in &entries[first..] {
            self.appended(entry.data().bytes, entry.data().max_timestamp);
        }
    }
}
