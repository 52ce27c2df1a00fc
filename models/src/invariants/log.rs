//! LOG-1 log-matching, LOG-2 log-well-formed, LOG-4 hw-valid.

use std::cmp::Ordering;

use ktrial_sim::NodeId;

use super::facts::Facts;
use super::judges::Judges;
use super::partition::Partition;
use super::replica_log::{Loss, ReplicaLog, same};
use super::witness::{Detail, Ground, Place, Witnesses};
use crate::ids::{LeaderEpoch, Offset, PartitionId, QuorumEpoch, ServerId, Servers};
use crate::invariants::Invariant;
use crate::notes::{LogNote, QuorumNote, TruncationReason};
use crate::records::{Batch, Contents};

impl Judges {
    pub(super) fn log_note(
        &mut self,
        server: ServerId,
        id: PartitionId,
        note: &LogNote,
        contents: &Contents,
    ) {
        let at = self.witnesses.at;
        let partition = partition(&mut self.partitions, id, &self.facts);
        let Some(log) = partition.logs.get_mut(usize::from(server.0)) else {
            return;
        };
        let place = |offset| Place::offset(id, offset);
        match note {
            LogNote::Appended { batch, leads } => {
                self.witnesses.epochs_fit(id, log);
                self.witnesses.well_formed_append(id, log, batch);
                if *leads && log.lossy && !self.facts.registered.contains(server) {
                    log.led_unregistered.get_or_insert(batch.base_offset);
                }
                log.append(*batch);
                log.exists = true;
                if log.good + 1 == log.length()
                    && partition
                        .committed
                        .get(log.good)
                        .is_some_and(|known| same(known, batch))
                {
                    log.good += 1;
                }
                if *leads {
                    self.landed(id, batch);
                }
                return;
            }
            LogNote::Flushed(_) | LogNote::Offline => return,
            LogNote::Holds(batches) => log.found(batches),
            LogNote::Loaded {
                start,
                end,
                high_watermark,
            } => {
                log.loaded(*start, *end, *high_watermark);
                if start > high_watermark || high_watermark > end {
                    let detail = Detail::Text("start <= high watermark <= end does not hold after loading");
                    let (offset, ground) = (place(*high_watermark), Ground::Always);
                    self.witnesses
                        .add(Invariant::LogWellFormed, offset, ground, detail);
                }
            }
            // Recovery tells it before the log is loaded; what was found then counts.
            LogNote::Truncated {
                reason: TruncationReason::Corrupt,
                ..
            } => return,
            LogNote::Truncated { to, .. } if *to > log.end() => {
                log.restart(*to, partition.committed.before(*to), at);
            }
            LogNote::Truncated { to, .. } => log.cut(*to, Loss::Truncated, at),
            LogNote::SegmentsDeleted { below, .. } => {
                let behind = partition.committed.before(*below);
                for batch in log.expire(*below, behind) {
                    let place = partition.committed.before(batch.base_offset);
                    let committed = partition.committed.get(place);
                    if committed.is_some_and(|committed| same(committed, batch)) {
                        self.sends.expire(batch, contents);
                    }
                }
            }
            LogNote::FollowerHighWatermark(to) => {
                log.high_watermark = *to;
                log.largest_high_watermark = log.largest_high_watermark.max(*to);
                if *to > log.end() || *to < log.start {
                    let detail = Detail::At(
                        "a follower's high watermark outside its log, which ends at",
                        log.end(),
                    );
                    let ground = log.ground(*to, Ground::Always);
                    self.witnesses
                        .add(Invariant::LogWellFormed, place(*to), ground, detail);
                }
            }
            LogNote::Epochs(entries) => {
                log.epochs.clone_from(entries);
                log.epochs_unchecked = true;
                return;
            }
        }
        self.witnesses.epochs_fit(id, log);
        partition.agree();
        match_log(partition, server, &mut self.witnesses);
    }

