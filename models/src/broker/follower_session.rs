//! A fetch session at the follower that asks (`FetchSessionHandler`): only what changed is named.

use smallvec::SmallVec;

use crate::broker::fetch_session::{next_epoch, position_from};
use crate::ids::PartitionId;
use crate::protocol::{ErrorCode, FetchPartition, FetchResponse};

/// The session of one fetcher with one broker.
#[derive(Debug, Default)]
pub struct FollowerSession {
    id: u32,
    epoch: i32,
    /// What the broker believes this session reads, in order.
    partitions: Vec<FetchPartition>,
}

/// What the next request names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NextFetch {
    /// The session; 0: none yet.
    pub session: u32,
    /// Its epoch; 0 asks for a new one.
    pub epoch: i32,
    /// New or changed partitions.
    pub partitions: SmallVec<[FetchPartition; 2]>,
    /// Partitions that leave.
    pub forgotten: SmallVec<[PartitionId; 2]>,
}

impl FollowerSession {
    /// What the broker is to read for the next request.
    pub fn partitions(&self) -> &[FetchPartition] {
        &self.partitions
    }

    /// What a partition was asked for with.
    pub fn asked(&self, partition: PartitionId) -> Option<&FetchPartition> {
        self.partitions.iter().find(|asked| asked.partition == partition)
    }

    /// Makes the next request out of what is `wanted`. None if there is nothing to ask and nothing to forget.
    pub fn next(&mut self, wanted: &[FetchPartition]) -> Option<NextFetch> {
        let mut next = NextFetch {
            session: self.id,
            epoch: self.epoch,
            ..NextFetch::default()
        };
        if self.epoch == 0 {
            self.partitions.clear();
            self.partitions.extend_from_slice(wanted);
            next.partitions.extend_from_slice(wanted);
        } else {
            let mut place = 0;
            self.partitions.retain_mut(|asked| {
                let is_asked = |want: &FetchPartition| want.partition == asked.partition;
                let Some(found) = position_from(wanted, place, is_asked) else {
                    next.forgotten.push(asked.partition);
                    return false;
                };
                place = found + 1;
                let now = &wanted[found];
                if asked != now {
                    *asked = *now;
                    next.partitions.push(*now);
                }
                true
            });
            // What is left of the session is wanted, so that of as many nothing is new.
            if self.partitions.len() < wanted.len() {
                for want in wanted {
                    if self.asked(want.partition).is_none() {
                        self.partitions.push(*want);
                        next.partitions.push(*want);
                    }
                }
            }
        }
        (!self.partitions.is_empty() || !next.forgotten.is_empty()).then_some(next)
    }

    /// Takes an answer in. False if its partitions must not be looked at.
    pub fn answered(&mut self, response: &FetchResponse) -> bool {
        match response.error {
            ErrorCode::None => {}
            ErrorCode::FetchSessionIdNotFound => {
                self.start_over(0);
                return false;
            }
            _ => {
                self.start_over(self.id);
                return false;
            }
        }
        let known = |told: &crate::protocol::FetchedPartition| self.asked(told.partition).is_some();
        let complete = self.epoch > 0 || response.partitions.len() == self.partitions.len();
        if !response.partitions.iter().all(known) || !complete {
            self.start_over(0);
            return false;
        }
        if response.session == 0 {
            self.start_over(0);
        } else {
            self.id = response.session;
            self.epoch = next_epoch(self.epoch);
        }
        true
    }

    /// No answer came: the session may or may not have seen the request.
    pub fn failed(&mut self) {
        self.start_over(self.id);
    }

    fn start_over(&mut self, closing: u32) {
        self.id = closing;
        self.epoch = 0;
    }
}
