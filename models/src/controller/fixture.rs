//! An active controller without quorum, disk or clock: events, and what they make of the cluster.

use std::sync::Arc;

use ktrial_sim::{Duration, Time};
use smallvec::smallvec;

use crate::config::{BrokerSettings, ControllerSettings, TopicSettings};
use crate::controller::activation::bootstrap_records;
use crate::controller::active::replay;
use crate::controller::changes::Changes;
use crate::controller::heartbeats::{ControlState, Heartbeats};
use crate::controller::state::ClusterState;
use crate::ids::{
    BrokerEpoch, DirectoryId, IncarnationId, LeaderEpoch, Offset, PartitionEpoch, PartitionId, ServerId,
    Servers, TopicId,
};
use crate::metadata::{BrokerRegistration, LeaderRecoveryState, PartitionRegistration};
use crate::mutation::Mutations;
use crate::protocol::{
    BrokerHeartbeatRequest, BrokerIdentity, BrokerRegistrationRequest, ErrorCode, HeartbeatState,
};
use crate::specification::{
    Capacity, ClusterSpecification, FeatureLevels, ServerSpecification, TopicSpecification,
};

/// `broker.session.timeout.ms` here.
pub(super) const SESSION: Duration = Duration::secs(9);
pub(super) const P0: PartitionId = PartitionId(0);

pub(super) fn servers(ids: &[u16]) -> Servers {
    ids.iter().map(|id| ServerId(*id)).collect()
}

/// A partition with these replicas, ISR and leader (0: none).
pub(super) fn partition(replicas: &[u16], isr: &[u16], leader: u16) -> PartitionRegistration {
    PartitionRegistration {
        topic: TopicId(0),
        index: 0,
        replicas: servers(replicas),
        directories: replicas
            .iter()
            .map(|broker| DirectoryId(u64::from(*broker)))
            .collect(),
        isr: servers(isr),
        elr: smallvec![],
        last_known_elr: None,
        leader: Some(ServerId(leader)).filter(|leader| leader.0 > 0),
        leader_epoch: LeaderEpoch(3),
        partition_epoch: PartitionEpoch(5),
        recovery: LeaderRecoveryState::Recovered,
    }
}

/// Brokers 1, 2, 3 and a topic of one partition with replicas 1, 2, 3, if created.
pub(super) fn specification(eligible_leader_replicas: bool, min_isr: u32) -> ClusterSpecification {
    let server = |id| ServerSpecification {
        id: ServerId(id),
        broker: true,
        controller: id == 1,
        rack: None,
    };
    let topic = TopicSpecification {
        name: "orders".to_owned(),
        partitions: 1,
        replication_factor: 3,
        assignment: Some(vec![servers(&[1, 2, 3])]),
        settings: TopicSettings::default(),
        min_insync_replicas: None,
        unclean_leader_election_enable: None,
    };
    ClusterSpecification {
        servers: (1..=3).map(server).collect(),
        topics: vec![topic],
        groups: Default::default(),
        features: FeatureLevels {
            eligible_leader_replicas: u16::from(eligible_leader_replicas),
            ..FeatureLevels::default()
        },
        broker: BrokerSettings::default(),
        controller: ControllerSettings {
            min_insync_replicas: min_isr,
            ..ControllerSettings::default()
        },
        capacity: Capacity::default(),
        mutations: Mutations::default(),
    }
}

pub(super) struct Fixture {
    pub(super) specification: Arc<ClusterSpecification>,
    pub(super) state: ClusterState,
    pub(super) heartbeats: Heartbeats,
    pub(super) now: Time,
    incarnations: u64,
}

impl Fixture {
    /// A cluster just bootstrapped.
    pub(super) fn new(specification: ClusterSpecification) -> Self {
        let mut fixture = Fixture {
            specification: Arc::new(specification),
            state: ClusterState::default(),
            heartbeats: Heartbeats::activate(&Default::default(), SESSION, Time::ZERO),
            now: Time::ZERO,
            incarnations: 0,
        };
        fixture.run(|changes, _, _| changes.records = bootstrap_records(changes.specification));
        fixture
    }

    /// Brokers 1, 2, 3 unfenced, and the topic created: ISR 1, 2, 3, leader 1.
    pub(super) fn with_topic(specification: ClusterSpecification) -> Self {
        let mut fixture = Fixture::new(specification);
        for broker in 1..=3 {
            fixture.start(broker, None).unwrap();
        }
        fixture.create_topic().unwrap();
        fixture
    }

