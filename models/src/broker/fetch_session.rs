//! Fetch sessions at the broker that serves (KIP-227; `FetchManager`, `FetchSession`, `FetchSessionCacheShard`).
//!
//! | request | session |
//! |---|---|
//! | epoch 0 | the named session, if any, is closed; a new one is made if there is room |
//! | epoch -1 | the named session is closed; none is made |
//! | unknown session | FETCH_SESSION_ID_NOT_FOUND |
//! | other epoch than the next one | INVALID_FETCH_SESSION_EPOCH |
//! | the next epoch | changes what the session holds; nothing left in it closes it |
//!
//! An incremental answer names only partitions with records, an error, a diverging epoch, a preferred replica, or
//! another high watermark or log start than told before; those with records move to the end of the session.

use ktrial_sim::{Duration, Time};
use smallvec::SmallVec;

use crate::ids::Offset;
use crate::protocol::{ErrorCode, FetchPartition, FetchRequest, FetchedPartition};

/// A session that was not used for so long may be thrown out for any other
/// (`KafkaBroker.MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`; monotonic here and there).
const EVICTION: Duration = Duration::secs(120);

/// What a request reads, and how its answer is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionContext {
    /// No session: everything is answered.
    Sessionless,
    /// A full request: everything is answered, and a session is made.
    Full {
        /// Whether a follower asks.
        privileged: bool,
    },
    /// The next request of a session.
    Incremental {
        /// The session.
        session: u32,
        /// Its epoch while this request is in hand.
        epoch: i32,
    },
}

struct CachedPartition {
    request: FetchPartition,
    /// What was told last; none: nothing yet, or an error.
    high_watermark: Option<Offset>,
    log_start: Option<Offset>,
}

struct Session {
    id: u32,
    shard: usize,
    privileged: bool,
    partitions: Vec<CachedPartition>,
    created: Time,
    used: Time,
    /// The epoch that the next request must carry.
    epoch: i32,
}

impl Session {
    fn update(&mut self, request: &FetchRequest) {
        for asked in &request.partitions {
            match self
                .partitions
                .iter_mut()
                .find(|cached| cached.request.partition == asked.partition)
            {
                Some(cached) => cached.request = *asked,
                None => self.partitions.push(CachedPartition {
                    request: *asked,
                    high_watermark: None,
                    log_start: None,
                }),
            }
        }
        if !request.forgotten.is_empty() {
            self.partitions
                .retain(|cached| !request.forgotten.contains(&cached.request.partition));
        }
    }

    /// A privileged session can be thrown out by nobody before its time, another one by privileged ones.
    fn evictable_by(&self, privileged: bool, now: Time) -> bool {
        now.since(self.created) > EVICTION || (privileged && !self.privileged)
    }
}

/// All sessions of one broker.
pub struct FetchSessions {
    sessions: Vec<Session>,
    /// Room in each shard.
    slots: usize,
    shards: usize,
    /// Which shard the next new session goes to.
    next_shard: usize,
    spare: Vec<Vec<CachedPartition>>,
}

impl FetchSessions {
    /// Room for `slots` sessions (`max.incremental.fetch.session.cache.slots`), in eight shards: what eight does not
    /// divide is lost (`KafkaBroker.NumFetchSessionCacheShards`, `BrokerServer.startup`).
    pub fn new(slots: u32) -> Self {
        FetchSessions::sharded(slots, 8)
    }

    fn sharded(slots: u32, shards: usize) -> Self {
        FetchSessions {
            sessions: Vec::new(),
            slots: slots as usize / shards,
            shards,
            next_shard: 0,
            spare: Vec::new(),
        }
    }

    /// Takes a request in and lists in `read` which partitions it reads, in order.
    pub fn begin(
        &mut self,
        request: &FetchRequest,
        now: Time,
        read: &mut Vec<FetchPartition>,
    ) -> Result<SessionContext, ErrorCode> {
        read.clear();
        if request.session_epoch <= 0 {
            self.remove(request.session);
            read.extend_from_slice(&request.partitions);
            return Ok(if request.session_epoch < 0 {
                SessionContext::Sessionless
            } else {
                SessionContext::Full {
                    privileged: request.replica.is_some(),
                }
            });
        }
        let Some(session) = self.sessions.iter_mut().find(|s| s.id == request.session) else {
            return Err(ErrorCode::FetchSessionIdNotFound);
        };
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        session.update(request);
        if session.partitions.is_empty() {
            let id = session.id;
            self.remove(id);
            read.extend_from_slice(&request.partitions);
            return Ok(SessionContext::Sessionless);
        }
        session.used = now;
        session.epoch = next_epoch(session.epoch);
        read.extend(session.partitions.iter().map(|cached| cached.request));
        Ok(SessionContext::Incremental {
            session: session.id,
            epoch: session.epoch,
        })
    }

