//! Members of a consumer group by hand: what they are told, what is written, what is loaded.

mod epochs;
mod membership;
mod offsets;
mod reconciliation;
mod topics;
mod walks;

use ktrial_sim::{Duration, Time};
use smallvec::smallvec;

use super::*;
use crate::config::BrokerSettings;
use crate::groups::{
    Append, Around, CoordinatorRecord, Effects, GroupRequest, GroupShard, GroupTimeout, GroupTimer,
    ResponseId, TimerChange, Written,
};
use crate::ids::*;
use crate::metadata::{LeaderRecoveryState, MetadataImage, MetadataRecord, PartitionRegistration};
use crate::notes::{GroupNote, MemberRemoval, Note};
use crate::protocol::*;

pub(super) const GROUP: GroupId = GroupId(0);

/// A shard, its log, its clock and its timers. What is written is committed at once.
pub(super) struct Bench {
    shard: GroupShard,
    settings: BrokerSettings,
    image: MetadataImage,
    now: Time,
    timers: Vec<(GroupTimer, Time, GroupTimeout)>,
    log: Vec<CoordinatorRecord>,
    notes: Vec<GroupNote>,
}

/// What a member was told: its epoch and what it may use, if that is told.
type Told = (i32, Option<Vec<u32>>);

impl Bench {
    /// A topic with partitions 0, 1, 2 on two racks, and no interval between assignments.
    fn new() -> Self {
        let mut bench = Bench {
            shard: GroupShard::default(),
            settings: BrokerSettings::default(),
            image: MetadataImage::default(),
            now: Time::ZERO + Duration::secs(1_000),
            timers: Vec::new(),
            log: Vec::new(),
            notes: Vec::new(),
        };
        bench.settings.group_consumer_assignment_interval_ms = Duration::ZERO;
        bench.create_topic(0, 3);
        bench
    }

    /// Creates the topic of this number in the specification; partitions are numbered on.
    fn create_topic(&mut self, specification: u16, partitions: u32) {
        let topic = TopicId(self.image.topics().count() as u16);
        self.image.apply(&MetadataRecord::Topic { topic, specification });
        self.create_partitions(topic, 0..partitions);
        self.shard.topics_changed(&[specification]);
    }

    fn create_partitions(&mut self, topic: TopicId, indexes: std::ops::Range<u32>) {
        for index in indexes {
            let partition = PartitionId(self.image.partition_count());
            let registration = Box::new(PartitionRegistration {
                topic,
                index,
                replicas: smallvec![ServerId(1)],
                directories: smallvec![DirectoryId::UNASSIGNED],
                isr: smallvec![ServerId(1)],
                elr: smallvec![],
                last_known_elr: None,
                leader: Some(ServerId(1)),
                leader_epoch: LeaderEpoch(0),
                partition_epoch: PartitionEpoch(0),
                recovery: LeaderRecoveryState::Recovered,
            });
            self.image.apply(&MetadataRecord::Partition {
                partition,
                registration,
            });
        }
    }

