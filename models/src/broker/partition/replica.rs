//! What a leader knows of another replica: `Replica` and `ReplicaState`.

use ktrial_sim::{Duration, EventId, Time};

use super::view::ClusterView;
use crate::ids::{BrokerEpoch, Offset, ServerId};
use crate::protocol::ErrorCode;

/// Names a replica as a fetch found it. A leader that followed in between has others under the same ids, and what
/// that fetch brings is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaReference {
    /// Which server.
    pub server: ServerId,
    created: u32,
}

/// Another replica as its leader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Which server.
    pub server: ServerId,
    created: u32,
    /// Its log end: the offset of its last fetch. Unknown before the first one in this leadership.
    pub log_end: Option<Offset>,
    /// Where its log starts.
    pub log_start: Option<Offset>,
    /// When it fetched last, by the leader's wall clock.
    pub last_fetch_time: Option<Time>,
    /// The leader's log end at that fetch.
    pub last_fetch_leader_log_end: Option<Offset>,
    /// When it had last all that the leader had, by the leader's wall clock; none: long ago.
    pub last_caught_up_time: Option<Time>,
    /// The broker epoch in its last fetch (KIP-903).
    pub broker_epoch: Option<BrokerEpoch>,
    /// The event in which its log end was heard of.
    pub by: EventId,
}

impl Replica {
    pub(super) fn new(server: ServerId, created: u32) -> Self {
        Replica {
            server,
            created,
            log_end: None,
            log_start: None,
            last_fetch_time: None,
            last_fetch_leader_log_end: None,
            last_caught_up_time: None,
            broker_epoch: None,
            by: EventId::default(),
        }
    }

    /// Names it.
    #[inline]
    pub fn reference(&self) -> ReplicaReference {
        ReplicaReference {
            server: self.server,
            created: self.created,
        }
    }

    /// A leader epoch begins. Members of the ISR get the benefit of the doubt for `replica.lag.time.max.ms`; where
    /// the leadership is new all else is forgotten.
    pub(super) fn reset(
        &mut self,
        now: Time,
        leader_end: Offset,
        new_leader: bool,
        in_sync: bool,
        by: EventId,
    ) {
        let caught_up = in_sync.then_some(now);
        if new_leader {
            *self = Replica {
                last_caught_up_time: caught_up,
                by,
                ..Replica::new(self.server, self.created)
            };
        } else {
            self.last_caught_up_time = caught_up;
            self.last_fetch_leader_log_end = Some(leader_end);
            self.last_fetch_time = caught_up;
        }
    }

    /// It fetched.
    ///
    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER: an incarnation of the broker sent it that metadata has already replaced.
    #[inline]
    pub(super) fn fetched(
        &mut self,
        fetch: &FollowerFetch,
        view: &impl ClusterView,
        by: EventId,
    ) -> Result<(), ErrorCode> {
        if view.alive_epoch(self.server) > Some(fetch.broker_epoch) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if fetch.offset >= fetch.leader_end {
            self.last_caught_up_time = self.last_caught_up_time.max(Some(fetch.time));
        } else if Some(fetch.offset) >= self.last_fetch_leader_log_end {
            self.last_caught_up_time = self.last_caught_up_time.max(self.last_fetch_time);
        }
        if self.log_end != Some(fetch.offset) {
            self.by = by;
        }
        self.log_start = Some(fetch.log_start);
        self.log_end = Some(fetch.offset);
        self.last_fetch_leader_log_end = self.last_fetch_leader_log_end.max(Some(fetch.leader_end));
        self.last_fetch_time = Some(fetch.time);
        self.broker_epoch = Some(fetch.broker_epoch);
        Ok(())
    }

    /// Whether it has all that the leader has, or had so within `longest`, by the leader's wall clock.
    #[inline]
    pub fn is_caught_up(&self, leader_end: Offset, now: Time, longest: Duration) -> bool {
        let recently =
            |caught_up: Time| now.millis().saturating_sub(caught_up.millis()) <= longest.as_millis();
        self.log_end == Some(leader_end) || self.last_caught_up_time.is_some_and(recently)
    }

    /// Whether it may join the ISR (KIP-841, KIP-903): not fenced, not shutting down, and the process that fetched
    /// is the one that is registered.
    #[inline]
    pub fn is_isr_eligible(&self, view: &impl ClusterView) -> bool {
        view.broker(self.server).is_some_and(|broker| {
            !broker.fenced && !broker.in_controlled_shutdown && self.broker_epoch == Some(broker.epoch)
        })
    }
}

/// What a follower's fetch tells its leader, kept from the read to the update of its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// Who fetched.
    pub replica: ReplicaReference,
    /// The broker epoch in its request.
    pub broker_epoch: BrokerEpoch,
    /// Where it fetched from: its log's end.
    pub offset: Offset,
    /// Where its log starts.
    pub log_start: Offset,
    /// When the leader read for it, by the leader's wall clock.
    pub time: Time,
    /// Where the leader's log ended then.
    pub leader_end: Offset,
}
