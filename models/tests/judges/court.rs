//! A cluster of three brokers that tells what a test lets it tell.

use std::sync::Arc;

use ktrial_models::config::{
    Acks, BrokerSettings, ControllerSettings, MemberSettings, ProducerSettings, ReaderSettings, TopicSettings,
};
use ktrial_models::groups::partition_of;
use ktrial_models::ids::*;
use ktrial_models::invariants::{Convergence, Fate, FinalLog, Finding, Invariant, Judges, Unread, Verdict};
use ktrial_models::log::RetentionReason;
use ktrial_models::metadata::{LeaderRecoveryState, PartitionRegistration};
use ktrial_models::mutation::Mutations;
use ktrial_models::notes::*;
use ktrial_models::protocol::ErrorCode;
use ktrial_models::records::{Batch, Contents, Numbering, Record, Records};
use ktrial_models::specification::*;
use ktrial_sim::{Duration, EventId, NodeId, Time};

pub const ORDERS: PartitionId = PartitionId(0);
pub const PRODUCER: NodeId = NodeId(4);
pub const READER: NodeId = NodeId(5);
/// Machines of the members of a group.
pub const MEMBERS: [u16; 2] = [6, 7];
/// The partition that keeps the group, in a topic behind the first.
pub const OFFSETS: PartitionId = PartitionId(1);

pub fn servers(ids: &[u16]) -> Servers {
    ids.iter().copied().map(ServerId).collect()
}

pub fn record(number: u32) -> RecordId {
    RecordId {
        producer: PRODUCER,
        number,
    }
}

pub struct Setup {
    pub elr: bool,
    pub min_isr: u32,
    pub kraft: u16,
    pub acks: Acks,
    pub idempotent: bool,
    pub unclean: bool,
    /// What the second member's application asks for when it sends records on; none: it sends none on.
    pub letters: Option<Acks>,
    /// offsets.topic.replication.factor.
    pub offsets_replicas: u16,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            elr: true,
            min_isr: 2,
            kraft: 1,
            acks: Acks::All,
            idempotent: true,
            unclean: true,
            letters: None,
            offsets_replicas: 3,
        }
    }
}

pub struct Court {
    pub judges: Judges,
    pub contents: Contents,
    pub now: Time,
    min_isr: u32,
    acks: Acks,
    numbering: Option<(u64, u16)>,
    epochs: [Vec<(LeaderEpoch, Offset)>; 4],
    registration: PartitionRegistration,
    /// Brokers that lost something and have not registered since.
    unregistered: Vec<u16>,
}

pub fn cluster(setup: &Setup) -> ClusterSpecification {
    let mut groups = Groups {
        names: vec!["billing".to_owned()],
        ..Groups::default()
    };
    groups.offsets_topic.replication_factor = setup.offsets_replicas;
    let server = |id| ServerSpecification {
        id: ServerId(id),
        broker: true,
        controller: true,
        rack: None,
    };
    ClusterSpecification {
        servers: (1..=3).map(server).collect(),
        topics: vec![TopicSpecification {
            name: "orders".to_owned(),
            partitions: 1,
            replication_factor: 3,
            assignment: None,
            settings: TopicSettings::default(),
            min_insync_replicas: Some(setup.min_isr),
            unclean_leader_election_enable: Some(setup.unclean),
        }],
        groups,
        features: FeatureLevels {
            eligible_leader_replicas: u16::from(setup.elr),
            kraft: setup.kraft,
            transaction: 2,
            group: 1,
        },
        broker: BrokerSettings::default(),
        controller: ControllerSettings::default(),
        capacity: Capacity::default(),
        mutations: Mutations::default(),
    }
}

pub fn member() -> ConsumerSpecification {
    ConsumerSpecification {
        reader: ReaderSpecification {
            name: "member".to_owned(),
            settings: ReaderSettings::default(),
            rack: None,
            topics: vec![0],
            bootstrap: servers(&[1, 2, 3]),
        },
        group: GroupId(0),
        client: ClientId(0),
        instance: None,
        member: MemberSettings::default(),
        application: ApplicationSpecification::default(),
        letters: None,
    }
}

/// A producer with default settings.
pub fn producer_of(topic: u16) -> ProducerSpecification {
    ProducerSpecification {
        name: "writer".to_owned(),
        settings: ProducerSettings::default(),
        topic,
        bootstrap: servers(&[1, 2, 3]),
        workload: Arc::new([]),
    }
}

