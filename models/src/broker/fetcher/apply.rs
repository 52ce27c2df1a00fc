//! What a fetcher does with an answer (`processFetchRequest`, `fetchOffsetAndTruncate`, `truncateOnFetchResponse`).

use ktrial_sim::Context;
use smallvec::smallvec;

use super::{Activity, FetchState, Fetcher, Surroundings};
use crate::broker::partition::{FetchStart, FollowerError};
use crate::broker::slots;
use crate::config::IsolationLevel;
use crate::cuts;
use crate::ids::{Offset, PartitionId};
use crate::kafka::Kafka;
use crate::protocol::{ErrorCode, FetchedPartition, ListOffsetsRequest, ListOffsetsTarget, Request};

impl Fetcher {
    /// Applies what is left of the answer, then goes on with the next round.
    pub(super) fn apply(&mut self, around: &mut Surroundings<'_>, context: &mut Context<'_, Kafka>) {
        let Some(answer) = self.answer.take() else {
            self.fetch(around, context);
            return;
        };
        while self.applied < answer.partitions.len() {
            let told = &answer.partitions[self.applied];
            let waits = self.apply_partition(told, around, context);
            if waits {
                self.answer = Some(answer);
                return;
            }
            self.applied += 1;
        }
        context.arena().fetch_answers.take_back(answer);
        self.truncate_diverging(around, context);
        self.delay_errors(around, context);
        if !self.effects.moved.is_empty() && self.opens(cuts::FOLLOWER_BEFORE_WAKING, context) {
            return;
        }
        self.fetch(around, context);
    }

    /// Whether the fetcher now waits for something before it can go on behind this partition.
    fn apply_partition(
        &mut self,
        told: &FetchedPartition,
        around: &mut Surroundings<'_>,
        context: &mut Context<'_, Kafka>,
    ) -> bool {
        let (Some(state), Some(asked)) = (
            self.state(told.partition).copied(),
            self.session.asked(told.partition).copied(),
        ) else {
            return false;
        };
        let still_valid = asked.fetch_offset == state.offset
            && asked.current_leader_epoch == Some(state.leader_epoch)
            && !state.is_delayed(context.wall());
        if !still_valid {
            return false;
        }
        match told.error {
            ErrorCode::None => match told.diverging {
                Some((epoch, end)) => {
                    self.diverging.push((told.partition, epoch, end));
                    false
                }
                None => self.append(told, state, around, context),
            },
            ErrorCode::OffsetOutOfRange => self.ask(state, ListOffsetsTarget::Latest, around, context),
            ErrorCode::FencedLeaderEpoch => {
                // The epoch is the one it still has, or the answer would not count.
                self.remove(told.partition);
                false
            }
            _ => {
                self.errors.push(told.partition);
                false
            }
        }
    }

    /// `processPartitionData`.
    fn append(
        &mut self,
        told: &FetchedPartition,
        state: FetchState,
        around: &mut Surroundings<'_>,
        context: &mut Context<'_, Kafka>,
    ) -> bool {
        let partition = around.partitions.get_mut(told.partition);
        let partition = partition.expect("only hosted partitions are fetched");
        let fetched = match partition.process_fetched(state.offset, state.leader_epoch, told, context) {
            Ok(fetched) => fetched,
            Err(FollowerError::Corrupt) => {
                self.errors.push(told.partition);
                return false;
            }
            Err(error) => {
                self.effects.disk_failed |= error == FollowerError::Storage;
                self.remove(told.partition);
                return false;
            }
        };
        let appended = fetched.appended;
        if let Some(below) = appended.rolled {
            self.effects.rolled.push((told.partition, below));
        }
        if fetched.high_watermark_moved {
            self.effects.moved.push(told.partition);
        }
        if appended.bytes > 0 || !state.lag_known {
            self.update_and_move_to_end(FetchState {
                offset: fetched.next_offset,
                last_fetched_epoch: appended.last_epoch.or(state.last_fetched_epoch),
                lag_known: true,
                due: None,
                ..state
            });
        }
        if appended.flush_due {
            self.activity = Activity::Flushing {
                partition: told.partition,
                to: fetched.next_offset,
            };
            let wait = around.flush.draw(told.partition, fetched.next_offset, context);
            context.set_timer(slots::fetcher(self.timer), wait);
            self.applied += 1;
        }
        appended.flush_due
    }

