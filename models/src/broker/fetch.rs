//! Fetch requests of followers and consumers (`KafkaApis.handleFetchRequest`, `ReplicaManager.fetchMessages`,
//! `DelayedFetch`).
//!
//! For each partition: read; for a follower then its state, the ISR, the high watermark, each a step of its own.
//! Answered at once if enough bytes are there, or none may be waited for, or a partition has an error, a diverging
//! epoch, or a preferred replica; else parked until that changes. A parked request is read again when it ends,
//! and touches no follower state then.

mod delayed;

use ktrial_sim::{Context, Duration, Time};
use smallvec::SmallVec;

use crate::broker::Broker;
use crate::broker::fetch_session::SessionContext;
use crate::broker::metadata_cache::View;
use crate::broker::partition::{FollowerFetch, Partition, ReadInfo};
use crate::broker::work::{Plain, Progress, Step, Work};
use crate::config::{IsolationLevel, ReplicaSelector};
use crate::cuts;
use crate::ids::{Offset, PartitionId, ServerId};
use crate::kafka::Kafka;
use crate::protocol::{
    BrokerIdentity, ErrorCode, FetchPartition, FetchRequest, FetchResponse, FetchedPartition, Response,
};
use crate::records::Batch;

/// A fetch.
#[derive(Debug)]
pub struct FetchWork {
    /// The follower; none: a consumer.
    replica: Option<BrokerIdentity>,
    max_wait: Duration,
    min_bytes: u32,
    max_bytes: u32,
    isolation: IsolationLevel,
    rack: Option<u16>,
    session: SessionContext,
    /// All partitions of the request, by its session.
    all: Vec<FetchPartition>,
    /// Those that the metadata cache knows: they are read.
    read: Vec<FetchPartition>,
    next: usize,
    left: u32,
    read_bytes: u32,
    answer: SmallVec<[FetchedPartition; 1]>,
    /// Something that is not waited for.
    news: bool,
    /// What the step in hand found.
    told: Option<FollowerFetch>,
    looks_at_high_watermark: bool,
}

impl Default for FetchWork {
    fn default() -> Self {
        FetchWork {
            replica: None,
            max_wait: Duration::ZERO,
            min_bytes: 0,
            max_bytes: 0,
            isolation: IsolationLevel::ReadUncommitted,
            rack: None,
            session: SessionContext::Sessionless,
            all: Vec::new(),
            read: Vec::new(),
            next: 0,
            left: 0,
            read_bytes: 0,
            answer: SmallVec::new(),
            news: false,
            told: None,
            looks_at_high_watermark: false,
        }
    }
}

impl Broker {
    pub(super) fn begin_fetch(
        &mut self,
        work: &mut Work,
        request: &FetchRequest,
        context: &mut Context<'_, Kafka>,
    ) {
        let fetch = &mut work.fetch;
        match self.sessions.begin(request, context.monotonic(), &mut fetch.all) {
            Ok(session) => fetch.session = session,
            Err(error) => {
                work.step = Step::Finish;
                work.plain = Plain::Answer(Response::Fetch(Box::new(FetchResponse {
                    error,
                    session: 0,
                    partitions: SmallVec::new(),
                })));
                return;
            }
        }
        fetch.replica = request.replica;
        fetch.max_wait = request.max_wait;
        fetch.max_bytes = request.max_bytes.min(self.specification.broker.fetch_max_bytes);
        fetch.min_bytes = request.min_bytes.min(fetch.max_bytes);
        fetch.isolation = request.isolation;
        fetch.rack = request.rack;
        fetch.read.clear();
        let image = &self.image;
        let known = |asked: &&FetchPartition| image.partition(asked.partition).is_some();
        fetch.read.extend(fetch.all.iter().filter(known));
        fetch.start_reading();
        work.step = Step::Read;
    }

    /// Adds the answer for one partition. How many bytes it has, and what a follower's fetch tells if its state is to
    /// be updated.
    fn read_partition(
        &self,
        fetch: &mut FetchWork,
        asked: &FetchPartition,
        context: &mut Context<'_, Kafka>,
    ) -> (u32, Option<FollowerFetch>) {
        let Some(partition) = self.partitions.get(asked.partition) else {
            fetch.take(self.failed_fetch(asked.partition, ErrorCode::NotLeaderOrFollower));
            return (0, None);
        };
        if let Some(preferred) = self.preferred_read_replica(partition, fetch, asked) {
            fetch.take(self.preferred_answer(partition, asked, preferred));
            return (0, None);
        }
        let max_bytes = asked.max_bytes.min(fetch.left);
        let first = fetch.read_bytes == 0;
        let (replica, isolation) = (fetch.replica, fetch.isolation);
        // Read into its place, because an answer with room for a batch is large to move.
        let batches = fetch.begin_answer(asked.partition);
        let read = match replica {
            Some(follower) => partition
                .read_for_follower(follower, asked, max_bytes, first, batches, context)
                .map(|(told, read)| (Some(told), read)),
            None => partition
                .read_for_consumer(asked, isolation, false, max_bytes, first, batches, context)
                .map(|read| (None, read)),
        };
        match read {
            Ok((told, read)) => {
                fetch.end_answer(&read);
                (read.bytes, told.filter(|_| read.diverging.is_none()))
            }
            Err(error) => {
                fetch.replace_last(self.failed_fetch(asked.partition, error));
                (0, None)
            }
        }
    }