impl Court {
    /// Brokers 1, 2, 3 run; the partition has them as replicas and ISR; 1 leads in epoch 0.
    pub fn new(setup: Setup) -> Court {
        let producer = ProducerSpecification {
            settings: ProducerSettings {
                acks: setup.acks,
                enable_idempotence: setup.idempotent,
                ..ProducerSettings::default()
            },
            ..producer_of(0)
        };
        let mut judges = Judges::default();
        let mut members = MEMBERS.map(|_| member());
        members[1].letters = setup.letters.map(|acks| ProducerSpecification {
            settings: ProducerSettings {
                acks,
                enable_idempotence: acks == Acks::All,
                ..ProducerSettings::default()
            },
            ..producer.clone()
        });
        let members = members.map(Arc::new);
        judges.reset(&cluster(&setup), &[producer], 1, &members, PRODUCER);
        let mut court = Court {
            judges,
            contents: Contents::default(),
            now: Time(1),
            min_isr: setup.min_isr,
            acks: setup.acks,
            numbering: setup.idempotent.then_some((7, 0)),
            epochs: Default::default(),
            registration: PartitionRegistration {
                topic: TopicId(0),
                index: 0,
                replicas: servers(&[1, 2, 3]),
                directories: [DirectoryId::UNASSIGNED; 3].into_iter().collect(),
                isr: servers(&[1, 2, 3]),
                elr: servers(&[]),
                last_known_elr: None,
                leader: Some(ServerId(1)),
                leader_epoch: LeaderEpoch(0),
                partition_epoch: PartitionEpoch(0),
                recovery: LeaderRecoveryState::Recovered,
            },
            unregistered: Vec::new(),
        };
        court.tell(1, Note::Quorum(QuorumNote::Leads(QuorumEpoch(1))));
        for broker in 1..=3 {
            court.registers(broker);
        }
        court.cluster(ClusterNote::TopicCreated(TopicId(0), 0));
        court.tell_registration(ChangeReason::Created, None);
        for broker in 1..=3 {
            court.loads(broker, &[]);
        }
        court.leads(1, 0);
        court
    }

    pub fn tell(&mut self, node: u16, note: Note) {
        self.now += Duration::millis(1);
        let event = EventId(self.now.0);
        self.judges
            .note(self.now, NodeId(node), event, &note, &self.contents);
    }

    pub fn cluster(&mut self, note: ClusterNote) {
        self.tell(1, Note::Cluster(note));
    }

    pub fn log(&mut self, server: u16, note: LogNote) {
        self.tell(server, Note::Log(ORDERS, note));
    }

    pub fn leader(&mut self, server: u16, note: LeaderNote) {
        self.tell(server, Note::Leader(ORDERS, note));
    }

    /// The topic of committed offsets is created; `leader` leads the partition that keeps the group.
    pub fn has_offsets_topic(&mut self, leader: u16) {
        self.cluster(ClusterNote::TopicCreated(TopicId(1), CONSUMER_OFFSETS));
        self.tell_offsets_registration(ServerId(leader), LeaderEpoch(0), ChangeReason::Created, None);
    }

    /// Another broker is elected for the partition that keeps the group.
    pub fn elects_coordinator(&mut self, leader: u16) {
        let reason = ChangeReason::BrokerFenced(ServerId(1));
        let how = Some(Election::FromIsr);
        self.tell_offsets_registration(ServerId(leader), LeaderEpoch(1), reason, how);
    }

    fn tell_offsets_registration(
        &mut self,
        leader: ServerId,
        leader_epoch: LeaderEpoch,
        reason: ChangeReason,
        election: Option<Election>,
    ) {
        let mut registration = PartitionRegistration {
            topic: TopicId(1),
            index: partition_of("billing", 50),
            leader: Some(leader),
            leader_epoch,
            ..self.registration.clone()
        };
        registration.partition_epoch.0 += leader_epoch.0;
        self.cluster(ClusterNote::Partition {
            partition: OFFSETS,
            registration: Box::new(registration),
            reason,
            election,
        });
    }

    pub fn member(&mut self, number: usize, note: ClientNote) {
        self.tell(MEMBERS[number], Note::Client(note));
    }

    pub fn client(&mut self, note: ClientNote) {
        self.tell(PRODUCER.0, Note::Client(note));
    }

    /// A broker registers and is unfenced.
    pub fn registers(&mut self, broker: u16) {
        self.unregistered.retain(|other| *other != broker);
        self.cluster(ClusterNote::Registered {
            broker: ServerId(broker),
            epoch: BrokerEpoch(self.now.0),
            clean: false,
        });
        self.cluster(ClusterNote::Unfenced(ServerId(broker)));
    }

    fn tell_registration(&mut self, reason: ChangeReason, election: Option<Election>) {
        let registration = Box::new(self.registration.clone());
        self.cluster(ClusterNote::Partition {
            partition: ORDERS,
            registration,
            reason,
            election,
        });
    }

