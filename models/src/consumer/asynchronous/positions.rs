//! Positions for what is assigned: `OffsetsRequestManager.updateFetchPositions`, once for each poll of the application.
//!
//! | step | ends |
//! |---|---|
//! | positions whose leaders changed are checked | at once: the answers come when they come |
//! | all partitions have positions | fetches |
//! | the group's committed positions, one request at a time for the same partitions | an answer, also to an older request, or `default.api.timeout.ms` |
//! | the others are reset by policy | all leaders have answered |
//!
//! What goes wrong is thrown by the `poll` that asked or, if its time was over, by the next one; a time-out by none. That
//! a log was truncated is thrown by whoever looks first: this, or the poll that is about to take records.

use ktrial_sim::Time;
use smallvec::SmallVec;

use super::background::Background;
use crate::client::Environment;
use crate::config::OffsetReset;
use crate::consumer::exception::Exception;
use crate::ids::PartitionId;
use crate::protocol::FetchedOffset;
use crate::reader::core::Token;
use crate::reader::subscription::{Assigned, FetchState, Position};

/// What an update waits for.
#[derive(Debug)]
enum Waits {
    /// This OffsetFetch.
    Committed(u64),
    /// These ListOffsets, by their numbers.
    Resets(SmallVec<[u32; 4]>),
}

/// An update of positions for a poll.
#[derive(Debug)]
struct Update {
    poll: u64,
    deadline: Time,
    initializing: Vec<PartitionId>,
    waits: Waits,
}

/// Updates that are not done.
#[derive(Debug, Default)]
pub(super) struct Updates {
    waiting: Vec<Update>,
    /// `cachedUpdatePositionsException`.
    cached: Option<Exception>,
}

fn should_initialize(assigned: &Assigned) -> bool {
    assigned.state == FetchState::Initializing && !assigned.pending_revocation
}

impl Background {
    /// `updateFetchPositions` for a poll event; fetches follow it.
    pub(super) fn update_positions(&mut self, poll: u64, deadline: Time, environment: &mut impl Environment) {
        if let Some(exception) = self.updates.cached.take() {
            return self.positions_failed(poll, exception);
        }
        if let Err(truncation) = self.core.validate_positions(environment) {
            return self.positions_failed(poll, truncation.into());
        }
        if self.core.has_all_positions() {
            return self.create_fetches(Some(poll));
        }
        let initializing = self.initializing();
        let mut update = Update {
            poll,
            deadline,
            initializing,
            waits: Waits::Resets(SmallVec::new()),
        };
        if update.initializing.is_empty() {
            return self.reset_positions(update, environment.wall());
        }
        let known = self.commits.fetch_of(&update.initializing);
        let number = known.unwrap_or_else(|| {
            let patience = self.specification.reader.settings.default_api_timeout_ms;
            let deadline = deadline.max(environment.wall() + patience);
            self.fetch_offsets(update.initializing.clone(), deadline)
        });
        update.waits = Waits::Committed(number);
        self.updates.waiting.push(update);
    }

    fn initializing(&self) -> Vec<PartitionId> {
        let assigned = self.core.assigned.iter();
        let initializing = assigned.filter(|one| should_initialize(one));
        let mut partitions: Vec<PartitionId> = initializing.map(|one| one.partition).collect();
        partitions.sort();
        partitions
    }

    fn positions_failed(&mut self, poll: u64, exception: Exception) {
        if exception == Exception::TimedOut {
            return self.create_fetches(Some(poll));
        }
        if let Some(event) = self.hand_over.poll_event(poll) {
            event.error = Some(exception);
            event.reconciliation_checked = true;
            event.complete = true;
            self.hand_over.activity += 1;
        }
    }

    fn update_failed(&mut self, update: Update, exception: Exception, now: Time) {
        if now >= update.deadline {
            self.updates.cached = Some(exception);
        }
        self.positions_failed(update.poll, exception);
    }

    /// An OffsetFetch is over: positions for who still has none, then the rest of the updates that waited for it.
    pub(super) fn offset_fetch_ends(
        &mut self,
        number: u64,
        result: Result<&[FetchedOffset], Exception>,
        environment: &mut impl Environment,
    ) {
        if let Ok(offsets) = result {
            self.refresh(offsets);
        }
        let waits = |update: &Update| matches!(update.waits, Waits::Committed(other) if other == number);
        let (waited, others) = std::mem::take(&mut self.updates.waiting)
            .into_iter()
            .partition(waits);
        self.updates.waiting = others;
        for update in Vec::from_iter::<Vec<Update>>(waited) {
            match result {
                Ok(_) => self.reset_positions(update, environment.wall()),
                Err(exception) => self.update_failed(update, exception, environment.wall()),
            }
        }
    }

    /// Whether a committed position would be used.
    pub(super) fn waits_for_position(&self, partition: PartitionId) -> bool {
        let index = self.core.index_of(partition);
        index.is_some_and(|index| should_initialize(&self.core.assigned[index]))
    }

    /// `refreshCommittedOffsets`.
    fn refresh(&mut self, offsets: &[FetchedOffset]) {
        for fetched in offsets {
            let Some(committed) = fetched.committed else {
                continue;
            };
            let metadata = &mut self.core.metadata;
            if let Some(epoch) = committed.leader_epoch {
                metadata.update_last_seen_epoch_if_newer(fetched.partition, epoch);
            }
            let leader = metadata.current_leader(fetched.partition);
            if let Some(assigned) = self.core.assigned_mut(fetched.partition)
                && should_initialize(assigned)
            {
                assigned.seek_unvalidated(Position {
                    offset: committed.offset,
                    epoch: committed.leader_epoch,
                    leader,
                });
            }
        }
    }

    /// `initWithPartitionOffsetsIfNeeded`.
    fn reset_positions(&mut self, mut update: Update, now: Time) {
        let policy = self.core.settings.auto_offset_reset;
        for partition in &update.initializing {
            let Some(assigned) = self.core.assigned_mut(*partition) else {
                continue;
            };
            if should_initialize(assigned) {
                if policy == OffsetReset::None {
                    return self.update_failed(update, Exception::Position, now);
                }
                assigned.request_reset();
            }
        }
        let before = self.core.unsent().len();
        self.core.reset(now);
        let asked = self.core.unsent()[before..].iter();
        let asked: SmallVec<[u32; 4]> = asked
            .filter_map(|unsent| match unsent.token {
                Token::ListOffsets(number) => Some(number),
                _ => None,
            })
            .collect();
        if asked.is_empty() {
            return self.create_fetches(Some(update.poll));
        }
        update.waits = Waits::Resets(asked);
        self.updates.waiting.push(update);
    }

    /// A ListOffsets is over, well or not.
    pub(super) fn list_offsets_ended(&mut self, number: u32) {
        let mut done = Vec::new();
        self.updates.waiting.retain_mut(|update| {
            let Waits::Resets(asked) = &mut update.waits else {
                return true;
            };
            asked.retain(|other| *other != number);
            if asked.is_empty() {
                done.push(update.poll);
            }
            !asked.is_empty()
        });
        for poll in done {
            self.create_fetches(Some(poll));
        }
    }
}
