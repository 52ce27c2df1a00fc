//! REP-1 isr-legal, REP-2 election-safety, REP-4 leader-completeness, REP-7 unclean-exclusion.

use ktrial_sim::NodeId;

use super::committed::{Commit, Removed, Scene};
use super::facts::{Facts, ServerSet};
use super::judges::Judges;
use super::log::{match_log, partition};
use super::partition::Partition;
use super::witness::{Detail, Ground, Place};
use crate::ids::{LeaderEpoch, Offset, PartitionId, ServerId};
use crate::invariants::Invariant;
use crate::metadata::PartitionRegistration;
use crate::notes::{ClusterNote, HighWatermarkMoved, LeaderNote};
use crate::records::Contents;
use crate::specification::CONSUMER_OFFSETS;

impl Judges {
    pub(super) fn cluster_note(&mut self, node: NodeId, note: &ClusterNote) {
        // What a deposed controller hears of late it tells late.
        let late = self.facts.active.is_some_and(|(_, active)| active != node);
        match note {
            ClusterNote::Partition {
                partition: id,
                registration,
                reason,
                election,
            } => {
                let known = partition(&mut self.partitions, *id, &self.facts);
                if !known.register(registration, *reason, *election) {
                    return;
                }
                self.exercised.isr_changes += 1;
                if self.facts.specification(registration.topic) == Some(CONSUMER_OFFSETS) {
                    self.groups.offsets_partition(registration.index, *id);
                }
                if let Some(leader) = registration.leader {
                    let since_records = self.exercised.sent > 0;
                    self.exercised.elections += u64::from(election.is_some() && since_records);
                    self.leads(*id, leader, registration.leader_epoch);
                }
                self.isr_legal(*id, registration);
                self.unclean_exclusion(*id);
            }
            ClusterNote::TopicCreated(topic, specification) => {
                self.facts.topic_created(*topic, *specification)
            }
            _ if late => {}
            ClusterNote::Registered { broker, .. } => {
                self.facts.unfenced.remove(*broker);
                self.fenced_outside_isrs(*broker);
                self.facts.registered.insert(*broker);
                for id in 0..self.partitions.used {
                    self.unclean_exclusion(PartitionId(id as u32));
                }
            }
            ClusterNote::Fenced(broker) => {
                self.facts.unfenced.remove(*broker);
                self.fenced_outside_isrs(*broker);
            }
            ClusterNote::Unfenced(broker) => self.facts.unfenced.insert(*broker),
            ClusterNote::ControlledShutdown(_) | ClusterNote::TopicRefused { .. } => {}
        }
    }

    /// REP-1 of a partition that changed.
    fn isr_legal(&mut self, id: PartitionId, registration: &PartitionRegistration) {
        let PartitionRegistration {
            replicas, isr, elr, ..
        } = registration;
        let min_isr = self.facts.min_isr(registration.topic, replicas.len());
        let (members, eligible) = (ServerSet::of(isr), ServerSet::of(elr));
        let assigned = ServerSet::of(replicas);
        let with_elr = self.facts.eligible_leader_replicas;
        let unfenced = self.facts.unfenced;
        let text = if !isr.iter().chain(elr).all(|server| assigned.contains(*server)) {
            "a member of the ISR or ELR is no replica"
        } else if isr.iter().any(|server| eligible.contains(*server)) {
            "a member of the ISR is in the ELR as well"
        } else if registration
            .leader
            .is_some_and(|leader| !members.contains(leader))
        {
            "the leader is not in the ISR"
        } else if registration
            .leader
            .is_some_and(|leader| !unfenced.contains(leader))
        {
            "the leader is fenced"
        } else if members.len() >= min_isr && !eligible.is_empty() {
            "the ELR is not empty although the ISR has min.insync.replicas members"
        } else if !with_elr && isr.is_empty() {
            "the ISR is empty without eligible leader replicas"
        } else if !with_elr && !eligible.is_empty() {
            "there is an ELR without eligible leader replicas"
        } else if !fenced_members_allowed(registration, &self.facts) {
            "a fenced broker is in the ISR"
        } else {
            return;
        };
        self.witnesses.add(
            Invariant::IsrLegal,
            Place::partition(id),
            Ground::Quorum,
            Detail::Text(text),
        );
    }

