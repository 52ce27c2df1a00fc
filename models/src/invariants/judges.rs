//! Who listens: the judges of one trial after the other.

use std::sync::Arc;

use ktrial_sim::{EventId, NodeId, Time};

use super::convergence::Convergence;
use super::durability::{FinalLog, Unread};
use super::exercised::Exercised;
use super::facts::{Facts, Fate};
use super::groups::GroupFacts;
use super::ordering::Positions;
use super::partition::Partition;
use super::provenance::Provenance;
use super::sends::Sends;
use super::witness::{Detail, Ground, Witness, Witnesses};
use super::{Finding, Invariant, Unjudged, Verdict};
use crate::ids::{Offset, PartitionId, RecordId, ServerId};
use crate::notes::{ClientNote, Note, Phase};
use crate::records::{Batch, Contents};
use crate::specification::{ClusterSpecification, ConsumerSpecification, ProducerSpecification};

/// Partitions by their number; those of former trials lie behind `used` and lend their memory.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    pub(super) all: Vec<Partition>,
    pub(super) used: usize,
}

impl Partitions {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.all[..self.used].iter()
    }
}

/// At most so many witnesses of an invariant and verdict become findings.
const MOST: u32 = 32;

/// The judges of one trial at a time. See the module above.
#[derive(Debug, Default)]
pub struct Judges {
    pub(super) facts: Facts,
    pub(super) partitions: Partitions,
    pub(super) sends: Sends,
    pub(super) first_reader: u16,
    pub(super) readers: Vec<Positions>,
    pub(super) groups: GroupFacts,
    /// `poll` of a reader without a group threw.
    pub(super) reader_threw: bool,
    pub(super) quorum_ends: Vec<Offset>,
    pub(super) quorum_leaders: Vec<Option<NodeId>>,
    pub(super) witnesses: Witnesses,
    pub(super) exercised: Exercised,
    pub(super) landed: Vec<(PartitionId, Batch)>,
    pub(super) lost: Vec<(RecordId, PartitionId)>,
    /// Acknowledged records that stand in the end where no reader gets them.
    pub(super) unread: u64,
    /// Why it was not judged whether everything converged.
    pub(super) convergence_unjudged: Option<String>,
    /// Broken and exposed, by invariant.
    counts: Vec<[u32; 2]>,
}

impl Judges {
    /// Prepares for a trial; memory is kept. The machines of `readers` readers without a group come after those of
    /// the producers, those of `members` behind them.
    ///
    /// # Panics
    /// If there are more than 127 servers.
    pub fn reset(
        &mut self,
        cluster: &ClusterSpecification,
        producers: &[ProducerSpecification],
        readers: usize,
        members: &[Arc<ConsumerSpecification>],
        first_producer: NodeId,
    ) {
        self.facts.reset(cluster);
        self.partitions.used = 0;
        self.first_reader = first_producer.0 + producers.len() as u16;
        self.readers.iter_mut().for_each(Positions::clear);
        self.readers
            .resize_with(readers + members.len(), Positions::default);
        let first_member = self.first_reader + readers as u16;
        self.sends
            .reset((first_producer, producers), (NodeId(first_member), members));
        self.groups.reset(cluster, first_member, members);
        self.reader_threw = false;
        self.quorum_ends.clear();
        self.quorum_leaders.clear();
        self.witnesses.reset();
        self.exercised = Exercised::default();
        self.landed.clear();
        self.unread = 0;
        self.convergence_unjudged = None;
        self.counts.clear();
        self.counts.resize(Invariant::ALL.len(), [0; 2]);
    }