    /// Decides what of `answer` is told, and under which session: the error and the session's id. `new_id` gives
    /// ids for a new session, until one is free.
    pub fn finish(
        &mut self,
        session_context: SessionContext,
        read: &[FetchPartition],
        answer: &mut SmallVec<[FetchedPartition; 1]>,
        now: Time,
        new_id: impl FnMut() -> u32,
    ) -> (ErrorCode, u32) {
        match session_context {
            SessionContext::Sessionless => (ErrorCode::None, 0),
            SessionContext::Full { privileged } => {
                let id = self.make(privileged, read, answer, now, new_id);
                (ErrorCode::None, id)
            }
            SessionContext::Incremental { session: id, epoch } => {
                let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) else {
                    // Closed while this request was parked: the answer is made from what it holds itself.
                    return (ErrorCode::None, id);
                };
                if session.epoch != epoch {
                    answer.clear();
                    return (ErrorCode::InvalidFetchSessionEpoch, id);
                }
                let mut next = 0;
                answer.retain(|told| must_be_told(session, told, &mut next));
                (ErrorCode::None, id)
            }
        }
    }

    fn make(
        &mut self,
        privileged: bool,
        read: &[FetchPartition],
        answer: &[FetchedPartition],
        now: Time,
        mut new_id: impl FnMut() -> u32,
    ) -> u32 {
        // FetchSessionCache.getNextCacheShard: one after the other, whichever has room.
        let shard = self.next_shard;
        self.next_shard = (shard + 1) % self.shards;
        let held = self
            .sessions
            .iter()
            .filter(|session| session.shard == shard)
            .count();
        if held >= self.slots && !self.evict(shard, privileged, read.len(), now) {
            return 0;
        }
        let mut id = 0;
        while id == 0 || self.sessions.iter().any(|session| session.id == id) {
            id = new_id();
        }
        let mut partitions = self.spare.pop().unwrap_or_default();
        partitions.extend(read.iter().map(|asked| {
            let told = answer.iter().find(|told| told.partition == asked.partition);
            let told = told.filter(|told| told.error == ErrorCode::None);
            CachedPartition {
                request: *asked,
                high_watermark: told.map(|told| told.high_watermark),
                log_start: told.map(|told| told.log_start),
            }
        }));
        self.sessions.push(Session {
            id,
            shard,
            privileged,
            partitions,
            created: now,
            used: now,
            epoch: 1,
        });
        id
    }

    fn evict(&mut self, shard: usize, privileged: bool, size: usize, now: Time) -> bool {
        let Some(oldest) = self
            .sessions
            .iter()
            .filter(|session| session.shard == shard)
            .min_by_key(|session| (session.used, session.id))
        else {
            return false;
        };
        if now.since(oldest.used) > EVICTION {
            let id = oldest.id;
            self.remove(id);
            return true;
        }
        let victim = self
            .sessions
            .iter()
            .filter(|session| session.shard == shard && session.evictable_by(privileged, now))
            .map(|session| (session.privileged, session.partitions.len(), session.id))
            .min()
            .filter(|key| (privileged, size, 0) >= *key);
        if let Some((_, _, id)) = victim {
            self.remove(id);
        }
        victim.is_some()
    }

    fn remove(&mut self, id: u32) {
        if let Some(index) = self.sessions.iter().position(|session| session.id == id) {
            let session = self.sessions.remove(index);
            self.keep_memory(session.partitions);
        }
    }

    fn keep_memory(&mut self, mut partitions: Vec<CachedPartition>) {
        partitions.clear();
        self.spare.push(partitions);
    }
}

/// `FetchSession.CachedPartition.maybeUpdateResponseData`. `next`: where in the session the partition most likely
/// stands, and then the one that follows it.
fn must_be_told(session: &mut Session, told: &FetchedPartition, next: &mut usize) -> bool {
    let is_told = |cached: &CachedPartition| cached.request.partition == told.partition;
    let Some(position) = position_from(&session.partitions, *next, is_told) else {
        return true;
    };
    *next = position + 1;
    let cached = &mut session.partitions[position];
    let moved =
        cached.high_watermark != Some(told.high_watermark) || cached.log_start != Some(told.log_start);
    if told.error == ErrorCode::None {
        cached.high_watermark = Some(told.high_watermark);
        cached.log_start = Some(told.log_start);
    } else {
        cached.high_watermark = None;
    }
    let has_records = !told.batches.is_empty();
    if has_records {
        let cached = session.partitions.remove(position);
        session.partitions.push(cached);
        *next = position;
    }
    moved
        || has_records
        || told.error != ErrorCode::None
        || told.diverging.is_some()
        || told.preferred_read_replica.is_some()
}

/// The first place at or behind `start` of what `is_meant` says, else the first before it: lists of a session and of
/// a request are in the same order but for a few.
pub(super) fn position_from<T>(list: &[T], start: usize, is_meant: impl Fn(&T) -> bool) -> Option<usize> {
    let (before, behind) = list.split_at(start.min(list.len()));
    let found = behind
        .iter()
        .position(&is_meant)
        .map(|place| place + before.len());
    found.or_else(|| before.iter().position(is_meant))
}

/// `FetchMetadata.nextEpoch`: behind the largest comes 1.
pub fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

#[cfg(test)]
mod tests;
