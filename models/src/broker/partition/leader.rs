//! What a leader does: append, hear of followers, move the high watermark.

use ktrial_sim::Time;
use smallvec::SmallVec;

use super::{ClusterView, FollowerFetch, Partition};
use crate::config::Acks;
use crate::ids::Offset;
use crate::log::{Appended, Machine};
use crate::mutation::Mutation;
use crate::notes::{HighWatermarkMoved, LeaderNote, Note};
use crate::protocol::ErrorCode;
use crate::records::Batch;

/// A batch that was appended (or found to be there already).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderAppended {
    /// Where, and what is to be flushed.
    pub appended: Appended,
    /// The high watermark moved: parked requests are looked at.
    pub high_watermark_moved: bool,
}

impl Partition {
    /// Appends a producer's batch and looks at the high watermark. With acks=all the size of the committed ISR is
    /// looked at first.
    ///
    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS, KAFKA_STORAGE_ERROR and what the log refuses
    /// ([`crate::log::Log::append_as_leader`]): nothing was appended.
    pub fn append_records_to_leader(
        &mut self,
        batch: &Batch,
        acks: Acks,
        view: &impl ClusterView,
        machine: &mut impl Machine,
    ) -> Result<LeaderAppended, ErrorCode> {
        let appended = self.append_to_leader_log(batch, acks, machine)?;
        Ok(LeaderAppended {
            appended,
            high_watermark_moved: self.high_watermark_after_append(view, machine),
        })
    }

    /// The first half of [`Partition::append_records_to_leader`]: what happens under the log's own lock, with the
    /// flush that `flush.messages` may ask for still to come. Fetches may run before
    /// [`Partition::high_watermark_after_append`], other appends too unless there is such a flush, a change of role
    /// may not.
    ///
    /// # Errors
    /// Those of [`Partition::append_records_to_leader`].
    pub fn append_to_leader_log(
        &mut self,
        batch: &Batch,
        acks: Acks,
        machine: &mut impl Machine,
    ) -> Result<Appended, ErrorCode> {
        let Some(epoch) = self.leader_epoch.filter(|_| self.is_leader()) else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        let refused = acks == Acks::All && self.isr.len() < self.effective_min_isr();
        if refused && !self.mutations.has(Mutation::AppendRefused) {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let appended = self.log.append_as_leader(batch, epoch, machine)?;
        self.appended_by = machine.event();
        match refused {
            true => Err(ErrorCode::NotEnoughReplicas),
            false => Ok(appended),
        }
    }

    /// Looks at the high watermark after an append. Returns whether it moved.
    #[inline]
    pub fn high_watermark_after_append(
        &mut self,
        view: &impl ClusterView,
        machine: &mut impl Machine,
    ) -> bool {
        let now = machine.wall();
        self.is_leader() && self.maybe_increment_high_watermark(now, view, machine)
    }

    /// Whether acks=all is reached for everything below `required` (the offset behind a batch): `None` while it is
    /// not; then NONE, or NOT_ENOUGH_REPLICAS_AFTER_APPEND if the maximal ISR has become too small, or
    /// NOT_LEADER_OR_FOLLOWER if this broker does not lead any more.
    #[inline]
    pub fn check_enough_replicas_reach_offset(&self, required: Offset) -> Option<ErrorCode> {
        if !self.is_leader() {
            return Some(ErrorCode::NotLeaderOrFollower);
        }
        if self.mutations.has(Mutation::AcknowledgeAfterAppend) {
            return Some(ErrorCode::None);
        }
        if self.log.high_watermark() < required {
            return None;
        }
        match self.maximal_isr_len() < self.effective_min_isr() {
            true => Some(ErrorCode::NotEnoughReplicasAfterAppend),
            false => Some(ErrorCode::None),
        }
    }

    /// A follower's fetch was read, without its log diverging: its log ends where it fetches. Returns whether its
    /// log end changed, which is when the high watermark must be looked at
    /// ([`Partition::high_watermark_after_fetch`]), after [`Partition::maybe_expand_isr`].
    ///
    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER: sent by an incarnation of the follower that metadata has already replaced.
    #[inline]
    pub fn update_follower_fetch_state(
        &mut self,
        fetch: &FollowerFetch,
        view: &impl ClusterView,
        machine: &mut impl Machine,
    ) -> Result<bool, ErrorCode> {
        let mut remotes = self.remotes.iter_mut();
        let Some(state) = remotes.find(|state| state.reference() == fetch.replica) else {
            return Ok(false);
        };
        let before = state.log_end;
        state.fetched(fetch, view, machine.event())?;
        Ok(before != state.log_end)
    }

    /// Looks at the high watermark after a follower's log end changed. `time` is that of the fetch. Returns
    /// whether it moved.
    #[inline]
    pub fn high_watermark_after_fetch(
        &mut self,
        time: Time,
        view: &impl ClusterView,
        machine: &mut impl Machine,
    ) -> bool {
        self.is_leader() && self.maybe_increment_high_watermark(time, view, machine)
    }

    /// The high watermark goes to the least log end of this leader, the maximal ISR, and all that have caught up
    /// lately and may join it (KAFKA-15021: else they could never), unless the ISR is too small (KIP-966). A
    /// member whose log end is not known yet holds it where it is.
    pub(super) fn maybe_increment_high_watermark(
        &mut self,
        now: Time,
        view: &impl ClusterView,
        machine: &mut impl Machine,
    ) -> bool {
        if self.is_under_min_isr() && !self.mutations.has(Mutation::HighWatermarkBelowMinIsr) {
            return false;
        }
        let committed_only = self.mutations.has(Mutation::HighWatermarkFromCommittedIsr);
        let end = self.log.end();
        let mut least = Some(end);
        for replica in &self.remotes {
            if replica.log_end >= least {
                continue;
            }
            let counts = match committed_only {
                true => self.isr.contains(&replica.server),
                false => self.in_maximal_isr(replica.server),
            };
            let waits = || {
                replica.is_caught_up(end, now, self.replica_lag_time_max)
                    && replica.is_isr_eligible(view)
                    && !committed_only
            };
            if counts || waits() {
                least = replica.log_end;
            }
        }
        let moved = least.is_some_and(|least| self.log.maybe_increment_high_watermark(least));
        if moved {
            self.tell_high_watermark(machine);
        }
        moved
    }

    fn tell_high_watermark(&self, machine: &mut impl Machine) {
        let maximal = || {
            self.remotes
                .iter()
                .filter(|replica| self.in_maximal_isr(replica.server))
        };
        let mut because: SmallVec<_> = maximal().map(|replica| replica.by).collect();
        if because.is_empty() {
            because.push(self.appended_by);
        }
        let now = machine.event();
        for by in because.iter().filter(|by| **by != now) {
            machine.because(*by);
        }
        let moved = HighWatermarkMoved {
            to: self.log.high_watermark(),
            epoch: self.leader_epoch.unwrap_or_default(),
            isr: self.isr.clone(),
            maximal_isr: self.maximal_isr(),
            log_ends: maximal()
                .map(|replica| (replica.server, replica.log_end))
                .collect(),
            min_isr: self.effective_min_isr() as u32,
            because,
        };
        let moved = LeaderNote::HighWatermark(Box::new(moved));
        machine.tell(Note::Leader(self.id, moved));
    }
}
