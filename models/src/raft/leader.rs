//! What the leader of an epoch keeps (`LeaderState`).

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use crate::ids::{Offset, ServerId, Servers};
use crate::protocol::Voter;
use crate::raft::accumulator::Accumulator;
use crate::raft::timer::Timer;
use crate::raft::voters::{VoterSet, matches};

/// One voter, as its leader sees it.
#[derive(Clone, Copy, Debug)]
struct Progress {
    voter: Voter,
    /// Where it fetched last: it has everything before.
    end: Option<Offset>,
    last_fetch: Option<Time>,
}

/// The leader's state.
#[derive(Clone, Debug)]
pub(super) struct Leadership {
    own: ServerId,
    epoch_start: Offset,
    voters: SmallVec<[Progress; 5]>,
    /// Which voters have fetched since the check-quorum timer was set, by their place: one bit each.
    fetched: u64,
    check_quorum: Timer,
    check_quorum_timeout: Duration,
    pub(super) begin_quorum: Timer,
    begin_quorum_timeout: Duration,
    pub(super) accumulator: Accumulator,
    /// The controller asked to step down.
    pub(super) resign_requested: bool,
}

impl Leadership {
    pub(super) fn new(
        own: ServerId,
        voters: &VoterSet,
        epoch_start: Offset,
        linger: Duration,
        fetch_timeout: Duration,
        now: Time,
    ) -> Self {
        // Half as long again, for the network and the disk.
        let check_quorum_timeout = Duration(fetch_timeout.0 + fetch_timeout.0 / 2);
        let progress = voters.as_slice().iter().map(|voter| Progress {
            voter: *voter,
            end: None,
            last_fetch: None,
        });
        Leadership {
            own,
            epoch_start,
            voters: progress.collect(),
            fetched: 0,
            check_quorum: Timer::new(now, check_quorum_timeout),
            check_quorum_timeout,
            begin_quorum: Timer::new(now, Duration::ZERO),
            begin_quorum_timeout: Duration::millis(fetch_timeout.as_millis() / 2),
            accumulator: Accumulator::new(epoch_start, linger),
            resign_requested: false,
        }
    }

    /// Where the epoch starts.
    pub(super) fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    /// How long until the leader must step down for want of a majority's fetches; a single voter never must.
    pub(super) fn time_until_check_quorum(&mut self, now: Time) -> Duration {
        if self.voters.len() == 1 {
            return Duration::FOREVER;
        }
        self.check_quorum.remaining(now)
    }

    /// Its timers look at the clock.
    pub(super) fn see(&mut self, now: Time) {
        self.check_quorum.update(now);
        self.begin_quorum.update(now);
    }

    /// Makes the next round of BeginQuorumEpoch due in half a fetch timeout.
    pub(super) fn reset_begin_quorum(&mut self, now: Time) {
        self.begin_quorum.update(now);
        self.begin_quorum.reset(self.begin_quorum_timeout);
    }

    /// Whether the voter at this place has not fetched lately and is to be told who leads.
    pub(super) fn needs_begin_quorum(&self, voter: usize, now: Time) -> bool {
        let progress = &self.voters[voter];
        let silent = progress
            .last_fetch
            .is_none_or(|last| now.since(last) >= self.begin_quorum_timeout);
        progress.voter.server != self.own && silent
    }

    /// The leader's own log ends here.
    pub(super) fn own_end(&mut self, end: Offset) {
        let own = self.own;
        let progress = self
            .voters
            .iter_mut()
            .find(|progress| progress.voter.server == own);
        progress.expect("a leader votes").end = Some(end);
    }

    /// A replica has fetched from `offset`. Whether it votes, so that the high watermark may move.
    pub(super) fn fetched(&mut self, replica: Voter, offset: Offset, now: Time) -> bool {
        let Some(place) = self.voters.iter().position(|known| matches(known.voter, replica)) else {
            return false;
        };
        let progress = &mut self.voters[place];
        progress.end = Some(offset);
        progress.last_fetch = progress.last_fetch.max(Some(now));
        self.fetched |= 1 << place;
        // The leader itself counts without fetching.
        if self.fetched.count_ones() as usize >= self.voters.len() / 2 {
            self.fetched = 0;
            self.check_quorum.update(now);
            self.check_quorum.reset(self.check_quorum_timeout);
        }
        true
    }

    /// The largest offset that a majority has reached, the leader counted, if that lies behind the start of the
    /// epoch: a record of the leader's own epoch must be among what is committed (KAFKA-12619).
    pub(super) fn committed(&self) -> Option<Offset> {
        let majority = self.voters.len() / 2 + 1;
        let reached = |offset: &Offset| {
            let have = self
                .voters
                .iter()
                .filter(|progress| progress.end >= Some(*offset));
            have.count() >= majority
        };
        let ends = self.voters.iter().filter_map(|progress| progress.end);
        ends.filter(|end| *end > self.epoch_start).filter(reached).max()
    }

    /// The other voters, those with the longest logs first.
    pub(super) fn successors(&self) -> Servers {
        let mut voters = self.voters.clone();
        // Stable, so voters that stand equal stay in order of their id.
        voters.sort_by_key(|progress| std::cmp::Reverse(progress.end));
        let servers = voters.iter().map(|progress| progress.voter.server);
        servers.filter(|server| *server != self.own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::tests::three_voters;

    fn leader_of_three() -> Leadership {
        let linger = Duration::millis(25);
        Leadership::new(
            ServerId(1),
            &three_voters(0),
            Offset(10),
            linger,
            Duration::millis(2_000),
            Time(0),
        )
    }

    fn replica(server: u16) -> Voter {
        Voter {
            server: ServerId(server),
            directory: None,
        }
    }

    #[test]
    fn the_high_watermark_is_what_a_majority_has_and_lies_behind_the_epochs_start() {
        let mut leader = leader_of_three();
        leader.own_end(Offset(11));
        assert_eq!(leader.committed(), None);
        assert!(leader.fetched(replica(2), Offset(10), Time(0)));
        assert_eq!(
            leader.committed(),
            None,
            "the epoch's first record is not on a majority"
        );
        leader.fetched(replica(3), Offset(11), Time(0));
        assert_eq!(leader.committed(), Some(Offset(11)));
        assert_eq!(leader.successors().to_vec(), [ServerId(3), ServerId(2)]);
    }

    #[test]
    fn an_observer_does_not_count() {
        let mut leader = leader_of_three();
        leader.own_end(Offset(11));
        assert!(!leader.fetched(replica(4), Offset(11), Time(0)));
        assert_eq!(leader.committed(), None);
    }

    #[test]
    fn each_fetch_of_a_majority_postpones_the_resignation() {
        let mut leader = leader_of_three();
        let at = |millis: u64| Time(millis * 1_000_000);
        assert_eq!(leader.time_until_check_quorum(at(0)), Duration::millis(3_000));
        leader.fetched(replica(2), Offset(10), at(2_000));
        assert_eq!(leader.time_until_check_quorum(at(2_500)), Duration::millis(2_500));
        assert_eq!(leader.time_until_check_quorum(at(5_000)), Duration::ZERO);
    }
}