    /// REP-1 of all partitions when a broker is fenced.
    fn fenced_outside_isrs(&mut self, broker: ServerId) {
        for known in self.partitions.iter() {
            let registration = known.registration.as_ref();
            if registration.is_some_and(|registration| {
                registration.isr.contains(&broker) && !fenced_members_allowed(registration, &self.facts)
            }) {
                let detail = Detail::Between(
                    u64::from(broker.0),
                    "was fenced and stays in the ISR of partition",
                    u64::from(known.id.0),
                );
                let place = Place::partition(known.id);
                self.witnesses
                    .add(Invariant::IsrLegal, place, Ground::Quorum, detail);
            }
        }
    }

    /// REP-7: a member of the ISR or ELR, or a leader, that lacks what a crash took from it.
    pub(super) fn unclean_exclusion(&mut self, id: PartitionId) {
        let known = partition(&mut self.partitions, id, &self.facts);
        known.agree();
        let Some(registration) = &known.registration else {
            return;
        };
        for server in registration.isr.iter().chain(&registration.elr) {
            let Some(log) = known.logs.get_mut(usize::from(server.0)) else {
                continue;
            };
            if !log.lossy || !log.loaded || !self.facts.registered.contains(*server) {
                continue;
            }
            let (offset, alone) = (log.end(), registration.isr.as_slice() == [*server]);
            let ground = log.ground(
                offset,
                Ground::Admitted(*server, registration.leader_epoch, alone),
            );
            let detail = Detail::Between(
                u64::from(server.0),
                "counts as in sync or eligible although its log ends at",
                offset.0,
            );
            let place = Place::offset(id, offset);
            self.witnesses
                .add(Invariant::UncleanExclusion, place, ground, detail);
            log.lossy = false;
        }
    }

    /// REP-2: who leads in an epoch.
    fn leads(&mut self, id: PartitionId, leader: ServerId, epoch: LeaderEpoch) {
        let known = partition(&mut self.partitions, id, &self.facts);
        let index = epoch.0 as usize;
        if index >= known.leaders.len() {
            known.leaders.resize(index + 1, None);
        }
        let before = known.leaders[index].replace(leader);
        if before.is_some_and(|before| before != leader) {
            let detail = Detail::Between(2, "brokers lead in epoch", u64::from(epoch.0));
            let place = Place::partition(id);
            self.witnesses
                .add(Invariant::ElectionSafety, place, Ground::Quorum, detail);
        }
    }

    pub(super) fn leader_note(
        &mut self,
        server: ServerId,
        id: PartitionId,
        note: &LeaderNote,
        contents: &Contents,
    ) {
        match note {
            LeaderNote::HighWatermark(moved) => {
                let HighWatermarkMoved {
                    to,
                    epoch,
                    isr,
                    maximal_isr,
                    log_ends,
                    min_isr,
                    ..
                } = &**moved;
                self.high_watermark_valid(server, id, *to, (isr, maximal_isr, *min_isr), log_ends);
                let mut members = ServerSet::of(maximal_isr);
                members.insert(server);
                let commit = Commit {
                    epoch: *epoch,
                    isr: members,
                    min_isr: *min_isr,
                };
                self.commit(server, id, *to, commit, contents);
            }
            LeaderNote::Leads { epoch, start, .. } => {
                self.leads(id, server, *epoch);
                self.leader_complete(server, id, *epoch, *start, contents);
            }
            LeaderNote::Answered {
                records,
                base_offset,
                error,
                acks,
                high_watermark,
                maximal_isr,
                min_isr,
            } => {
                let end = base_offset.map(|base| base.plus(u64::from(records.count)));
                self.answered(
                    id,
                    (*acks, *error),
                    end,
                    *high_watermark,
                    (*maximal_isr, *min_isr),
                );
            }
            LeaderNote::Served { limit, to } => self.served(server, id, *limit, *to),
            LeaderNote::Follows { .. } | LeaderNote::ProposedIsr { .. } | LeaderNote::IsrCommitted { .. } => {
            }
        }
    }