    /// A node told something.
    #[inline]
    pub fn note(&mut self, at: Time, node: NodeId, event: EventId, note: &Note, contents: &Contents) {
        (self.witnesses.at, self.witnesses.event) = (at, Some(event));
        match note {
            Note::Log(partition, note) => self.log_note(ServerId::from(node), *partition, note, contents),
            Note::Leader(partition, note) => {
                self.leader_note(ServerId::from(node), *partition, note, contents)
            }
            Note::Client(note) => self.client_note(node, note, contents),
            Note::Cluster(note) => self.cluster_note(node, note),
            Note::Quorum(note) => self.quorum_note(node, note),
            Note::Phase(Phase::Starting) => self.server_starts(ServerId::from(node)),
            Note::Group(group, note) => self.group_note(node, *group, note),
            Note::Coordinator(partition, note) => self.coordinator_note(node, *partition, *note),
            Note::Phase(_) => {}
        }
    }

    #[inline]
    fn client_note(&mut self, node: NodeId, note: &ClientNote, contents: &Contents) {
        self.member_note(node, note);
        match note {
            ClientNote::Sent { record, .. } => {
                self.exercised.sent += 1;
                self.sends.sent(*record, self.witnesses.at);
            }
            ClientNote::Acknowledged {
                records,
                partition,
                base_offset,
            } => self.acknowledged(contents.records(*records), *partition, *base_offset),
            ClientNote::Failed {
                record,
                class,
                partition,
                ..
            } => self.failed(*record, *class, *partition),
            ClientNote::Polled {
                partition,
                from,
                batch,
                first,
                count,
                ..
            } => self.polled(node, *partition, *from, (batch, *first, *count), contents),
            ClientNote::PositionReset { partition, .. } | ClientNote::Sought { partition, .. } => {
                if let Some(positions) = self.positions(node) {
                    positions.remove(*partition);
                }
            }
            // What its group has committed is where a session of a partition begins.
            ClientNote::ToldPositions { offsets, .. } => {
                if let Some(positions) = self.positions(node) {
                    for (partition, offset) in offsets {
                        match offset {
                            Some(offset) => positions.insert(*partition, *offset),
                            None => positions.remove(*partition),
                        };
                    }
                }
            }
            // A session of a partition lasts while it is assigned: what a member is given anew it reads from where
            // its group stands, which may be behind where it stood itself.
            ClientNote::Assigned {
                added: partitions, ..
            }
            | ClientNote::Revoked(partitions)
            | ClientNote::Lost(partitions) => {
                if let Some(positions) = self.positions(node) {
                    for partition in partitions {
                        positions.remove(*partition);
                    }
                }
            }
            ClientNote::Started => {
                self.sends.begins_anew(node, self.witnesses.at);
                self.group_process_begins_anew(node);
                if let Some(positions) = self.positions(node) {
                    positions.clear();
                }
            }
            ClientNote::ProducerId(..) => {
                let at = self.witnesses.at;
                if let Some(client) = self.sends.client_mut(node) {
                    client.is_identified(at);
                }
            }
            ClientNote::Died(_) => self.reader_threw |= !self.groups.is_member(node),
            ClientNote::Attempt { .. }
            | ClientNote::CaughtUp { .. }
            | ClientNote::Runs
            | ClientNote::PollTimeout
            | ClientNote::Rebalance(_)
            | ClientNote::IsMember(_)
            | ClientNote::AsksForPositions(_)
            | ClientNote::AskedInVain(_)
            | ClientNote::CommitAnswered(_)
            | ClientNote::Committed { .. }
            | ClientNote::CommitFailed { .. }
            | ClientNote::Processed { .. }
            | ClientNote::ProcessingFailed { .. }
            | ClientNote::Applied { .. }
            | ClientNote::ApplyRefused { .. }
            | ClientNote::Exited(_)
            | ClientNote::Closes
            | ClientNote::Closed => {}
        }
    }

    /// Logs that were open are loaded anew.
    fn server_starts(&mut self, server: ServerId) {
        self.group_process_begins_anew(server.node());
        for partition in &mut self.partitions.all[..self.partitions.used] {
            if let Some(log) = partition.logs.get_mut(usize::from(server.0)) {
                log.loaded = false;
            }
        }
    }

