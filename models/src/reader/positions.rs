//! Where partitions are read: `OffsetFetcher`, `OffsetFetcherUtils`.

use ktrial_sim::Time;
use smallvec::SmallVec;

use super::core::{Asked, Core, LogTruncation, Token};
use super::subscription::{Assigned, FetchState, Position, Validation};
use crate::client::{ConnectionState, Environment, Node};
use crate::config::OffsetReset;
use crate::ids::{LeaderEpoch, Offset, PartitionId, ServerId};
use crate::notes::{ClientNote, Note};
use crate::protocol::{ListOffsetsRequest, ListOffsetsTarget, OffsetForLeaderEpochRequest, Request};

impl Core {
    /// `updateFetchPositions`. False: `poll` throws (no policy for a position that is needed, or that is gone).
    pub(crate) fn update_positions(&mut self, environment: &mut impl Environment) -> bool {
        if self.throw_truncation().is_err() {
            return false;
        }
        self.validate_on_metadata_change();
        if self.has_all_positions() {
            return true;
        }
        self.validate(environment.wall(), environment);
        let fine = self.reset_initializing();
        self.reset(environment.wall());
        fine
    }

    /// Positions whose leaders have changed are checked (`validatePositionsIfNeeded`), unless an earlier check has
    /// something to throw.
    pub(crate) fn validate_positions(
        &mut self,
        environment: &mut impl Environment,
    ) -> Result<(), LogTruncation> {
        self.throw_truncation()?;
        self.validate_on_metadata_change();
        self.validate(environment.wall(), environment);
        Ok(())
    }

    /// `PositionsValidator.maybeThrowError`: once. The position stays what it is, and is checked again.
    pub(crate) fn throw_truncation(&mut self) -> Result<(), LogTruncation> {
        self.truncation.take().map_or(Ok(()), Err)
    }

    /// `validatePositionsOnMetadataChange`.
    pub(crate) fn validate_on_metadata_change(&mut self) {
        if self.validated_version != self.metadata.version() {
            self.validated_version = self.metadata.version();
            for assigned in &mut self.assigned {
                let leader = self.metadata.current_leader(assigned.partition);
                assigned.maybe_validate(leader);
            }
        }
    }

    /// What has no position is reset by policy (`resetInitializingPositions`). False: there is no policy.
    pub(crate) fn reset_initializing(&mut self) -> bool {
        let mut fine = true;
        for assigned in &mut self.assigned {
            if assigned.state == FetchState::Initializing {
                match self.settings.auto_offset_reset {
                    OffsetReset::None => fine = false,
                    _ => assigned.request_reset(),
                }
            }
        }
        fine
    }

    fn ask(&mut self, of: Asked) -> u32 {
        let free = self.asked.iter().position(|asked| asked.is_empty());
        match free {
            Some(number) => {
                self.asked[number] = of;
                number as u32
            }
            None => {
                self.asked.push(of);
                self.asked.len() as u32 - 1
            }
        }
    }

    fn leaders(&self, needs: impl Fn(&Assigned) -> Option<ServerId>) -> SmallVec<[ServerId; 8]> {
        let mut leaders: SmallVec<[ServerId; 8]> = self.assigned.iter().filter_map(needs).collect();
        leaders.sort();
        leaders.dedup();
        leaders
    }

    /// Asks leaders whether positions are still in their logs (`OffsetFetcher.validatePositionsAsync`).
    fn validate(&mut self, now: Time, environment: &mut impl Environment) {
        let waits = |assigned: &Assigned| {
            assigned.state == FetchState::AwaitingValidation && !assigned.backs_off(now)
        };
        if !self.assigned.iter().any(waits) {
            return;
        }
        let leader = |assigned: &Assigned| assigned.position.filter(|_| waits(assigned))?.leader.leader;
        for server in self.leaders(leader) {
            // A node whose versions are not known is connected to first.
            if self.network.state(Node::Broker(server)) != Some(ConnectionState::Ready) {
                self.network
                    .ready(Node::Broker(server), &mut self.metadata, now, environment);
                continue;
            }
            let (mut asked, mut partitions) = (SmallVec::new(), SmallVec::new());
            for assigned in &mut self.assigned {
                if leader(assigned) != Some(server) {
                    continue;
                }
                let position = assigned.position.expect("it awaits validation");
                assigned.next_retry = Some(now + self.settings.request_timeout_ms);
                asked.push((assigned.partition, Some(position)));
                let epoch = position.epoch.expect("only such positions are validated");
                partitions.push((assigned.partition, position.leader.epoch, epoch));
            }
            let token = Token::OffsetForLeaderEpoch(self.ask(asked));
            let request = Request::OffsetForLeaderEpoch(Box::new(OffsetForLeaderEpochRequest {
                replica: None,
                partitions,
            }));
            self.enqueue(server, token, request, now);
        }
    }