    fn failed_fetch(&self, partition: PartitionId, error: ErrorCode) -> FetchedPartition {
        let hinted = matches!(
            error,
            ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch
        );
        FetchedPartition {
            partition,
            error,
            high_watermark: Offset(0),
            last_stable_offset: Offset(0),
            log_start: Offset(0),
            diverging: None,
            current_leader: hinted.then(|| self.newest_leader(partition)).flatten(),
            preferred_read_replica: None,
            batches: SmallVec::new(),
        }
    }

    fn preferred_answer(
        &self,
        partition: &Partition,
        asked: &FetchPartition,
        preferred: ServerId,
    ) -> FetchedPartition {
        if let Err(error) = partition.check_current_leader_epoch(asked.current_leader_epoch) {
            return self.failed_fetch(asked.partition, error);
        }
        FetchedPartition {
            high_watermark: partition.log().high_watermark(),
            last_stable_offset: partition.log().last_stable_offset(),
            log_start: partition.log().start(),
            preferred_read_replica: Some(preferred),
            ..self.failed_fetch(asked.partition, ErrorCode::None)
        }
    }

    /// `ReplicaManager.findPreferredReadReplica` with `RackAwareReplicaSelector`: an in-sync replica of the
    /// consumer's rack that has the offset; the one that is furthest, of equal ones the highest id; never named if it is the leader itself.
    fn preferred_read_replica(
        &self,
        partition: &Partition,
        fetch: &FetchWork,
        asked: &FetchPartition,
    ) -> Option<ServerId> {
        let rack = fetch.rack.filter(|_| fetch.replica.is_none())?;
        let aware = self.specification.broker.replica_selector_class == ReplicaSelector::RackAware;
        let in_rack = |server| {
            let registration = self.image.broker(server);
            registration.is_some_and(|registration| !registration.fenced && registration.rack == Some(rack))
        };
        if !aware || !partition.is_leader() || in_rack(self.id) {
            return None;
        }
        let candidates = partition.remotes().iter().filter(|replica| {
            partition.isr().contains(&replica.server)
                && replica.log_end >= Some(asked.fetch_offset)
                && replica.log_start.is_some_and(|start| start <= asked.fetch_offset)
                && in_rack(replica.server)
        });
        // ReplicaView.comparator: the largest log end, then the least time since it was caught up, then the id.
        let best = candidates.max_by_key(|replica| {
            let caught_up = replica.last_caught_up_time.map(Time::millis);
            (replica.log_end, caught_up, replica.server)
        });
        best.map(|replica| replica.server)
    }

    pub(super) fn read(&mut self, work: &mut Work, context: &mut Context<'_, Kafka>) -> Progress {
        let Some(asked) = work.fetch.read.get(work.fetch.next).copied() else {
            return Progress::Done;
        };
        let (bytes, told) = self.read_partition(&mut work.fetch, &asked, context);
        work.bytes += bytes;
        work.fetch.told = told;
        if told.is_none() {
            return Self::next_read(work, context);
        }
        work.step = Step::FollowerState;
        Self::passing(cuts::FETCH_BEFORE_FOLLOWER_STATE, work, context)
    }

    fn passing(cut: u16, work: &Work, context: &mut Context<'_, Kafka>) -> Progress {
        match context.cut(cut, work.passage(work.fetch.next)) {
            Some(open) => Progress::Wait(open),
            None => Progress::Next,
        }
    }

    fn next_read(work: &mut Work, context: &mut Context<'_, Kafka>) -> Progress {
        work.fetch.next += 1;
        work.step = Step::Read;
        if work.fetch.next == work.fetch.read.len() {
            return Progress::Done;
        }
        Self::passing(cuts::FETCH_NEXT_PARTITION, work, context)
    }