    /// A machine's process ended without a word, and what went with it.
    pub fn fate(&mut self, at: Time, node: NodeId, fate: Fate) {
        (self.witnesses.at, self.witnesses.event) = (at, None);
        self.exercised.lossy_stops += u64::from(fate != Fate::ProcessKilled);
        self.sends.begins_anew(node, at);
        self.group_process_begins_anew(node);
        let server = ServerId::from(node);
        if usize::from(server.0) > self.facts.servers || server.0 == 0 {
            return;
        }
        self.facts.fate(server, fate);
        for partition in &mut self.partitions.all[..self.partitions.used] {
            partition.log(server).suffers(fate, at);
        }
    }

    /// How much there was to judge so far, but for what only the trial knows.
    pub fn exercised(&self) -> Exercised {
        self.exercised
    }

    /// The trial is over. `finals` are the partitions that can be read, `unread` what else logs hold, of every partition
    /// that cannot be read to the end of its log; `pending` names what has not converged.
    /// Returns the findings, those that break a promise first, at most 32 of an invariant and verdict;
    /// [`Judges::counts`] has them all.
    pub fn finish(
        &mut self,
        at: Time,
        finals: &[FinalLog],
        unread: &[Unread],
        convergence: Convergence,
        pending: &[String],
        contents: &Contents,
    ) -> Vec<Finding> {
        (self.witnesses.at, self.witnesses.event) = (at, None);
        self.finish_durability(finals, unread, contents);
        self.finish_liveness(convergence, pending.len());
        self.counts.fill([0; 2]);
        let mut findings = Vec::new();
        for witness in &self.witnesses.all {
            let verdict = self.verdict(witness);
            let count = &mut self.counts[witness.invariant as usize][usize::from(verdict != Verdict::Broken)];
            *count += 1;
            if *count <= MOST {
                findings.push(finding(witness, verdict, pending));
            }
        }
        findings.sort_by_key(|finding| (finding.verdict != Verdict::Broken, finding.invariant));
        findings
    }

    /// What could not be judged although it was put to the test. Known after [`Judges::finish`].
    pub fn unjudged(&self) -> Vec<Unjudged> {
        let unread = (self.unread > 0).then(|| Unjudged {
            invariant: Invariant::LostWrite,
            because: format!(
                "{} of {} acknowledged records stand in logs that cannot be read so far: nobody leads, or the high \
                 watermark is below them",
                self.unread, self.exercised.acknowledged
            ),
        });
        let convergence = self.convergence_unjudged.clone().map(|because| Unjudged {
            invariant: Invariant::Converges,
            because,
        });
        unread.into_iter().chain(convergence).collect()
    }

    fn verdict(&self, witness: &Witness) -> Verdict {
        let about = match witness.ground {
            Ground::GroupLog(kept_in) => Some(kept_in),
            _ => witness.partition,
        };
        let known = about.map(|id| id.0 as usize);
        let partitions = &self.partitions;
        let provenance = Provenance {
            facts: &self.facts,
            sends: &self.sends,
            partition: known.and_then(|id| partitions.all[..partitions.used].get(id)),
        };
        provenance.verdict(&witness.ground)
    }

    /// How many witnesses of an invariant broke a promise, and how many were exposed by settings and faults. Known
    /// after [`Judges::finish`].
    pub fn counts(&self, invariant: Invariant) -> (u32, u32) {
        let [broken, exposed] = self.counts.get(invariant as usize).copied().unwrap_or_default();
        (broken, exposed)
    }
}

fn finding(witness: &Witness, verdict: Verdict, pending: &[String]) -> Finding {
    let detail = match witness.detail {
        Detail::Pending(number) => match pending.get(number) {
            Some(text) => text.clone(),
            None => "the trial did not converge in time".to_owned(),
        },
        detail => detail.to_string(),
    };
    Finding {
        invariant: witness.invariant,
        verdict,
        at: witness.at,
        event: witness.event,
        partition: witness.partition,
        record: witness.record,
        offset: witness.offset,
        detail,
    }
}