    /// The controller changes the partition's ISR and ELR.
    pub fn isr(&mut self, isr: &[u16], elr: &[u16]) {
        self.registration.isr = servers(isr);
        self.registration.elr = servers(elr);
        self.registration.partition_epoch.0 += 1;
        self.tell_registration(ChangeReason::AlterPartition, None);
    }

    /// The controller takes a partition's leader away.
    pub fn leaderless(&mut self, isr: &[u16], elr: &[u16]) {
        self.registration.leader = None;
        self.registration.leader_epoch = self.registration.leader_epoch.next();
        self.isr(isr, elr);
    }

    /// The controller elects a leader, which begins to lead.
    pub fn elects(&mut self, leader: u16, how: Election, isr: &[u16]) {
        if self.unregistered.contains(&leader) {
            self.registers(leader);
        }
        self.registration.leader = Some(ServerId(leader));
        self.registration.leader_epoch = self.registration.leader_epoch.next();
        self.registration.isr = servers(isr);
        self.registration.elr = servers(&[]);
        self.registration.partition_epoch.0 += 1;
        self.tell_registration(ChangeReason::BrokerFenced(ServerId(1)), Some(how));
        self.leads(leader, self.registration.leader_epoch.0);
    }

    pub fn leads(&mut self, server: u16, epoch: u32) {
        let (epoch, start) = (LeaderEpoch(epoch), Offset(0));
        self.leader(
            server,
            LeaderNote::Leads {
                epoch,
                start,
                end: start,
            },
        );
    }

    /// A batch of the records with these numbers.
    pub fn batch(&mut self, offset: u64, epoch: u32, numbers: &[u32]) -> Batch {
        let records = numbers.iter().map(|number| Record {
            id: record(*number),
            key: None,
            bytes: 100,
            timestamp: Time(0),
        });
        let records = self.contents.store(records);
        Batch {
            base_offset: Offset(offset),
            leader_epoch: LeaderEpoch(epoch),
            records,
            bytes: 100,
            numbering: self.numbering.map(|(producer, epoch)| Numbering {
                producer: ProducerId(producer),
                epoch,
                base_sequence: numbers[0],
            }),
            max_timestamp: Time(0),
            corrupt: false,
        }
    }

    /// The application sends these records; the producer has an id.
    pub fn sends(&mut self, numbers: std::ops::Range<u32>) {
        self.client(ClientNote::ProducerId(ProducerId(7), 0));
        self.sends_without_id(numbers);
    }