    /// One event: its records are applied when it has decided.
    pub(super) fn run<T>(&mut self, decide: impl FnOnce(&mut Changes<'_>, &mut Heartbeats, Time) -> T) -> T {
        let specification = Arc::clone(&self.specification);
        let mut changes = Changes::new(&self.state, &specification, ServerId(1));
        let result = decide(&mut changes, &mut self.heartbeats, self.now);
        let records = changes.records;
        for record in &records {
            replay(&mut self.state, &mut self.heartbeats, record);
        }
        result
    }

    pub(super) fn create_topic(&mut self) -> Result<u32, ErrorCode> {
        let named = (TopicId(0), P0);
        self.run(|changes, heartbeats, _| changes.create_topic(0, named, heartbeats, &mut |_| 0))
    }

    /// A registration with a new incarnation; `previous` is what its clean-shutdown file says.
    pub(super) fn register(
        &mut self,
        broker: u16,
        previous: Option<BrokerEpoch>,
    ) -> Result<BrokerEpoch, ErrorCode> {
        self.incarnations += 1;
        self.register_as(broker, IncarnationId(self.incarnations), previous)
    }

    pub(super) fn register_as(
        &mut self,
        broker: u16,
        incarnation: IncarnationId,
        previous: Option<BrokerEpoch>,
    ) -> Result<BrokerEpoch, ErrorCode> {
        let request = BrokerRegistrationRequest {
            broker: ServerId(broker),
            incarnation,
            rack: None,
            directory: DirectoryId(u64::from(broker)),
            previous_epoch: previous,
        };
        self.run(|changes, heartbeats, now| changes.register(&request, heartbeats, now))
    }

    /// Registers, catches up and is unfenced.
    pub(super) fn start(
        &mut self,
        broker: u16,
        previous: Option<BrokerEpoch>,
    ) -> Result<BrokerEpoch, ErrorCode> {
        let epoch = self.register(broker, previous)?;
        let (state, _) = self.beat(broker, |_| {})?;
        assert!(!state.fenced);
        Ok(epoch)
    }

    /// A heartbeat of the registered process, which has applied everything and wants nothing but what `shape`
    /// makes of it.
    pub(super) fn beat(
        &mut self,
        broker: u16,
        shape: impl FnOnce(&mut BrokerHeartbeatRequest),
    ) -> Result<(HeartbeatState, ControlState), ErrorCode> {
        let mut request = BrokerHeartbeatRequest {
            identity: self.identity(broker),
            metadata_offset: Offset(self.state.end.0 - 1),
            want_fence: false,
            want_shut_down: false,
            directory_offline: false,
        };
        shape(&mut request);
        self.heartbeats.note_contact(request.identity, self.now);
        let result = self.run(|changes, heartbeats, _| changes.heartbeat(&request, heartbeats));
        if let Ok((_, ControlState::ControlledShutdown)) = result {
            let last = Offset(self.state.end.0 - 1);
            self.heartbeats
                .enter_controlled_shutdown(request.identity.broker, last);
        }
        result
    }

    pub(super) fn identity(&self, broker: u16) -> BrokerIdentity {
        BrokerIdentity {
            broker: ServerId(broker),
            epoch: self.broker(broker).epoch,
        }
    }

    pub(super) fn broker(&self, broker: u16) -> BrokerRegistration {
        *self.state.image.broker(ServerId(broker)).unwrap()
    }

    /// The session check, `after` the last event.
    pub(super) fn check_sessions(&mut self, after: Duration) -> bool {
        self.now += after;
        self.run(|changes, heartbeats, now| {
            let in_order = |expired: BrokerIdentity| u64::from(expired.broker.0);
            changes.fence_one_stale_broker(heartbeats, now, in_order)
        })
    }

    /// Leaves these brokers without heartbeats until all of them are fenced, in order of their id.
    pub(super) fn kill(&mut self, dead: &[u16]) {
        self.now += SESSION;
        self.now += Duration(1);
        for broker in 1..=3 {
            if !dead.contains(&broker) && !self.broker(broker).fenced {
                let identity = self.identity(broker);
                self.heartbeats.note_contact(identity, self.now);
            }
        }
        while self.check_sessions(Duration::ZERO) {}
        assert!(dead.iter().all(|broker| self.broker(*broker).fenced));
    }

    pub(super) fn partition(&self) -> &PartitionRegistration {
        self.state.image.partition(P0).unwrap()
    }

    /// Leader, ISR, ELR and last known leader as `L1 isr123 elr- lk-`.
    pub(super) fn describe(&self) -> String {
        let partition = self.partition();
        let list = |ids: &[ServerId]| match ids {
            [] => "-".to_owned(),
            ids => ids.iter().map(ToString::to_string).collect(),
        };
        let one = |id: Option<ServerId>| id.map_or("-".to_owned(), |id| id.to_string());
        format!(
            "L{} isr{} elr{} lk{}",
            one(partition.leader),
            list(&partition.isr),
            list(&partition.elr),
            one(partition.last_known_elr)
        )
    }
}