    /// Asks leaders for the ends of their logs (`OffsetFetcher.resetPositionsAsync`).
    pub(crate) fn reset(&mut self, now: Time) {
        let waits =
            |assigned: &Assigned| assigned.state == FetchState::AwaitingReset && !assigned.backs_off(now);
        if !self.assigned.iter().any(waits) {
            return;
        }
        let target = match self.settings.auto_offset_reset {
            OffsetReset::Earliest => ListOffsetsTarget::Earliest,
            OffsetReset::Latest => ListOffsetsTarget::Latest,
            OffsetReset::None => return,
            OffsetReset::ByDuration(_) => unreachable!("such settings stop the run"),
        };
        let unknown = |assigned: &Assigned| {
            waits(assigned) && self.metadata.current_leader(assigned.partition).leader.is_none()
        };
        if self.assigned.iter().any(unknown) {
            self.metadata.request_update(true);
        }
        let metadata = &self.metadata;
        let leader = |assigned: &Assigned| {
            let known = waits(assigned).then(|| metadata.current_leader(assigned.partition).leader);
            known.flatten()
        };
        for server in self.leaders(leader) {
            if self.network.is_unavailable(Node::Broker(server), now) {
                continue;
            }
            let (mut asked, mut partitions) = (SmallVec::new(), SmallVec::new());
            for assigned in &mut self.assigned {
                let leader = self.metadata.current_leader(assigned.partition);
                if !waits(assigned) || leader.leader != Some(server) {
                    continue;
                }
                assigned.next_retry = Some(now + self.settings.request_timeout_ms);
                asked.push((assigned.partition, None));
                partitions.push((assigned.partition, leader.epoch, target));
            }
            let token = Token::ListOffsets(self.ask(asked));
            let request = Request::ListOffsets(Box::new(ListOffsetsRequest {
                replica: None,
                isolation: self.settings.isolation_level,
                partitions,
            }));
            self.enqueue(server, token, request, now);
        }
    }

    pub(crate) fn retry_later(&mut self, partition: PartitionId, environment: &mut impl Environment) {
        let next = environment.wall() + self.client.retry_backoff;
        if let Some(assigned) = self.assigned_mut(partition) {
            assigned.next_retry = Some(next);
        }
        self.metadata.request_update(false);
    }

    pub(crate) fn found(
        &mut self,
        partition: PartitionId,
        position: Position,
        environment: &mut impl Environment,
    ) {
        let Some(assigned) = self.assigned_mut(partition) else {
            return;
        };
        if assigned.state != FetchState::AwaitingReset {
            return;
        }
        assigned.seek(position);
        if let Some(from) = assigned.given_up.take() {
            environment.note(Note::Client(ClientNote::PositionReset {
                partition,
                from,
                to: position.offset,
            }));
        }
    }

    pub(crate) fn validated(
        &mut self,
        partition: PartitionId,
        asked: Position,
        end: Option<(LeaderEpoch, Offset)>,
        environment: &mut impl Environment,
    ) {
        let policy = self.settings.auto_offset_reset;
        let Some(assigned) = self.assigned_mut(partition) else {
            return;
        };
        match assigned.complete_validation(asked, end, policy) {
            Validation::Truncated { from, to } => {
                environment.note(Note::Client(ClientNote::PositionReset { partition, from, to }));
            }
            Validation::Exception => self.truncation = Some(LogTruncation),
            Validation::Stale | Validation::Valid | Validation::Reset => {}
        }
    }
}
