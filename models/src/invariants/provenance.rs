//! What Kafka had promised for one witness, by what happened to the copies of the partition's log, to its elections
//! and to its client. Order through heartbeats and the metadata log does not count: what befell another partition
//! or an uninvolved copy releases nothing.

use ktrial_sim::Time;

use super::committed::{Commit, Removed};
use super::facts::Facts;
use super::partition::{Elected, Partition};
use super::replica_log::same;
use super::sends::{Sends, Told};
use super::witness::Ground;
use crate::config::Acks;
use crate::ids::{LeaderEpoch, RecordId, ServerId};
use crate::invariants::{Exposure, Verdict};
use crate::notes::Election;
use crate::records::Batch;

/// Everything a verdict can rest on.
#[derive(Clone, Copy)]
pub(super) struct Provenance<'a> {
    pub(super) facts: &'a Facts,
    pub(super) sends: &'a Sends,
    pub(super) partition: Option<&'a Partition>,
}

fn verdict(exposure: Option<Exposure>) -> Verdict {
    exposure.map_or(Verdict::Broken, Verdict::Exposed)
}

impl Provenance<'_> {
    /// Whether what a witness shows was promised.
    pub(super) fn verdict(&self, ground: &Ground) -> Verdict {
        verdict(match ground {
            Ground::Always => None,
            Ground::Quorum => self.facts.quorum_excuse(),
            Ground::Exposed(exposure) => Some(*exposure),
            Ground::Removed(number) => self
                .partition
                .and_then(|partition| self.removed(partition, &partition.committed.removed[*number])),
            Ground::Overwritten(batch) => self
                .partition
                .and_then(|partition| self.overwritten(partition, batch, None)),
            Ground::Lost(record) => self.lost(*record),
            Ground::Names(names) => self.names(names),
            Ground::Order(earlier, later) => self.order(*earlier, *later),
            Ground::GroupLog(_) => self.group_log(),
            Ground::Admitted(server, epoch, alone) => self.admitted(*server, *epoch, *alone),
        })
    }

    /// A committed batch that a leader began without.
    fn removed(&self, partition: &Partition, removed: &Removed) -> Option<Exposure> {
        let since = partition.logs.iter().zip(0..).filter(|(log, id)| {
            removed.commit.isr.contains(ServerId(*id)) && log.lost_by_crash(&removed.batch, removed.at)
        });
        let lost = removed.lost.max(since.count() as u32);
        let election = partition.election(removed.epoch);
        let alone = election.is_some_and(|election| election.alone);
        self.lost_enough(lost, removed.commit.min_isr)
            .or_else(|| self.election(election, removed.leader_lost))
            .or_else(|| self.last_replica_standing(alone, removed.leader_lost))
            .or(removed.led_unregistered.then_some(Exposure::LedBeforeRegistering))
            .or_else(|| self.facts.quorum_excuse())
    }

    fn lost_enough(&self, lost: u32, min_isr: u32) -> Option<Exposure> {
        (lost >= min_isr.max(1)).then_some(Exposure::TooManyLossyStops)
    }

    fn election(&self, election: Option<&Elected>, leader_lost: bool) -> Option<Exposure> {
        let election = election?;
        match election.how? {
            Election::Unclean if election.by_operator => Some(Exposure::OperatorElectedUncleanly),
            Election::Unclean => {
                let allowed = self.facts.unclean_allowed(election.topic);
                allowed.then_some(Exposure::UncleanElection)
            }
            Election::LastKnownLeader => leader_lost.then_some(Exposure::LastKnownLeader),
            Election::FromIsr | Election::FromElr => None,
        }
    }

    fn last_replica_standing(&self, alone: bool, leader_lost: bool) -> Option<Exposure> {
        let standing = !self.facts.eligible_leader_replicas && alone && leader_lost;
        standing.then_some(Exposure::LastReplicaStanding)
    }

    /// A batch that a leader committed and that is not where it was: by its removal, or, if only leaders had
    /// committed it that were deposed already, by the first election since that may lose something.
    fn overwritten(&self, partition: &Partition, batch: &Batch, commit: Option<Commit>) -> Option<Exposure> {
        if let Some(number) = partition.committed.removal_of(batch) {
            return self.removed(partition, &partition.committed.removed[number]);
        }
        let gone = |server: ServerId| {
            let log = &partition.logs[usize::from(server.0)];
            log.lost_by_crash(batch, Time::NEVER)
        };
        let servers = (1..partition.logs.len() as u16).map(ServerId);
        let members = servers.filter(|server| commit.is_some_and(|commit| commit.isr.contains(*server)));
        let lost = members.filter(|server| gone(*server)).count() as u32;
        let enough = commit.and_then(|commit| self.lost_enough(lost, commit.min_isr));
        let since = partition
            .elections
            .iter()
            .filter(|elected| elected.epoch > batch.leader_epoch);
        let mut since = since.filter_map(|elected| {
            let lost = gone(elected.leader);
            let standing = || self.last_replica_standing(elected.alone, lost);
            self.election(Some(elected), lost).or_else(standing)
        });
        enough
            .or_else(|| since.next())
            .or_else(|| self.facts.quorum_excuse())
    }

    /// A record that a leader had committed: what became of it. `None`: nothing that would release it.
    fn committed(&self, record: RecordId) -> Option<Exposure> {
        let partition = self.partition?;
        let (landing, commit) = self.sends.get(record)?.committed?;
        if let Some(number) = partition.committed.removal_of_slot(landing.slot) {
            return self.removed(partition, &partition.committed.removed[number]);
        }
        let holds = |batch: &&Batch| {
            landing.slot >= batch.records.start && landing.slot - batch.records.start < batch.records.count
        };
        let gone = partition
            .logs
            .iter()
            .flat_map(|log| log.gone.iter().map(|gone| &gone.batch));
        let held = partition.logs.iter().flat_map(|log| &log.batches);
        let mut copies = gone.chain(held).filter(holds);
        let first = copies.next()?;
        // A batch appended more than once has as many copies of the same records: the one that was committed counts.
        let batch = match first.base_offset <= landing.offset && landing.offset < first.next_offset() {
            true => first,
            false => copies.find(|batch| !same(first, batch)).unwrap_or(first),
        };
        let commit = partition.committed.commits.get(commit as usize).copied();
        self.overwritten(partition, batch, commit)
    }

    /// An acknowledged record that is gone.
    fn lost(&self, record: RecordId) -> Option<Exposure> {
        self.never_committed(record)
            .or_else(|| self.committed(record))
            .or_else(|| self.facts.quorum_excuse())
    }

    fn never_committed(&self, record: RecordId) -> Option<Exposure> {
        let send = self.sends.get(record)?;
        if send.committed.is_some() {
            return None;
        }
        match self.sends.client(record.producer)?.acks {
            Acks::None => Some(Exposure::AcksZero),
            Acks::Leader => Some(Exposure::AcksOne),
            Acks::All => None,
        }
    }

    /// One of two records that had one offset had to go: it is enough that this one need not have stayed.
    fn names(&self, names: &[(RecordId, bool); 2]) -> Option<Exposure> {
        names.iter().find_map(|(record, read)| {
            let unread = || (!read).then(|| self.never_committed(*record)).flatten();
            unread().or_else(|| self.committed(*record))
        })
    }

    /// Without idempotence order is kept only between acknowledged sends, and only one request at a time, or none
    /// sent again, keeps it: what was given up can still be on an old connection.
    fn order(&self, earlier: RecordId, later: RecordId) -> Option<Exposure> {
        let client = self.sends.client(earlier.producer)?;
        let told = |record| {
            self.sends
                .get(record)
                .is_some_and(|send| send.told == Told::Success)
        };
        let kept = client.one_at_a_time && client.acks != Acks::None && told(earlier) && told(later);
        match client.idempotent || kept {
            true => self.facts.quorum_excuse(),
            false => Some(Exposure::NotIdempotent),
        }
    }

    /// Something that a group had committed is not there any more: by whatever its partition lost.
    fn group_log(&self) -> Option<Exposure> {
        let lost = self.partition.and_then(|partition| {
            let mut removed = partition.committed.removed.iter();
            removed.find_map(|removed| self.removed(partition, removed))
        });
        lost.or_else(|| self.facts.quorum_excuse())
    }

    /// A replica that had lost data and was let in or elected before it had caught up.
    fn admitted(&self, server: ServerId, epoch: LeaderEpoch, alone: bool) -> Option<Exposure> {
        let partition = self.partition?;
        let election = partition
            .election(epoch)
            .filter(|election| election.leader == server);
        self.election(election, true)
            .or_else(|| self.last_replica_standing(alone, true))
            .or_else(|| self.facts.quorum_excuse())
    }
}
