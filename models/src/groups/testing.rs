//! A shard of groups by hand: what both protocols' tests act on.

use ktrial_sim::{Duration, Time};

use crate::config::BrokerSettings;
use crate::groups::{
    Append, Around, CoordinatorRecord, Effects, GroupRequest, GroupShard, GroupTimeout, GroupTimer,
    ResponseId, TimerChange, Written,
};
use crate::ids::{GenerationId, GroupId, MemberId, Offset};
use crate::metadata::MetadataImage;
use crate::notes::{GroupNote, Note};
use crate::protocol::{
    Assignment, Assignor, ErrorCode, HeartbeatRequest, ProtocolType, Response, SyncGroupRequest,
};
use crate::specification::GroupConfigs;

pub(super) const GROUP: GroupId = GroupId(0);

/// A SyncGroup of a member of the classic protocol, with what it assigns if it leads.
pub(super) fn sync_request(
    member: u64,
    generation: i32,
    of: impl Iterator<Item = (u64, Assignment)>,
) -> SyncGroupRequest {
    SyncGroupRequest {
        group: GROUP,
        generation: GenerationId(generation),
        member: MemberId(member),
        instance: None,
        protocol_type: Some(ProtocolType::Consumer),
        protocol: Some(Assignor::Range),
        assignments: of
            .map(|(member, assigned)| (MemberId(member), assigned))
            .collect(),
    }
}

/// A shard, its log, its clock and its timers. What is written is committed at once, or not at all.
pub(super) struct GroupBench {
    pub(super) shard: GroupShard,
    pub(super) settings: BrokerSettings,
    pub(super) configs: GroupConfigs,
    pub(super) image: MetadataImage,
    pub(super) now: Time,
    /// In the order in which they were set.
    pub(super) timers: Vec<(GroupTimer, Time, GroupTimeout)>,
    pub(super) log: Vec<CoordinatorRecord>,
    pub(super) notes: Vec<GroupNote>,
    /// What the shard answered by itself.
    pub(super) answers: Vec<(ResponseId, Response)>,
    /// How many requests there were.
    pub(super) asked: u64,
}

impl GroupBench {
    /// Without topics.
    pub(super) fn new() -> Self {
        GroupBench {
            shard: GroupShard::default(),
            settings: BrokerSettings::default(),
            configs: GroupConfigs::new(),
            image: MetadataImage::default(),
            now: Time::ZERO + Duration::secs(1_000),
            timers: Vec::new(),
            log: Vec::new(),
            notes: Vec::new(),
            answers: Vec::new(),
            asked: 0,
        }
    }

    pub(super) fn act<R>(
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
                configs: &self.configs,
                image: &self.image,
                effects: &mut effects,
            },
        );
        for change in effects.timers {
            let (timer, set) = match change {
                TimerChange::ScheduleIfAbsent(timer, ..) if self.is_set(timer) => continue,
                TimerChange::ScheduleIfAbsent(timer, after, then)
                | TimerChange::Schedule(timer, after, then) => (timer, Some((self.now + after, then))),
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
        self.answers.extend(effects.answers);
        result
    }

    pub(super) fn is_set(&self, timer: GroupTimer) -> bool {
        self.timers.iter().any(|(known, ..)| *known == timer)
    }

    /// Applies what an operation wrote, and says what became of it.
    pub(super) fn settle(
        &mut self,
        written: Written<Append>,
        result: Result<(), ErrorCode>,
    ) -> Option<Response> {
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

    /// Sends a request; its answer, if it is there.
    pub(super) fn send(
        &mut self,
        request: GroupRequest,
        appended: Result<(), ErrorCode>,
    ) -> Result<Option<Response>, ErrorCode> {
        self.asked += 1;
        let id = ResponseId(self.asked);
        let written = self.act(|shard, around| shard.write(request, id, around))?;
        let response = self.settle(written, appended);
        Ok(response.or_else(|| self.take(id)))
    }

    /// What a Heartbeat of the classic protocol is answered with.
    pub(super) fn heartbeat(&mut self, member: u64, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group: GROUP,
            generation: GenerationId(generation),
            member: MemberId(member),
            instance: None,
        };
        match self.send(GroupRequest::Heartbeat(Box::new(request)), Ok(())) {
            Ok(Some(Response::Heartbeat(error))) | Err(error) => error,
            other => panic!("{other:?}"),
        }
    }

    /// The answer to a request that was not answered at once.
    pub(super) fn take(&mut self, id: ResponseId) -> Option<Response> {
        let position = self.answers.iter().position(|(answered, _)| *answered == id)?;
        Some(self.answers.remove(position).1)
    }

    /// Lets time pass, timer by timer.
    pub(super) fn pass(&mut self, span: Duration) {
        self.pass_and(span, Ok(()));
    }

    pub(super) fn pass_and(&mut self, span: Duration, appended: Result<(), ErrorCode>) {
        let until = self.now + span;
        loop {
            self.timers.sort_by_key(|(_, at, _)| *at);
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
    pub(super) fn fail_over(&mut self) {
        self.timers.clear();
        self.shard = GroupShard::default();
        let now = self.now;
        self.log.iter().for_each(|record| self.shard.replay(record, now));
        self.shard.snapshot(Offset(self.log.len() as u64));
        self.act(|shard, around| shard.loaded(around));
    }
}
