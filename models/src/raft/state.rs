//! The states of a replica in the quorum and whom it would vote for (`EpochState` and those that implement it).

use ktrial_sim::{Duration, Time};

use crate::ids::{ServerId, Servers};
use crate::protocol::Voter;
use crate::raft::leader::Leadership;
use crate::raft::timer::Timer;
use crate::raft::voters::{Votes, matches};

/// What a replica is in its epoch.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Knows no leader. Becomes prospective when its election timer runs out; an observer's never does.
    Unattached { voted: Option<Voter>, election: Timer },
    /// Asks whether it would be elected, without touching the epoch (KIP-996).
    Prospective {
        leader: Option<ServerId>,
        voted: Option<Voter>,
        votes: Votes,
        election: Timer,
    },
    /// Has voted for itself in a new epoch and asks for votes.
    Candidate { votes: Votes, election: Timer },
    /// Leads.
    Leader(Box<Leadership>),
    /// Follows; becomes prospective when it has not fetched successfully for the fetch timeout.
    Follower {
        leader: ServerId,
        voted: Option<Voter>,
        /// Has fetched from this leader.
        fetched: bool,
        fetch: Timer,
    },
    /// Led the epoch before it stepped down or was restarted: leads no more, and votes for nobody in it.
    Resigned {
        /// Voters that have not yet said that they know, by their place: one bit each.
        unacknowledged: u64,
        successors: Servers,
        election: Timer,
    },
}

impl State {
    /// Who leads the epoch, as far as this replica (`own`) knows.
    pub(super) fn leader(&self, own: ServerId) -> Option<ServerId> {
        match self {
            State::Unattached { .. } | State::Candidate { .. } => None,
            State::Prospective { leader, .. } => *leader,
            State::Leader(_) | State::Resigned { .. } => Some(own),
            State::Follower { leader, .. } => Some(*leader),
        }
    }

    /// Whom it voted for in the epoch.
    pub(super) fn voted(&self, own: Voter) -> Option<Voter> {
        match self {
            State::Unattached { voted, .. }
            | State::Prospective { voted, .. }
            | State::Follower { voted, .. } => *voted,
            State::Candidate { .. } => Some(own),
            State::Leader(_) | State::Resigned { .. } => None,
        }
    }

    /// Whether it grants a vote, or the promise of one (`canGrantVote`). `up_to_date`: the asker's log is not
    /// behind its own. `twice`: the deviation that forgets whom it voted for.
    pub(super) fn can_grant(&self, candidate: Voter, up_to_date: bool, pre_vote: bool, twice: bool) -> bool {
        match self {
            State::Unattached { .. } | State::Prospective { .. } if pre_vote => up_to_date,
            State::Unattached {
                voted: Some(voted), ..
            }
            | State::Prospective {
                voted: Some(voted), ..
            } if !twice => matches(*voted, candidate),
            State::Unattached { .. } => up_to_date,
            State::Prospective { leader, .. } => leader.is_none() && up_to_date,
            State::Follower { fetched, .. } => pre_vote && !fetched && up_to_date,
            State::Candidate { .. } | State::Resigned { .. } => pre_vote && up_to_date,
            State::Leader(_) => false,
        }
    }

    /// Its timers look at the clock.
    pub(super) fn see(&mut self, now: Time) {
        match self {
            State::Unattached { election, .. }
            | State::Prospective { election, .. }
            | State::Candidate { election, .. }
            | State::Resigned { election, .. } => election.update(now),
            State::Leader(leader) => leader.see(now),
            State::Follower { fetch, .. } => fetch.update(now),
        }
    }

    /// What is left of an election timer that runs on when another epoch becomes known
    /// (`QuorumState.transitionToUnattached`).
    pub(super) fn remaining_election(&mut self, now: Time) -> Option<Duration> {
        match self {
            State::Prospective { votes, .. } if votes.is_lost() => None,
            State::Unattached { election, .. }
            | State::Prospective { election, .. }
            | State::Candidate { election, .. }
            | State::Resigned { election, .. } => Some(election.remaining(now)),
            State::Leader(_) | State::Follower { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DirectoryId;

    fn voter(server: u16) -> Voter {
        Voter {
            server: ServerId(server),
            directory: Some(DirectoryId::formatted(ServerId(server), 0)),
        }
    }

    fn timer() -> Timer {
        Timer::new(Time(0), Duration::secs(1))
    }

    #[test]
    fn a_vote_is_given_once_in_an_epoch() {
        let fresh = State::Unattached {
            voted: None,
            election: timer(),
        };
        assert!(fresh.can_grant(voter(2), true, false, false));
        assert!(
            !fresh.can_grant(voter(2), false, false, false),
            "its log is behind"
        );
        let voted = State::Unattached {
            voted: Some(voter(2)),
            election: timer(),
        };
        assert!(voted.can_grant(voter(2), true, false, false), "it may ask again");
        assert!(!voted.can_grant(voter(3), true, false, false));
        assert!(
            voted.can_grant(voter(3), true, true, false),
            "a pre-vote binds nobody"
        );
    }

    #[test]
    fn a_follower_that_has_fetched_promises_no_vote() {
        let follower = |fetched| State::Follower {
            leader: ServerId(1),
            voted: None,
            fetched,
            fetch: timer(),
        };
        assert!(follower(false).can_grant(voter(2), true, true, false));
        assert!(!follower(true).can_grant(voter(2), true, true, false));
        assert!(!follower(false).can_grant(voter(2), true, false, false));
    }

    #[test]
    fn a_resigned_leader_votes_for_nobody_in_its_epoch() {
        let resigned = State::Resigned {
            unacknowledged: 0,
            successors: Servers::new(),
            election: timer(),
        };
        assert!(!resigned.can_grant(voter(2), true, false, false));
        assert!(resigned.can_grant(voter(2), true, true, false));
    }
}