    /// LOG-4: a leader's high watermark moved.
    #[inline]
    pub(super) fn high_watermark_valid(
        &mut self,
        server: ServerId,
        id: PartitionId,
        to: Offset,
        (isr, maximal_isr, min_isr): (&Servers, &Servers, u32),
        log_ends: &[(ServerId, Option<Offset>)],
    ) {
        let reached = |member: &ServerId| {
            *member == server
                || log_ends
                    .iter()
                    .any(|(other, end)| other == member && end.is_some_and(|end| end >= to))
        };
        let detail = if (isr.len() as u32) < min_isr {
            Detail::Between(
                isr.len() as u64,
                "in-sync replicas where the high watermark needs",
                u64::from(min_isr),
            )
        } else if !maximal_isr.iter().all(reached) {
            Detail::At("a member of the maximal ISR has not reached", to)
        } else {
            return;
        };
        let place = Place::offset(id, to);
        self.witnesses
            .add(Invariant::HighWatermarkValid, place, Ground::Always, detail);
    }

    /// LOG-4 and REP-2 of the metadata quorum.
    pub(super) fn quorum_note(&mut self, node: NodeId, note: &QuorumNote) {
        match *note {
            QuorumNote::Appended(_, next, _) => *self.quorum_end(node) = next,
            QuorumNote::Truncated { to, .. } => {
                let end = self.quorum_end(node);
                *end = to.min(*end);
            }
            QuorumNote::HighWatermark { to, leads: true } => {
                let voters = self.facts.voters();
                let ends = self.quorum_ends.iter().zip(0..);
                let reached = ends.filter(|(end, id)| self.facts.is_voter(ServerId(*id)) && **end >= to);
                if reached.count() as u32 * 2 <= voters {
                    let detail = Detail::At("no majority of the voters has reached", to);
                    let (place, ground) = (Place::default(), Ground::Quorum);
                    self.witnesses
                        .add(Invariant::HighWatermarkValid, place, ground, detail);
                }
            }
            QuorumNote::Leads(epoch) => self.quorum_leads(node, epoch),
            QuorumNote::HighWatermark { .. } | QuorumNote::Resigned(_) | QuorumNote::Voted(..) => {}
        }
    }

    fn quorum_end(&mut self, node: NodeId) -> &mut Offset {
        let index = usize::from(node.0);
        if index >= self.quorum_ends.len() {
            self.quorum_ends.resize(index + 1, Offset(0));
        }
        &mut self.quorum_ends[index]
    }

    fn quorum_leads(&mut self, node: NodeId, epoch: QuorumEpoch) {
        let index = epoch.0 as usize;
        if index >= self.quorum_leaders.len() {
            self.quorum_leaders.resize(index + 1, None);
        }
        let before = self.quorum_leaders[index].replace(node);
        if before.is_some_and(|before| before != node) {
            let detail = Detail::Between(2, "controllers lead quorum epoch", u64::from(epoch.0));
            let (place, ground) = (Place::default(), Ground::Quorum);
            self.witnesses
                .add(Invariant::ElectionSafety, place, ground, detail);
        }
        if self.facts.active.is_none_or(|(active, _)| active <= epoch) {
            self.facts.active = Some((epoch, node));
        }
    }
}

/// The partition with this number, made ready if it is new.
#[inline]
pub(super) fn partition<'p>(
    partitions: &'p mut super::judges::Partitions,
    id: PartitionId,
    facts: &Facts,
) -> &'p mut Partition {
    let index = id.0 as usize;
    if partitions.used <= index {
        make_known(partitions, index, facts);
    }
    &mut partitions.all[index]
}

/// Apart, because it happens once a partition.
#[cold]
fn make_known(partitions: &mut super::judges::Partitions, index: usize, facts: &Facts) {
    while partitions.used <= index {
        if partitions.all.len() == partitions.used {
            partitions.all.push(Partition::default());
        }
        partitions.all[partitions.used].reset(PartitionId(partitions.used as u32), facts.servers);
        partitions.used += 1;
    }
}

