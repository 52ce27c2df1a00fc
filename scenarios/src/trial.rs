//! One trial: a resolved scenario and a seed, from the first process to the last read.

use std::sync::Arc;

use ktrial_models::application::Consumer;
use ktrial_models::ids::{Offset, PartitionId, PartitionMap, RecordId};
use ktrial_models::invariants::{Exercised, FinalLog, Finding, Judges, Unjudged, Unread};
use ktrial_models::kafka::{Kafka, KafkaNode, partition_log};
use ktrial_models::metadata::PartitionRegistration;
use ktrial_models::operator::Operator;
use ktrial_models::producer::Producer;
use ktrial_models::reader::Reader;
use ktrial_models::records::{Contents, LogEntry};
use ktrial_models::server::Server;
use ktrial_sim::{Chance, Counters, Duration, NodeId, Simulation, Time, Trace};

use crate::director::{Fired, Stage, TrialDirector};
use crate::groups::{GroupCounts, GroupOutcome};
use crate::ledger::{Counts, Landed, Ledger, records_of};
use crate::resolved::{FaultPlan, Layout, Resolved};
use crate::role::PartitionName;
use crate::script::Script;
use crate::story::Story;

/// What to keep of a trial besides its counts. None of it changes what happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Everything that was told, for stories.
    pub story: bool,
    /// Causes of events.
    pub causes: bool,
    /// No judges: findings stay empty.
    pub unjudged: bool,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Everything converged after the faults.
    Converged,
    /// Something had not converged when the time for healing was up.
    Stalled,
    /// The cluster never became ready.
    NeverReady,
}

impl Ending {
    /// All of them.
    pub const ALL: [Ending; 3] = [Ending::Converged, Ending::Stalled, Ending::NeverReady];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Converged => "converged",
            Ending::Stalled => "stalled",
            Ending::NeverReady => "never ready",
        }
    }
}

/// What one trial showed.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its seed.
    pub seed: u64,
    /// How it ended.
    pub ending: Ending,
    /// What did not converge, in words.
    pub pending: Vec<String>,
    /// Outcomes against the final logs.
    pub counts: Counts,
    /// What groups came to, all together; none if there are none.
    pub groups: Option<GroupCounts>,
    /// What the judges found.
    pub findings: Vec<Finding>,
    /// What could not be judged although it was put to the test.
    pub unjudged: Vec<Unjudged>,
    /// How much there was to judge. Nothing, if the trial goes unjudged.
    pub exercised: Exercised,
    /// How long nothing could be written, for the producer that waited longest.
    pub unwritable: Duration,
    /// What was scripted.
    pub script: Script,
    /// What of it was carried out.
    pub fired: Vec<Fired>,
    /// When the clients started.
    pub clients_started: Time,
    /// When the trial was over.
    pub ended: Time,
    /// The digest of everything that happened.
    pub digest: u64,
    /// How much happened.
    pub counters: Counters,
}

/// Runs trials one after the other, using memory again.
#[derive(Default)]
pub struct Bench {
    simulation: Simulation<Kafka>,
    landed: Landed,
    judges: Judges,
}

/// A trial with everything that was kept of it.
pub struct Detailed {
    /// What it showed.
    pub trial: Trial,
    /// Every send.
    pub ledger: Ledger,
    /// What each group came to.
    pub groups: Vec<GroupOutcome>,
    /// The final logs.
    pub finals: Vec<FinalLog>,
    /// What else the logs hold, of each partition that cannot be read to the end of its log.
    pub unread: Vec<Unread>,
    /// Where each of the final logs starts and ends, and its high watermark.
    pub extents: PartitionMap<LogExtent>,
    /// What was told.
    pub story: Story,
    /// Which machine is what.
    pub layout: Layout,
    /// The records that batches in the story refer to. Empty unless the story is kept.
    pub contents: Contents,
    /// Names of partitions.
    pub partitions: PartitionMap<PartitionName>,
}

/// A log that somebody leads in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogExtent {
    /// Where it starts.
    pub start: Offset,
    /// Up to where it can be read.
    pub high_watermark: Offset,
    /// Behind its last record.
    pub end: Offset,
}