    pub(super) fn flushed(
        &mut self,
        partition: PartitionId,
        to: Offset,
        around: &mut Surroundings<'_>,
        context: &mut Context<'_, Kafka>,
    ) {
        let flushed = around
            .partitions
            .get_mut(partition)
            .map(|partition| partition.log_mut().flush(to, context));
        if let Some(Err(_)) = flushed {
            self.effects.disk_failed = true;
            self.remove(partition);
        }
    }

    fn ask(
        &mut self,
        state: FetchState,
        target: ListOffsetsTarget,
        around: &Surroundings<'_>,
        context: &mut Context<'_, Kafka>,
    ) -> bool {
        if !self.channel.is_ready() {
            self.errors.push(state.partition);
            return false;
        }
        let request = ListOffsetsRequest {
            replica: Some(around.identity.broker),
            isolation: IsolationLevel::ReadUncommitted,
            partitions: smallvec![(state.partition, Some(state.leader_epoch), target)],
        };
        self.channel
            .send(Request::ListOffsets(Box::new(request)), context);
        self.activity = Activity::Asking(target);
        self.arm(around, context);
        true
    }

    /// `fetchOffsetAndTruncate`, one answer further.
    pub(super) fn offset_listed(
        &mut self,
        target: ListOffsetsTarget,
        error: ErrorCode,
        offset: Offset,
        around: &mut Surroundings<'_>,
        context: &mut Context<'_, Kafka>,
    ) {
        let id = self.answer_in_hand().partition;
        let partition = around.partitions.get_mut(id);
        if let (Some(state), Some(partition)) = (self.state(id).copied(), partition) {
            match (error, target) {
                (ErrorCode::None, ListOffsetsTarget::Latest) => {
                    match partition.truncate_if_beyond(offset, context) {
                        Ok(Some(start)) => self.out_of_range(state, start),
                        Ok(None) if self.ask(state, ListOffsetsTarget::Earliest, around, context) => return,
                        Ok(None) => {}
                        Err(_) => self.disk_failed(id),
                    }
                }
                (ErrorCode::None, ListOffsetsTarget::Earliest) => {
                    match partition.restart_if_behind(offset, context) {
                        Ok(start) => self.out_of_range(state, start),
                        Err(_) => self.disk_failed(id),
                    }
                }
                (ErrorCode::FencedLeaderEpoch, _) => self.remove(id),
                _ => self.errors.push(id),
            }
        }
        self.applied += 1;
        self.apply(around, context);
    }

    fn out_of_range(&mut self, state: FetchState, start: FetchStart) {
        self.effects.cut.push(state.partition);
        self.update_and_move_to_end(FetchState {
            offset: start.offset,
            last_fetched_epoch: start.last_fetched_epoch,
            lag_known: true,
            due: None,
            ..state
        });
    }

    fn disk_failed(&mut self, partition: PartitionId) {
        self.effects.disk_failed = true;
        self.errors.push(partition);
    }

    /// `truncateOnFetchResponse`.
    fn truncate_diverging(&mut self, around: &mut Surroundings<'_>, context: &mut Context<'_, Kafka>) {
        let mut diverging = std::mem::take(&mut self.diverging);
        for (id, epoch, end) in diverging.drain(..) {
            let Some(partition) = around.partitions.get_mut(id) else {
                continue;
            };
            self.effects.cut.push(id);
            match partition.truncate_on_divergence((epoch, end), context) {
                Ok(start) => {
                    if let Some(state) = self.states.iter_mut().find(|state| state.partition == id) {
                        state.offset = start.offset;
                        state.last_fetched_epoch = start.last_fetched_epoch;
                    }
                }
                Err(_) => {
                    self.effects.disk_failed = true;
                    self.remove(id);
                }
            }
        }
        self.diverging = diverging;
    }
}
