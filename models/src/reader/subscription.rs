//! Positions of the assigned partitions: `SubscriptionState`.
//!
//! States: initializing → awaiting reset → fetching ⇄ awaiting validation; any → awaiting reset.

use ktrial_sim::{Duration, Time};

use crate::client::LeaderAndEpoch;
use crate::config::OffsetReset;
use crate::ids::{LeaderEpoch, Offset, PartitionId, ServerId};
use crate::protocol::CommittedOffset;

/// Where a reader stands in a partition (`FetchPosition`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The next offset to hand out.
    pub offset: Offset,
    /// The epoch of the batch before it.
    pub epoch: Option<LeaderEpoch>,
    /// The leader it was checked against.
    pub leader: LeaderAndEpoch,
}

impl Position {
    /// What a commit of it says: its leader is nobody's affair.
    pub(crate) fn to_commit(self) -> CommittedOffset {
        CommittedOffset {
            offset: self.offset,
            leader_epoch: self.epoch,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchState {
    Initializing,
    Fetching,
    AwaitingValidation,
    AwaitingReset,
}

/// One assigned partition.
#[derive(Clone, Debug)]
pub(crate) struct Assigned {
    pub(crate) partition: PartitionId,
    pub(crate) state: FetchState,
    pub(crate) position: Option<Position>,
    /// The position that was given up, until another is found.
    pub(crate) given_up: Option<Offset>,
    pub(crate) next_retry: Option<Time>,
    /// Where to read instead of at the leader, until when.
    preferred: Option<(ServerId, Time)>,
    /// The end that was last told as reached.
    pub(crate) told_end: Option<Offset>,
    /// The application has paused it: nothing is fetched, and what is buffered stays there.
    pub(crate) paused: bool,
    /// It will be given up before the member joins again: nothing more is handed out.
    pub(crate) pending_revocation: bool,
    /// onPartitionsAssigned has not returned yet: nothing is fetched.
    pub(crate) pending_listener: bool,
}

/// What a validated position turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validation {
    /// Nobody waits for it any more.
    Stale,
    /// The log still holds what was read.
    Valid,
    /// It does not: the position goes back.
    Truncated { from: Offset, to: Offset },
    /// It does not, and where it diverges is not known: reset by policy.
    Reset,
    /// It does not, and there is no policy: LogTruncationException.
    Exception,
}

impl Assigned {
    pub(crate) fn new(partition: PartitionId) -> Self {
        Assigned {
            partition,
            state: FetchState::Initializing,
            position: None,
            given_up: None,
            next_retry: None,
            preferred: None,
            told_end: None,
            paused: false,
            pending_revocation: false,
            pending_listener: false,
        }
    }

    pub(crate) fn is_fetchable(&self) -> bool {
        !self.paused && self.has_valid_position() && !self.pending_revocation && !self.pending_listener
    }

    pub(crate) fn has_valid_position(&self) -> bool {
        self.state == FetchState::Fetching
    }

    pub(crate) fn request_reset(&mut self) {
        if let Some(position) = self.position.take() {
            self.given_up = Some(position.offset);
        }
        self.state = FetchState::AwaitingReset;
        self.next_retry = None;
    }

    pub(crate) fn backs_off(&self, now: Time) -> bool {
        self.next_retry.is_some_and(|next| now < next)
    }

    /// A position that was committed is checked before it is used, if that is possible (`seekUnvalidated`).
    pub(crate) fn seek_unvalidated(&mut self, position: Position) {
        self.seek(position);
        if position.epoch.is_some() && position.leader.epoch.is_some() {
            self.state = FetchState::AwaitingValidation;
        }
    }

    /// Another leader or epoch than the position was checked against: check it again if both epochs are known.
    pub(crate) fn maybe_validate(&mut self, leader: LeaderAndEpoch) {
        if self.state == FetchState::AwaitingReset || leader.leader.is_none() {
            return;
        }
        if let Some(position) = &mut self.position
            && position.leader != leader
        {
            position.leader = leader;
            let both = position.epoch.is_some() && leader.epoch.is_some();
            self.state = match both {
                true => FetchState::AwaitingValidation,
                false => FetchState::Fetching,
            };
            self.next_retry = None;
            self.preferred = None;
        }
    }

    /// OffsetForLeaderEpoch was answered for `asked` (`SubscriptionState.maybeCompleteValidation`).
    pub(crate) fn complete_validation(
        &mut self,
        asked: Position,
        end: Option<(LeaderEpoch, Offset)>,
        policy: OffsetReset,
    ) -> Validation {
        if self.state != FetchState::AwaitingValidation || self.position != Some(asked) {
            return Validation::Stale;
        }
        let diverges = end.is_none_or(|(_, end)| end < asked.offset);
        if diverges && policy == OffsetReset::None {
            return Validation::Exception;
        }
        match end {
            None => {
                self.request_reset();
                Validation::Reset
            }
            Some((epoch, end)) if diverges => {
                self.seek(Position {
                    offset: end,
                    epoch: Some(epoch),
                    leader: asked.leader,
                });
                Validation::Truncated {
                    from: asked.offset,
                    to: end,
                }
            }
            Some(_) => {
                self.state = FetchState::Fetching;
                self.next_retry = None;
                Validation::Valid
            }
        }
    }

    pub(crate) fn seek(&mut self, position: Position) {
        self.position = Some(position);
        self.state = FetchState::Fetching;
        self.next_retry = None;
    }

    /// Where to read instead of at the leader (KIP-392).
    pub(crate) fn preferred_replica(&mut self, now: Time) -> Option<ServerId> {
        if self.preferred.is_some_and(|(_, until)| now > until) {
            self.preferred = None;
        }
        self.preferred.map(|(server, _)| server)
    }

    /// Whom its records are fetched from, and up to when; none if none are fetched.
    pub(crate) fn reads_from(&self) -> Option<(ServerId, Time)> {
        let position = self.position.filter(|_| self.is_fetchable())?;
        let leader = position.leader.leader?;
        Some(self.preferred.unwrap_or((leader, Time::NEVER)))
    }

    pub(crate) fn prefer(&mut self, server: ServerId, now: Time, metadata_max_age: Duration) {
        if self.preferred.is_none_or(|(known, _)| known != server) {
            self.preferred = Some((server, now + metadata_max_age));
        }
    }

    pub(crate) fn clear_preferred(&mut self) -> bool {
        self.preferred.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEADER: LeaderAndEpoch = LeaderAndEpoch {
        leader: Some(ServerId(1)),
        epoch: Some(LeaderEpoch(3)),
    };

    fn at(offset: u64, epoch: Option<u32>) -> Assigned {
        let mut assigned = Assigned::new(PartitionId(0));
        assigned.seek(Position {
            offset: Offset(offset),
            epoch: epoch.map(LeaderEpoch),
            leader: LeaderAndEpoch::default(),
        });
        assigned
    }

    #[test]
    fn a_new_leader_makes_a_position_with_an_epoch_wait_for_validation() {
        let mut with = at(7, Some(2));
        with.maybe_validate(LEADER);
        assert_eq!(with.state, FetchState::AwaitingValidation);
        let mut without = at(7, None);
        without.maybe_validate(LEADER);
        assert_eq!(without.state, FetchState::Fetching);
    }

    #[test]
    fn a_position_behind_the_end_of_its_epoch_goes_back_to_that_end() {
        let mut assigned = at(7, Some(2));
        assigned.maybe_validate(LEADER);
        let asked = assigned.position.expect("it has one");
        let end = Some((LeaderEpoch(1), Offset(5)));
        assert_eq!(
            assigned.complete_validation(asked, end, OffsetReset::Latest),
            Validation::Truncated {
                from: Offset(7),
                to: Offset(5)
            }
        );
        assert_eq!(assigned.position.map(|position| position.offset), Some(Offset(5)));
    }

    #[test]
    fn without_a_policy_a_truncation_is_an_exception() {
        let mut assigned = at(7, Some(2));
        assigned.maybe_validate(LEADER);
        let asked = assigned.position.expect("it has one");
        for end in [None, Some((LeaderEpoch(1), Offset(5)))] {
            let outcome = assigned.complete_validation(asked, end, OffsetReset::None);
            assert_eq!(outcome, Validation::Exception);
        }
    }

    #[test]
    fn an_epoch_that_the_leader_does_not_know_resets_by_policy() {
        let mut assigned = at(7, Some(2));
        assigned.maybe_validate(LEADER);
        let asked = assigned.position.expect("it has one");
        let outcome = assigned.complete_validation(asked, None, OffsetReset::Earliest);
        assert_eq!(outcome, Validation::Reset);
        assert_eq!(
            (assigned.state, assigned.given_up),
            (FetchState::AwaitingReset, Some(Offset(7)))
        );
    }

    #[test]
    fn an_answer_for_a_position_that_moved_is_ignored() {
        let mut assigned = at(7, Some(2));
        assigned.maybe_validate(LEADER);
        let asked = assigned.position.expect("it has one");
        assigned.seek(Position {
            offset: Offset(9),
            ..asked
        });
        let outcome = assigned.complete_validation(asked, None, OffsetReset::Earliest);
        assert_eq!(outcome, Validation::Stale);
    }

    #[test]
    fn a_preferred_replica_is_forgotten_when_metadata_would_be_old() {
        let mut assigned = at(0, None);
        assigned.prefer(ServerId(2), Time(0), Duration::secs(300));
        assert_eq!(
            assigned.preferred_replica(Time(300_000_000_000)),
            Some(ServerId(2))
        );
        assert_eq!(assigned.preferred_replica(Time(300_000_000_001)), None);
    }

    #[test]
    fn a_new_leader_ends_the_preference_for_a_replica() {
        let mut assigned = at(0, None);
        assigned.prefer(ServerId(2), Time(0), Duration::secs(300));
        assigned.maybe_validate(LEADER);
        assert_eq!(assigned.preferred_replica(Time(1)), None);
    }
}