/// How the logs of all partitions stand in the end.
#[derive(Default)]
struct Ends {
    finals: Vec<FinalLog>,
    unread: Vec<Unread>,
    extents: PartitionMap<LogExtent>,
}

impl Bench {
    /// What happened in the last trial, event by event, if causes were kept.
    pub fn trace(&self) -> Option<&Trace> {
        self.simulation.trace()
    }

    /// Runs one trial.
    pub fn run(&mut self, resolved: &Arc<Resolved>, seed: u64, keep: Keep) -> Detailed {
        let chance = Chance::new(seed);
        let layout = Layout::new(resolved);
        let script = match &resolved.faults {
            FaultPlan::Drawn(faults) => faults.expand(&chance, layout.names()),
            FaultPlan::Explicit(script) => Script::clone(script),
        };
        self.simulation.trace_causes(keep.causes);
        self.simulation
            .reset(seed, nodes(resolved, &chance), resolved.link);
        let (least, most) = resolved.cluster.capacity.process_end;
        self.simulation.set_tear_down(least, most);
        let judges = (!keep.unjudged).then(|| self.judges(resolved, &layout));
        let mut director = TrialDirector::new(Arc::clone(resolved), layout, script, keep.story, judges);
        director.begin(&mut self.simulation);
        self.simulation.run(Time::NEVER, &mut director);
        self.conclude(seed, director)
    }

    /// The judges, ready for a trial.
    fn judges(&mut self, resolved: &Resolved, layout: &Layout) -> Judges {
        let mut judges = std::mem::take(&mut self.judges);
        let producers: Vec<_> = resolved
            .producers
            .iter()
            .map(|(producer, _)| producer.clone())
            .collect();
        let first = layout
            .everything()
            .nth(resolved.cluster.servers.len())
            .unwrap_or(Layout::OPERATOR);
        judges.reset(
            &resolved.cluster,
            &producers,
            resolved.readers.len(),
            &resolved.consumers,
            first,
        );
        judges
    }

    fn conclude(&mut self, seed: u64, mut director: TrialDirector) -> Detailed {
        let ending = match director.stage {
            Stage::WarmUp => Ending::NeverReady,
            _ if director.converged => Ending::Converged,
            _ => Ending::Stalled,
        };
        let mut pending = if ending == Ending::Converged {
            Vec::new()
        } else {
            director.pending(&self.simulation, 8)
        };
        let Ends {
            finals,
            unread,
            extents,
        } = self.ends(&director);
        let convergence = director.convergence(&self.simulation);
        let (mut findings, mut unjudged, mut exercised) = (Vec::new(), Vec::new(), Exercised::default());
        if let Some(mut judges) = director.judges.take() {
            let arena = self.simulation.arena();
            let now = self.simulation.now();
            findings = judges.finish(now, &finals, &unread, convergence, &pending, arena);
            unjudged = judges.unjudged();
            exercised = judges.exercised();
            let met = director.fired.iter().filter(|fired| !fired.nodes.is_empty());
            exercised.faults = met.count() as u64;
            self.judges = judges;
        }
        pending.extend(
            unjudged
                .iter()
                .map(|Unjudged { invariant, because }| format!("{invariant} is not judged: {because}")),
        );
        let counts = director
            .ledger
            .count(&director.layout, &finals, &unread, &mut self.landed);
        let (ledger, layout) = (&director.ledger, &director.layout);
        let mut groups = director.processing.outcomes(
            layout,
            ledger,
            &finals,
            &director.topics(),
            self.simulation.arena(),
        );
        for outcome in &mut groups {
            outcome.counts.add(&director.metrics.counts(outcome.group));
        }
        let mut partitions = PartitionMap::default();
        for (partition, _) in director.registrations.iter() {
            if let Some(name) = director.partition_name(partition) {
                partitions.insert(partition, name);
            }
        }
        let contents = match director.story.is_kept() {
            true => self.simulation.arena().clone(),
            false => Contents::default(),
        };
        let trial = Trial {
            seed,
            ending,
            pending,
            counts,
            groups: together(&groups),
            findings,
            unjudged,
            exercised,
            unwritable: director.ledger.unwritable(director.faults_ended),
            script: director.script,
            fired: director.fired,
            clients_started: director.clients_started,
            ended: self.simulation.now(),
            digest: self.simulation.digest().value(),
            counters: self.simulation.counters(),
        };
        Detailed {
            trial,
            ledger: director.ledger,
            groups,
            finals,
            unread,
            extents,
            story: director.story,
            layout: director.layout,
            contents,
            partitions,
        }
    }

