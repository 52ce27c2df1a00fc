//! A replica's log as it told of it, and what happened to the batches it once held.

use ktrial_sim::Time;

use super::witness::Ground;
use crate::ids::{LeaderEpoch, Offset, RecordId};
use crate::invariants::{Exposure, Fate};
use crate::records::{Batch, Contents};

/// How a replica came to hold a batch no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// A crash took it: unflushed, or with the disk.
    Crash,
    /// It was cut off while the replica ran.
    Truncated,
    /// It was not there when the log was loaded although no crash can have taken it.
    Unexplained,
}

/// A batch that a replica held once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone {
    pub(super) batch: Batch,
    pub(super) loss: Loss,
    pub(super) at: Time,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ReplicaLog {
    /// It has been heard of.
    pub(super) exists: bool,
    /// Its process has loaded it.
    pub(super) loaded: bool,
    pub(super) batches: Vec<Batch>,
    /// How many batches of the committed log lie before its start.
    pub(super) behind: usize,
    pub(super) start: Offset,
    /// Where it was cut last. A cut inside a batch takes all of that, and the log ends at the cut all the same
    /// (`LocalLog.truncateTo`, `LogSegment.truncateTo`).
    cut_at: Offset,
    pub(super) high_watermark: Offset,
    /// The largest high watermark since it was loaded.
    pub(super) largest_high_watermark: Offset,
    /// How many batches of the committed log, from its first, this log begins with.
    pub(super) good: usize,
    pub(super) epochs: Vec<(LeaderEpoch, Offset)>,
    /// The epochs changed: a cut of the log may still follow, so they are compared with it at the next note.
    pub(super) epochs_unchecked: bool,
    pub(super) gone: Vec<Gone>,
    /// What retention deleted. The log stands for it as long as it begins behind it: with the disk that is lost too.
    expired: Vec<Batch>,
    /// Behind the largest offset among them.
    gone_to: Offset,
    /// The worst that its machine went through since it was last loaded.
    pub(super) fate: Option<(Fate, Time)>,
    /// It came back without something it had held, and has not caught up since.
    pub(super) lossy: bool,
    /// Where it began anew with nothing in it, and with no state of any producer: `ProducerStateManager.truncateAndReload`
    /// drops snapshots that are not behind the log's start.
    pub(super) forgotten: Option<Offset>,
    /// From where on it holds what it wrote as a leader after it had lost something and before its broker registered
    /// anew (`BrokerMetadataPublisher` publishes the old leadership first).
    pub(super) led_unregistered: Option<Offset>,
    /// Up to where a difference from the committed log was told of.
    pub(super) told: usize,
}

/// Whether two logs hold the same batch. A record's place in the arena is written once, when it is sent.
#[inline]
pub(super) fn same(one: &Batch, other: &Batch) -> bool {
    one.base_offset == other.base_offset
        && one.records == other.records
        && one.leader_epoch == other.leader_epoch
}

impl ReplicaLog {
    /// As never heard of; memory is kept.
    pub(super) fn reset(&mut self) {
        self.batches.clear();
        self.epochs.clear();
        self.gone.clear();
        self.expired.clear();
        *self = ReplicaLog {
            batches: std::mem::take(&mut self.batches),
            epochs: std::mem::take(&mut self.epochs),
            gone: std::mem::take(&mut self.gone),
            expired: std::mem::take(&mut self.expired),
            ..ReplicaLog::default()
        };
    }

    pub(super) fn end(&self) -> Offset {
        let held = self.batches.last().map_or(self.start, Batch::next_offset);
        held.max(self.cut_at)
    }

    /// The batch at a place of the committed log.
    #[inline]
    pub(super) fn at(&self, place: usize) -> Option<&Batch> {
        self.batches.get(place.checked_sub(self.behind)?)
    }

    /// How far the log reaches, counted in batches of the committed log.
    #[inline]
    pub(super) fn length(&self) -> usize {
        self.behind + self.batches.len()
    }

    /// The batch that holds an offset.
    pub(super) fn holding(&self, offset: Offset) -> Option<&Batch> {
        let place = self
            .batches
            .partition_point(|batch| batch.next_offset() <= offset);
        self.batches
            .get(place)
            .filter(|batch| batch.base_offset <= offset)
    }

    pub(super) fn holds(&self, batch: &Batch) -> bool {
        self.holding(batch.base_offset)
            .is_some_and(|held| same(held, batch))
    }

    /// Whether it holds a record at an offset.
    pub(super) fn holds_record(&self, offset: Offset, record: RecordId, contents: &Contents) -> bool {
        self.holding(offset).is_some_and(|batch| {
            let records = contents.records(batch.records);
            records
                .get((offset.0 - batch.base_offset.0) as usize)
                .map(|found| found.id)
                == Some(record)
        })
    }

    /// Takes a batch in. One that a crash had taken is back.
    #[inline]
    pub(super) fn append(&mut self, batch: Batch) {
        if batch.base_offset < self.gone_to
            && let Some(place) = self.gone.iter().position(|gone| same(&gone.batch, &batch))
        {
            self.gone.remove(place);
        }
        self.batches.push(batch);
    }