    fn act<R>(
        &mut self,
        act: impl FnOnce(&mut GroupShard, &mut Around<'_, GroupTimer, GroupTimeout>) -> R,
    ) -> R {
        let mut effects = Effects::default();
        let result = act(
            &mut self.shard,
            &mut Around {
                mutations: crate::mutation::Mutations::default(),
                wall: self.now,
                settings: &self.settings,
                image: &self.image,
                effects: &mut effects,
            },
        );
        for change in effects.timers {
            let (timer, set) = match change {
                TimerChange::Schedule(timer, after, then) => (timer, Some((self.now + after, then))),
                TimerChange::Cancel(timer) => (timer, None),
            };
            self.timers.retain(|(known, ..)| *known != timer);
            self.timers.extend(set.map(|(at, then)| (timer, at, then)));
        }
        for note in effects.notes {
            match note {
                Note::Group(GROUP, note) => self.notes.push(*note),
                other => panic!("{other:?}"),
            }
        }
        result
    }

    /// Applies what an operation wrote, and says what became of it.
    fn settle(&mut self, written: Written<Append>, result: Result<(), ErrorCode>) -> Option<Response> {
        let before = Offset(self.log.len() as u64);
        if written.replay {
            let now = self.now;
            let records = written.records.iter();
            records.for_each(|record| self.shard.replay(record, now));
        }
        match result {
            Ok(()) => {
                self.log.extend(written.records);
                let end = Offset(self.log.len() as u64);
                self.shard.snapshot(end);
                self.shard.committed(end);
            }
            // It is in the log, and is committed some time.
            Err(ErrorCode::RequestTimedOut) => self.log.extend(written.records),
            Err(_) => self.shard.revert(before),
        }
        if let Some(append) = written.append {
            self.act(|shard, around| shard.appended(append, result, around));
        }
        written.response
    }

    fn ask(&mut self, request: GroupRequest) -> Result<Response, ErrorCode> {
        self.ask_and(request, Ok(()))
    }

    fn ask_and(
        &mut self,
        request: GroupRequest,
        appended: Result<(), ErrorCode>,
    ) -> Result<Response, ErrorCode> {
        let written = self.act(|shard, around| shard.write(request, ResponseId(0), around))?;
        let response = self.settle(written, appended);
        appended.map(|()| response.expect("it is answered with its records"))
    }

    fn beat(&mut self, request: ConsumerGroupHeartbeatRequest) -> Result<Told, ErrorCode> {
        match self.ask(GroupRequest::ConsumerGroupHeartbeat(Box::new(request)))? {
            Response::ConsumerGroupHeartbeat(response) => Ok(told(&response)),
            other => panic!("{other:?}"),
        }
    }

    /// A dynamic member joins, subscribed to the first topic.
    fn join(&mut self, member: u64) -> Told {
        self.beat(join_request(member)).expect("it may join")
    }

    /// A heartbeat in which nothing is new but what the member owns.
    fn owns(&mut self, member: u64, epoch: i32, owned: &[u32]) -> Result<Told, ErrorCode> {
        self.beat(ConsumerGroupHeartbeatRequest {
            owned: Some(partitions(owned)),
            ..heartbeat(member, epoch)
        })
    }

    /// A heartbeat in which nothing is new.
    fn stays(&mut self, member: u64, epoch: i32) -> Result<Told, ErrorCode> {
        self.beat(heartbeat(member, epoch))
    }

    /// Lets time pass, timer by timer.
    fn pass(&mut self, span: Duration) {
        self.pass_and(span, Ok(()));
    }

    fn pass_and(&mut self, span: Duration, appended: Result<(), ErrorCode>) {
        let until = self.now + span;
        loop {
            self.timers.sort_by_key(|(timer, at, _)| (*at, *timer));
            match self.timers.first().copied() {
                Some((timer, at, then)) if at <= until => {
                    self.timers.remove(0);
                    self.now = at;
                    let written = self.act(|shard, around| shard.timed_out(timer, then, around));
                    self.settle(written, appended);
                }
                _ => break,
            }
        }
        self.now = until;
    }

    /// Another broker reads the log.
    fn fail_over(&mut self) {
        self.timers.clear();
        self.shard = GroupShard::default();
        let now = self.now;
        self.log.iter().for_each(|record| self.shard.replay(record, now));
        self.shard.snapshot(Offset(self.log.len() as u64));
        self.act(|shard, around| shard.loaded(around));
    }

    fn group(&self) -> &ConsumerGroup {
        self.shard
            .consumer_group(GROUP)
            .expect("there is a consumer group")
    }

    fn members(&self) -> Vec<u64> {
        self.group().members().map(|member| member.id.0).collect()
    }

    /// A member's epoch, state, what it may use and what it is to give up.
    fn current(&self, member: u64) -> (i32, MemberState, Vec<u32>, Vec<u32>) {
        let member = self.group().member(MemberId(member)).expect("it is a member");
        let numbers = |list: &[(PartitionId, MemberEpoch)]| list.iter().map(|(id, _)| id.0).collect();
        let current = &member.current;
        (
            current.epoch.0,
            current.state,
            numbers(&current.assigned),
            numbers(&current.revoking),
        )
    }

    fn removals(&self) -> Vec<(u64, MemberRemoval)> {
        let removed = |note: &GroupNote| match note {
            GroupNote::Removed { member, why } => Some((member.0, *why)),
            _ => None,
        };
        self.notes.iter().filter_map(removed).collect()
    }
}

fn told(response: &ConsumerGroupHeartbeatResponse) -> Told {
    assert_eq!(response.error, ErrorCode::None);
    let assignment = response.assignment.as_ref();
    let numbers = assignment.map(|list| list.iter().map(|partition| partition.0).collect());
    (response.member_epoch.0, numbers)
}

fn partitions(numbers: &[u32]) -> Assignment {
    numbers.iter().map(|number| PartitionId(*number)).collect()
}

fn heartbeat(member: u64, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group: GROUP,
        client: ClientId(0),
        member: MemberId(member),
        member_epoch: MemberEpoch(epoch),
        instance: None,
        rack: None,
        rebalance_timeout: None,
        subscribed_topics: None,
        server_assignor: None,
        owned: None,
    }
}

fn join_request(member: u64) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout: Some(Duration::secs(300)),
        subscribed_topics: Some(smallvec![0]),
        owned: Some(partitions(&[])),
        ..heartbeat(member, 0)
    }
}

fn all(numbers: &[u32]) -> Option<Vec<u32>> {
    Some(numbers.to_vec())
}