    /// A leader's high watermark moved: what it passes is committed.
    #[inline]
    fn commit(&mut self, server: ServerId, id: PartitionId, to: Offset, commit: Commit, contents: &Contents) {
        let known = partition(&mut self.partitions, id, &self.facts);
        if known.logs.len() <= usize::from(server.0) {
            return;
        }
        let stale = known.is_stale(commit.epoch);
        let log = &mut known.logs[usize::from(server.0)];
        let before = std::mem::replace(&mut log.high_watermark, to);
        log.largest_high_watermark = log.largest_high_watermark.max(to);
        let number = known.committed.commit(commit);
        if stale {
            let log = &known.logs[usize::from(server.0)];
            let first = log.batches.partition_point(|batch| batch.next_offset() <= before);
            for batch in log.batches[first..]
                .iter()
                .take_while(|batch| batch.next_offset() <= to)
            {
                super::durability::committed_by_stale_leader(&mut self.sends, id, batch, number, contents);
            }
            return;
        }
        let mut scene = Scene {
            partition: id,
            sends: &mut self.sends,
            witnesses: &mut self.witnesses,
            contents,
            producer_id_expiration: self.facts.producer_id_expiration,
            forgotten: known.logs[usize::from(server.0)].forgotten,
        };
        let from = known.committed.len();
        let log = &known.logs[usize::from(server.0)];
        while let Some(batch) = log
            .at(known.committed.len())
            .filter(|batch| batch.next_offset() <= to)
        {
            known.committed.push(*batch, number, &mut scene);
        }
        let grown = known.committed.len() - from;
        self.exercised.committed += grown as u64;
        if grown > 0 {
            known.agree();
            for server in 1..known.logs.len() {
                match_log(known, ServerId(server as u16), &mut self.witnesses);
            }
        }
    }

    /// REP-4: a leader begins with everything that is committed, or the committed log forks here.
    fn leader_complete(
        &mut self,
        server: ServerId,
        id: PartitionId,
        epoch: LeaderEpoch,
        start: Offset,
        contents: &Contents,
    ) {
        let at = self.witnesses.at;
        let known = partition(&mut self.partitions, id, &self.facts);
        // A process that starts again publishes the metadata it has, an old leadership too, before its registration
        // ends that: nobody can reach it yet, and it was not elected.
        let registration = known.registration.as_ref();
        let deposed = registration.is_some_and(|registration| registration.leader_epoch > epoch);
        let serves = self.facts.registered.contains(server) && !deposed;
        if !serves || known.is_stale(epoch) || known.logs.len() <= usize::from(server.0) {
            return;
        }
        known.leading = Some((epoch, server));
        known.agree();
        let kept = known.logs[usize::from(server.0)].good;
        if kept >= known.committed.len() {
            return;
        }
        let first = known.committed.removed.len();
        let missing = known.committed.get(kept).map_or(start, |batch| batch.base_offset);
        let mut scene = Scene {
            partition: id,
            sends: &mut self.sends,
            witnesses: &mut self.witnesses,
            contents,
            producer_id_expiration: self.facts.producer_id_expiration,
            forgotten: None,
        };
        let Partition { committed, logs, .. } = known;
        committed.fork(kept, &mut scene, |batch, commit| {
            let members = logs
                .iter()
                .zip(0..)
                .filter(|(_, id)| commit.isr.contains(ServerId(*id)));
            Removed {
                batch,
                commit,
                epoch,
                at,
                lost: members.filter(|(log, _)| log.lost_by_crash(&batch, at)).count() as u32,
                leader_lost: logs[usize::from(server.0)].lost_by_crash(&batch, at),
                led_unregistered: logs[usize::from(server.0)].led_unregistered.is_some(),
            }
        });
        let gone = known.committed.removed.len() - first;
        for log in &mut known.logs {
            log.good = log.good.min(kept);
            log.told = log.told.min(kept);
        }
        for number in first..first + gone {
            let batch = known.committed.removed[number].batch;
            let detail = Detail::Between(
                u64::from(server.0),
                "was elected without the committed batch at",
                batch.base_offset.0,
            );
            let place = Place::offset(id, missing.max(batch.base_offset));
            self.witnesses.add(
                Invariant::LeaderCompleteness,
                place,
                Ground::Removed(number),
                detail,
            );
        }
    }
}

/// Whether the fenced members of an ISR may be there: with ELR none, without it the last one of a partition that has
/// no leader.
fn fenced_members_allowed(registration: &PartitionRegistration, facts: &Facts) -> bool {
    let isr = &registration.isr;
    let all_alive = isr.iter().all(|server| facts.unfenced.contains(*server));
    let last = !facts.eligible_leader_replicas && isr.len() == 1 && registration.leader.is_none();
    all_alive || last
}