    /// Cuts the log to an end.
    pub(super) fn cut(&mut self, to: Offset, loss: Loss, at: Time) {
        let kept = self.batches.partition_point(|batch| batch.next_offset() <= to);
        self.gone_to = self.gone_to.max(self.end());
        let cut = self.batches.drain(kept..);
        self.gone.extend(cut.map(|batch| Gone { batch, loss, at }));
        self.start = self.start.min(to);
        self.cut_at = to;
        self.settle(to);
    }

    /// Drops everything and begins anew; `behind` batches of the committed log lie before.
    pub(super) fn restart(&mut self, at: Offset, behind: usize, now: Time) {
        self.gone_to = self.gone_to.max(self.end());
        let (loss, gone) = (Loss::Truncated, &mut self.gone);
        gone.extend(self.batches.drain(..).map(|batch| Gone { batch, loss, at: now }));
        self.start = at;
        self.forgotten = Some(at);
        self.cut_at = at;
        self.behind = behind;
        self.good = behind;
        self.settle(at);
    }

    /// Retention deleted everything below an offset, before which `behind` batches of the committed log lie so far: a
    /// leader that was replaced may delete what its successor counts as committed later. Returns what it was.
    pub(super) fn expire(&mut self, below: Offset, behind: usize) -> &[Batch] {
        let gone = self.batches.partition_point(|batch| batch.next_offset() <= below);
        self.start = self.start.max(below);
        self.behind = behind.max(self.behind + gone);
        self.good = self.good.max(self.behind);
        self.told = self.told.max(self.behind);
        let before = self.expired.len();
        self.expired.extend(self.batches.drain(..gone));
        &self.expired[before..]
    }

    fn settle(&mut self, end: Offset) {
        self.good = self.good.min(self.length());
        self.told = self.told.min(self.good);
        self.high_watermark = self.high_watermark.min(end);
        self.led_unregistered = self.led_unregistered.filter(|from| *from < end);
    }

    /// What decides about a witness of this log at an offset: `otherwise`, unless it may come of what it wrote before its
    /// broker registered.
    pub(super) fn ground(&self, at: Offset, otherwise: Ground) -> Ground {
        match self.led_unregistered {
            Some(from) if from <= at => Ground::Exposed(Exposure::LedBeforeRegistering),
            _ => otherwise,
        }
    }

    /// A log was found to hold exactly this when it was loaded.
    pub(super) fn found(&mut self, batches: &[Batch]) {
        let (loss, at) = self.crash();
        self.gone_to = self.gone_to.max(self.end());
        let mut kept = 0;
        while kept < batches.len()
            && self
                .batches
                .get(kept)
                .is_some_and(|held| same(held, &batches[kept]))
        {
            kept += 1;
        }
        let missing = self
            .batches
            .drain(kept..)
            .filter(|held| !batches.iter().any(|found| same(found, held)));
        self.lossy |= self.gone.len() < {
            self.gone.extend(missing.map(|batch| Gone { batch, loss, at }));
            self.gone.len()
        };
        for batch in &batches[kept..] {
            self.append(*batch);
        }
        self.good = self.good.min(self.behind + kept);
        self.told = self.told.min(self.good);
    }

    /// What a log that lacks something when it is loaded has lost it by.
    fn crash(&self) -> (Loss, Time) {
        match self.fate {
            Some((Fate::PageCacheLost | Fate::DiskLost, at)) => (Loss::Crash, at),
            _ => (Loss::Unexplained, Time::NEVER),
        }
    }

    /// It is loaded and ends here.
    pub(super) fn loaded(&mut self, start: Offset, end: Offset, high_watermark: Offset) {
        let (loss, at) = self.crash();
        let before = self.gone.len();
        self.cut(end, loss, at);
        self.lossy |= self.gone.len() > before;
        self.exists = true;
        self.loaded = true;
        self.start = start;
        self.high_watermark = high_watermark;
        self.largest_high_watermark = high_watermark;
        self.epochs.clear();
        self.epochs_unchecked = false;
        self.fate = None;
        if start == end {
            self.forgotten = Some(end);
        }
    }

    /// Its machine went through something.
    pub(super) fn suffers(&mut self, fate: Fate, at: Time) {
        if !self.exists {
            return;
        }
        self.loaded = false;
        if self.fate.is_none_or(|(known, _)| known < fate) {
            self.fate = Some((fate, at));
        }
        if fate == Fate::DiskLost {
            self.lossy |= !self.batches.is_empty() || !self.expired.is_empty();
            self.gone_to = self.gone_to.max(self.end());
            let batches = self.expired.drain(..).chain(self.batches.drain(..));
            let gone = batches.map(|batch| Gone {
                batch,
                loss: Loss::Crash,
                at,
            });
            self.gone.extend(gone);
            self.behind = 0;
            self.start = Offset(0);
            self.cut_at = Offset(0);
            self.settle(Offset(0));
        }
    }

    /// Whether a crash up to `until` took a batch from it that has not come back.
    pub(super) fn lost_by_crash(&self, batch: &Batch, until: Time) -> bool {
        let lost = |gone: &&Gone| gone.loss == Loss::Crash && gone.at <= until && same(&gone.batch, batch);
        self.gone.iter().any(|gone| lost(&gone)) && !self.holds(batch)
    }
}