    pub(super) fn update_follower(&mut self, work: &mut Work, context: &mut Context<'_, Kafka>) -> Progress {
        let id = work.fetch.read[work.fetch.next].partition;
        let told = work.fetch.told.as_ref().expect("a follower's fetch");
        let view = View {
            image: &self.image,
            own_epoch: self.lifecycle.epoch(),
        };
        let Some(partition) = self.partitions.get_mut(id) else {
            return Self::next_read(work, context);
        };
        match partition.update_follower_fetch_state(told, &view, context) {
            Ok(log_end_changed) => {
                work.fetch.looks_at_high_watermark = log_end_changed;
                work.step = Step::ExpandIsr;
                Self::passing(cuts::FETCH_BEFORE_EXPAND_ISR, work, context)
            }
            Err(error) => {
                let failed = self.failed_fetch(id, error);
                work.fetch.replace_last(failed);
                Self::next_read(work, context)
            }
        }
    }

    pub(super) fn expand_isr(&mut self, work: &mut Work, context: &mut Context<'_, Kafka>) -> Progress {
        let id = work.fetch.read[work.fetch.next].partition;
        let told = work.fetch.told.expect("a follower's fetch");
        let view = View {
            image: &self.image,
            own_epoch: self.lifecycle.epoch(),
        };
        let proposal = self
            .partitions
            .get_mut(id)
            .and_then(|partition| partition.maybe_expand_isr(told.replica, &view, context));
        if let Some(proposal) = proposal {
            self.propose(proposal, context);
        }
        if !work.fetch.looks_at_high_watermark {
            return Self::next_read(work, context);
        }
        work.step = Step::HighWatermarkAfterFetch;
        Self::passing(cuts::FETCH_BEFORE_HIGH_WATERMARK, work, context)
    }

    pub(super) fn high_watermark_after_fetch(
        &mut self,
        work: &mut Work,
        context: &mut Context<'_, Kafka>,
    ) -> Progress {
        let id = work.fetch.read[work.fetch.next].partition;
        if self.high_watermark_waits(id) {
            return Progress::Locked(id);
        }
        let told = work.fetch.told.expect("a follower's fetch");
        let view = View {
            image: &self.image,
            own_epoch: self.lifecycle.epoch(),
        };
        let moved = self
            .partitions
            .get_mut(id)
            .is_some_and(|partition| partition.high_watermark_after_fetch(told.time, &view, context));
        if moved {
            self.complete_delayed(id, context);
        }
        Self::next_read(work, context)
    }

    /// The service time is over: the answer leaves, or the wait begins.
    pub(super) fn finish_fetch(&mut self, work: &mut Work, context: &mut Context<'_, Kafka>) -> Progress {
        let fetch = &work.fetch;
        let waits = fetch.max_wait > Duration::ZERO
            && !fetch.read.is_empty()
            && fetch.read_bytes < fetch.min_bytes
            && !fetch.news;
        if waits {
            work.step = Step::Park;
            return match context.cut(cuts::FETCH_BEFORE_PARKING, work.identity) {
                Some(open) => Progress::Wait(open),
                None => Progress::Next,
            };
        }
        self.answer_fetch(work, context);
        Progress::Done
    }
}

impl FetchWork {
    fn start_reading(&mut self) {
        self.next = 0;
        self.left = self.max_bytes;
        self.read_bytes = 0;
        self.news = false;
        self.told = None;
        self.looks_at_high_watermark = false;
        self.answer.clear();
    }

    /// Adds an answer without records.
    fn take(&mut self, answer: FetchedPartition) {
        self.news |= is_news(&answer);
        self.answer.push(answer);
    }

    /// Adds an answer that is to be read; where its records belong.
    fn begin_answer(&mut self, partition: PartitionId) -> &mut SmallVec<[Batch; 1]> {
        self.answer.push(FetchedPartition {
            partition,
            error: ErrorCode::None,
            high_watermark: Offset(0),
            last_stable_offset: Offset(0),
            log_start: Offset(0),
            diverging: None,
            current_leader: None,
            preferred_read_replica: None,
            batches: SmallVec::new(),
        });
        &mut self.answer.last_mut().expect("just added").batches
    }

    fn end_answer(&mut self, read: &ReadInfo) {
        self.read_bytes += read.bytes;
        self.left = self.left.saturating_sub(read.bytes);
        self.news |= read.diverging.is_some();
        let answer = self.answer.last_mut().expect("it has begun");
        answer.high_watermark = read.high_watermark;
        answer.last_stable_offset = read.last_stable_offset;
        answer.log_start = read.log_start;
        answer.diverging = read.diverging;
    }

    fn replace_last(&mut self, answer: FetchedPartition) {
        self.news |= is_news(&answer);
        *self.answer.last_mut().expect("it was read") = answer;
    }
}

fn is_news(answer: &FetchedPartition) -> bool {
    answer.error != ErrorCode::None || answer.diverging.is_some() || answer.preferred_read_replica.is_some()
}