    /// The application sends these records.
    pub fn sends_without_id(&mut self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.client(ClientNote::Sent {
                record: record(number),
                key: None,
            });
        }
    }

    pub fn append(&mut self, server: u16, batch: Batch, leads: bool) {
        let epochs = &mut self.epochs[usize::from(server)];
        if epochs.last().is_none_or(|(epoch, _)| *epoch < batch.leader_epoch) {
            epochs.push((batch.leader_epoch, batch.base_offset));
            let epochs = epochs.clone();
            self.log(server, LogNote::Epochs(epochs));
        }
        self.log(server, LogNote::Appended { batch, leads });
    }

    /// The leader appends a batch and these followers copy it.
    pub fn replicate(&mut self, leader: u16, batch: Batch, followers: &[u16]) {
        self.append(leader, batch, true);
        for follower in followers {
            self.append(*follower, batch, false);
        }
    }

    /// A leader's high watermark moves; all members of the ISR have reached it.
    pub fn high_watermark(&mut self, leader: u16, epoch: u32, to: u64, isr: &[u16]) {
        let others = isr.iter().filter(|member| **member != leader);
        let moved = HighWatermarkMoved {
            to: Offset(to),
            epoch: LeaderEpoch(epoch),
            isr: servers(isr),
            maximal_isr: servers(isr),
            log_ends: others
                .map(|member| (ServerId(*member), Some(Offset(to))))
                .collect(),
            min_isr: self.min_isr,
            because: Default::default(),
        };
        self.leader(leader, LeaderNote::HighWatermark(Box::new(moved)));
    }

    /// The note of a batch of this record alone.
    pub fn acknowledged(&mut self, id: RecordId, offset: Option<u64>) -> ClientNote {
        ClientNote::Acknowledged {
            records: self.contents.store([Record {
                id,
                key: None,
                bytes: 100,
                timestamp: Time(0),
            }]),
            partition: ORDERS,
            base_offset: offset.map(Offset),
        }
    }

    pub fn acknowledge(&mut self, number: u32, offset: u64) {
        let told = self.acknowledged(record(number), Some(offset));
        self.client(told);
    }

    /// Sends, appends on 1 and on these followers, commits if the ISR is named, acknowledges.
    pub fn write(&mut self, number: u32, offset: u64, followers: &[u16], isr: &[u16]) -> Batch {
        self.sends(number..number + 1);
        let batch = self.batch(offset, 0, &[number]);
        self.replicate(1, batch, followers);
        if !isr.is_empty() {
            self.high_watermark(1, 0, offset + 1, isr);
        }
        self.acknowledge(number, offset);
        batch
    }

    /// What a leader answered a producer.
    pub fn answers(&mut self, records: Records, high_watermark: u64, maximal_isr: u32) {
        let note = LeaderNote::Answered {
            records,
            base_offset: Some(Offset(0)),
            error: ErrorCode::None,
            acks: self.acks,
            high_watermark: Offset(high_watermark),
            maximal_isr,
            min_isr: self.min_isr,
        };
        self.leader(1, note);
    }

    /// Retention of a replica deletes the segment that holds a batch.
    pub fn deletes(&mut self, server: u16, batch: Batch) {
        let deleted = LogNote::SegmentsDeleted {
            below: batch.next_offset(),
            batches: vec![batch],
            why: RetentionReason::Time,
        };
        self.log(server, deleted);
    }

    pub fn crash(&mut self, server: u16, fate: Fate) {
        self.now += Duration::millis(1);
        self.judges.fate(self.now, NodeId(server), fate);
        if fate >= Fate::PageCacheLost {
            self.unregistered.push(server);
        }
    }

    /// A broker's process starts and loads what it finds.
    pub fn loads(&mut self, server: u16, batches: &[Batch]) {
        self.loads_from(server, 0, batches);
    }

    /// The same if retention has deleted what was before `start`.
    pub fn loads_from(&mut self, server: u16, start: u64, batches: &[Batch]) {
        self.tell(server, Note::Phase(Phase::Starting));
        let start = Offset(start);
        let end = batches.last().map_or(start, Batch::next_offset);
        if !batches.is_empty() {
            self.log(server, LogNote::Holds(batches.to_vec()));
        }
        self.log(
            server,
            LogNote::Loaded {
                start,
                end,
                high_watermark: start,
            },
        );
        let epochs = &mut self.epochs[usize::from(server)];
        epochs.retain(|(_, start)| *start < end);
        if !epochs.is_empty() {
            let epochs = epochs.clone();
            self.log(server, LogNote::Epochs(epochs));
        }
    }

    pub fn truncate(&mut self, server: u16, to: u64, from: u64) {
        let epochs = &mut self.epochs[usize::from(server)];
        epochs.retain(|(_, start)| start.0 < to);
        let epochs = epochs.clone();
        self.log(server, LogNote::Epochs(epochs));
        self.log(
            server,
            LogNote::Truncated {
                to: Offset(to),
                from: Offset(from),
                epoch: LeaderEpoch(1),
                reason: TruncationReason::Diverging,
            },
        );
    }

    pub fn poll(&mut self, batch: Batch) {
        let polled = ClientNote::Polled {
            partition: ORDERS,
            from: batch.base_offset,
            batch,
            first: 0,
            count: batch.records.count,
            server: ServerId(1),
            lag: 0,
        };
        self.tell(READER.0, Note::Client(polled));
    }

    /// The trial ends; the final log holds the records with these numbers at offsets from 0.
    pub fn finish(&mut self, numbers: &[u32]) -> Vec<(Invariant, Verdict)> {
        self.findings(numbers)
            .iter()
            .map(|finding| (finding.invariant, finding.verdict))
            .collect()
    }

    pub fn findings(&mut self, numbers: &[u32]) -> Vec<Finding> {
        let records = numbers.iter().zip(0..);
        let finals = FinalLog {
            partition: ORDERS,
            records: records
                .map(|(number, offset)| (Offset(offset), record(*number)))
                .collect(),
        };
        let reached = Convergence::Reached;
        self.judges
            .finish(self.now, &[finals], &[], reached, &[], &self.contents)
    }

    /// The trial ends, and nothing can be read; these records stand in logs.
    pub fn finish_unread(&mut self, led: bool, numbers: &[u32]) -> Vec<(Invariant, Verdict)> {
        let unread = Unread {
            partition: ORDERS,
            led,
            records: numbers.iter().map(|number| record(*number)).collect(),
        };
        let finals = FinalLog {
            partition: ORDERS,
            records: Vec::new(),
        };
        let finals = if led { vec![finals] } else { Vec::new() };
        let reached = Convergence::Reached;
        let findings = self
            .judges
            .finish(self.now, &finals, &[unread], reached, &[], &self.contents);
        findings
            .iter()
            .map(|finding| (finding.invariant, finding.verdict))
            .collect()
    }

    /// Numbers of idempotent producers from now on.
    pub fn numbered(&mut self, producer: u64, epoch: u16) {
        self.numbering = Some((producer, epoch));
    }
}