    /// What a reader of every partition would find now, from the leaders' logs up to their high watermarks, and what
    /// else there is.
    fn ends(&self, director: &TrialDirector) -> Ends {
        let mut ends = Ends::default();
        for (partition, registration) in director.registrations.iter() {
            let Some((leader, extent)) = self.led(partition, registration) else {
                let disks = registration.replicas.iter();
                let held =
                    disks.flat_map(|replica| self.records(replica.node(), partition, Offset(u64::MAX)));
                ends.unread.push(unread(partition, false, held));
                continue;
            };
            ends.extents.insert(partition, extent);
            let records = self.records(leader, partition, extent.high_watermark);
            if extent.high_watermark < extent.end {
                let all = self.records(leader, partition, extent.end);
                let above = all.into_iter().skip(records.len());
                ends.unread.push(unread(partition, true, above));
            }
            ends.finals.push(FinalLog { partition, records });
        }
        ends
    }

    /// Who leads a partition and knows it, and how far its log goes.
    fn led(
        &self,
        partition: PartitionId,
        registration: &PartitionRegistration,
    ) -> Option<(NodeId, LogExtent)> {
        let leader = registration.leader?.node();
        let KafkaNode::Server(server) = self.simulation.node(leader) else {
            return None;
        };
        let replica = server.broker().and_then(|broker| broker.partition(partition))?;
        let log = replica.is_leader().then(|| replica.log())?;
        let extent = LogExtent {
            start: log.start(),
            high_watermark: log.high_watermark(),
            end: log.end(),
        };
        Some((leader, extent))
    }

    /// The records below an offset that a machine's disk holds of a partition.
    fn records(&self, node: NodeId, partition: PartitionId, limit: Offset) -> Vec<(Offset, RecordId)> {
        let file = self.simulation.disk(node).existing(partition_log(partition));
        let batches = file
            .into_iter()
            .flat_map(|file| file.entries())
            .map(|entry: &LogEntry| *entry.data());
        records_of(batches, limit, self.simulation.arena())
    }
}

fn unread(partition: PartitionId, led: bool, records: impl Iterator<Item = (Offset, RecordId)>) -> Unread {
    let mut records: Vec<RecordId> = records.map(|(_, record)| record).collect();
    records.sort_unstable();
    records.dedup();
    Unread {
        partition,
        led,
        records,
    }
}

/// What all groups of a trial came to.
fn together(groups: &[GroupOutcome]) -> Option<GroupCounts> {
    let mut each = groups.iter();
    let mut counts = each.next()?.counts;
    each.for_each(|group| counts.add(&group.counts));
    Some(counts)
}

/// The machines of a trial, none of them started.
fn nodes(resolved: &Resolved, chance: &Chance) -> Vec<KafkaNode> {
    let cluster = &resolved.cluster;
    let mut nodes = vec![KafkaNode::Operator(Box::new(Operator::new(Arc::clone(cluster))))];
    for server in &cluster.servers {
        nodes.push(KafkaNode::Server(Box::new(Server::new(
            server.id,
            Arc::clone(cluster),
        ))));
    }
    for (number, (producer, workload)) in resolved.producers.iter().enumerate() {
        let mut producer = producer.clone();
        producer.workload = workload.expand(chance, number, resolved.duration);
        nodes.push(KafkaNode::Producer(Box::new(Producer::new(
            Arc::clone(cluster),
            producer,
        ))));
    }
    for reader in &resolved.readers {
        nodes.push(KafkaNode::Reader(Box::new(Reader::new(
            Arc::clone(cluster),
            reader.clone(),
        ))));
    }
    for consumer in &resolved.consumers {
        nodes.push(KafkaNode::Consumer(Box::new(Consumer::new(
            Arc::clone(cluster),
            Arc::clone(consumer),
        ))));
    }
    nodes
}
