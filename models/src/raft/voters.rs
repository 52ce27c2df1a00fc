//! Who votes (`VoterSet`), and the votes of one election (`EpochElection`).

use smallvec::SmallVec;

use crate::ids::{DirectoryId, ServerId};
use crate::protocol::Voter;
use crate::specification::ClusterSpecification;

/// The voters, sorted by id. Static: every server with the controller's role, as it was formatted first.
#[derive(Clone, Debug)]
pub(super) struct VoterSet(SmallVec<[Voter; 5]>);

impl VoterSet {
    /// With kraft.version 0 voters are known by their id alone, later also by the directory of the first format.
    pub(super) fn new(specification: &ClusterSpecification) -> Self {
        let by_directory = specification.features.kraft > 0;
        let controllers = specification.servers.iter().filter(|server| server.controller);
        VoterSet(
            controllers
                .map(|server| Voter {
                    server: server.id,
                    directory: by_directory.then(|| DirectoryId::formatted(server.id, 0)),
                })
                .collect(),
        )
    }

    /// Whether this replica votes (`VoterSet.isVoter`).
    pub(super) fn contains(&self, replica: Voter) -> bool {
        self.0.iter().any(|voter| matches(*voter, replica))
    }

    /// All of them.
    pub(super) fn as_slice(&self) -> &[Voter] {
        &self.0
    }

    /// The place of a server in the set.
    pub(super) fn index_of(&self, server: ServerId) -> Option<usize> {
        self.0.iter().position(|voter| voter.server == server)
    }
}

/// Whether a replica is the one a set (or a vote) names; an unnamed directory fits any (`ReplicaKey`).
pub(super) fn matches(named: Voter, replica: Voter) -> bool {
    named.server == replica.server && (named.directory.is_none() || named.directory == replica.directory)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vote {
    Unrecorded,
    Granted,
    Rejected,
}

/// The votes of one election, by the voters' place in their set.
#[derive(Clone, Debug)]
pub(super) struct Votes(SmallVec<[Vote; 5]>);

impl Votes {
    /// Only its own vote, `own` being its place.
    pub(super) fn of_its_own(voters: usize, own: usize) -> Self {
        let mut votes = Votes(SmallVec::from_elem(Vote::Unrecorded, voters));
        votes.record(own, true);
        votes
    }

    pub(super) fn record(&mut self, voter: usize, granted: bool) {
        self.0[voter] = if granted { Vote::Granted } else { Vote::Rejected };
    }

    pub(super) fn is_unrecorded(&self, voter: usize) -> bool {
        self.0[voter] == Vote::Unrecorded
    }

    fn count(&self, vote: Vote) -> usize {
        self.0.iter().filter(|other| **other == vote).count()
    }

    /// Whether a majority granted.
    pub(super) fn is_won(&self) -> bool {
        self.count(Vote::Granted) > self.0.len() / 2
    }

    /// Whether no majority can grant any more.
    pub(super) fn is_lost(&self) -> bool {
        self.count(Vote::Granted) + self.count(Vote::Unrecorded) <= self.0.len() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_election_is_won_by_a_majority_and_lost_when_none_is_left() {
        let mut votes = Votes::of_its_own(4, 1);
        votes.record(0, true);
        assert!(!votes.is_won() && !votes.is_lost());
        votes.record(2, false);
        votes.record(3, false);
        assert!(!votes.is_won() && votes.is_lost());
        votes.record(3, true);
        assert!(votes.is_won() && !votes.is_lost());
    }

    #[test]
    fn a_voter_without_a_named_directory_is_known_by_its_id_alone() {
        let named = |directory| Voter {
            server: ServerId(1),
            directory,
        };
        let (old, new) = (Some(DirectoryId(7)), Some(DirectoryId(8)));
        assert!(matches(named(None), named(new)));
        assert!(!matches(named(old), named(new)));
    }
}