/// LOG-1: the first batch in which a log differs from the committed log, if both are below high watermarks. A log
/// that a crash has shortened is not asked before it has caught up.
pub(super) fn match_log(partition: &mut Partition, server: ServerId, witnesses: &mut Witnesses) {
    let log = &mut partition.logs[usize::from(server.0)];
    if log.lossy || !log.loaded || log.told > log.good {
        return;
    }
    let (Some(committed), Some(held)) = (
        partition.committed.get(log.good).copied(),
        log.at(log.good).copied(),
    ) else {
        return;
    };
    if held.base_offset < log.high_watermark && !same(&committed, &held) {
        log.told = log.good + 1;
        let removed = |batch: &Batch| partition.committed.removal_of(batch).is_some();
        let older = match held.leader_epoch.cmp(&committed.leader_epoch) {
            Ordering::Less => held,
            // Of two of one epoch the one that was committed before the other took its place.
            Ordering::Equal if removed(&held) => held,
            Ordering::Equal | Ordering::Greater => committed,
        };
        let place = Place::offset(partition.id, held.base_offset);
        let detail = Detail::Between(
            u64::from(held.leader_epoch.0),
            "is the epoch here; in the committed log it is",
            u64::from(committed.leader_epoch.0),
        );
        let ground = log.ground(held.base_offset, Ground::Overwritten(older));
        witnesses.add(Invariant::LogMatching, place, ground, detail);
    }
}

impl Witnesses {
    /// LOG-2: the epoch cache fits the log, once all is told of a change.
    #[inline]
    fn epochs_fit(&mut self, id: PartitionId, log: &mut ReplicaLog) {
        if log.epochs_unchecked && log.loaded {
            log.epochs_unchecked = false;
            if log.lossy {
                return;
            }
            let ground = log.ground(log.end(), Ground::Always);
            let mut pairs = log.epochs.windows(2);
            if !pairs.all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1) {
                let detail = Detail::Text("the epoch cache does not rise");
                let place = Place::offset(id, log.end());
                self.add(Invariant::LogWellFormed, place, ground, detail);
            } else if let Some(batch) = misfit(&log.epochs, &log.batches) {
                let cached = covering(&log.epochs, batch).unwrap_or_default();
                let detail = Detail::Between(
                    u64::from(cached.0),
                    "is the epoch in the cache of a batch of epoch",
                    u64::from(batch.leader_epoch.0),
                );
                let place = Place::offset(id, batch.base_offset);
                self.add(Invariant::LogWellFormed, place, ground, detail);
            }
        }
    }

    /// LOG-2: offsets rise, epochs never fall, the epoch cache names the batch's epoch.
    #[inline]
    fn well_formed_append(&mut self, id: PartitionId, log: &ReplicaLog, batch: &Batch) {
        let (last, epoch) = (log.batches.last(), covering(&log.epochs, batch));
        let text = if last.is_some_and(|last| batch.base_offset < last.next_offset()) {
            "a batch begins before the log's end, at"
        } else if last.is_some_and(|last| batch.leader_epoch < last.leader_epoch) {
            "a batch has a smaller epoch than the one before, at"
        } else if epoch != Some(batch.leader_epoch) {
            "the epoch cache has another epoch for the batch at"
        } else {
            return;
        };
        let place = Place::offset(id, batch.base_offset);
        self.add(
            Invariant::LogWellFormed,
            place,
            log.ground(batch.base_offset, Ground::Always),
            Detail::At(text, batch.base_offset),
        );
    }
}

/// The epoch that a cache has where a batch is. A follower names the epochs of all it copies before it appends.
#[inline]
fn covering(entries: &[(LeaderEpoch, Offset)], batch: &Batch) -> Option<LeaderEpoch> {
    let covers = |entry: &&(LeaderEpoch, Offset)| entry.1 <= batch.base_offset;
    entries.iter().rev().find(covers).map(|entry| entry.0)
}

/// The first batch that an epoch cache does not fit, if it rises strictly.
///
/// Nothing is said of batches before the cache's first entry: Kafka forgets an epoch's start when a broker that lost
/// unflushed records takes up an old leadership from the metadata before it registers (it notes that epoch at its
/// shortened end), and then copies records of an older epoch. `LeaderEpochFileCache` drops every entry that is not
/// older, the right one of that older epoch as well.
fn misfit<'b>(entries: &[(LeaderEpoch, Offset)], batches: &'b [Batch]) -> Option<&'b Batch> {
    let mut place = 0;
    let known = entries.first().map_or(Offset(0), |first| first.1);
    let begun = batches.partition_point(|batch| batch.base_offset < known);
    batches[begun..].iter().find(|batch| {
        while entries
            .get(place + 1)
            .is_some_and(|next| next.1 <= batch.base_offset)
        {
            place += 1;
        }
        let covers =
            |entry: &(LeaderEpoch, Offset)| entry.0 == batch.leader_epoch && entry.1 <= batch.base_offset;
        !entries.get(place).is_some_and(covers)
    })
}
