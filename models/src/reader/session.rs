//! A fetch session with one node: `FetchSessionHandler` (KIP-227).

use smallvec::SmallVec;

use crate::ids::PartitionId;
use crate::protocol::{ErrorCode, FetchPartition, FetchResponse};

/// What a session's next request holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SessionRequest {
    pub(super) session: u32,
    pub(super) epoch: i32,
    pub(super) send: SmallVec<[FetchPartition; 2]>,
    pub(super) forget: SmallVec<[PartitionId; 2]>,
}

/// The session with one node. Epoch 0 opens a new one.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    id: u32,
    epoch: i32,
    /// What the broker knows, sorted by partition.
    partitions: Vec<FetchPartition>,
    /// Lends its memory.
    spare: Vec<FetchPartition>,
}

impl Session {
    /// The next request for `wanted`: everything, or only what changed, in this order. A broker without room for a
    /// session fills its answer in the order in which it is asked.
    pub(super) fn build(&mut self, wanted: &[FetchPartition]) -> SessionRequest {
        let mut request = SessionRequest {
            session: self.id,
            epoch: self.epoch,
            ..SessionRequest::default()
        };
        let mut sorted = std::mem::take(&mut self.spare);
        sorted.clear();
        sorted.extend_from_slice(wanted);
        sorted.sort_unstable_by_key(|partition| partition.partition);
        if self.epoch == 0 {
            request.send.extend(wanted.iter().copied());
        } else {
            let key = |partition: &FetchPartition| partition.partition;
            for partition in wanted {
                let known = self.partitions.binary_search_by_key(&partition.partition, key);
                if known.is_err() || known.is_ok_and(|place| self.partitions[place] != *partition) {
                    request.send.push(*partition);
                }
            }
            for known in &self.partitions {
                if sorted.binary_search_by_key(&known.partition, key).is_err() {
                    request.forget.push(known.partition);
                }
            }
        }
        self.spare = std::mem::replace(&mut self.partitions, sorted);
        request
    }

    /// An answer came. False: it holds nothing to be used.
    pub(super) fn answered(&mut self, response: &FetchResponse) -> bool {
        if response.error != ErrorCode::None {
            if response.error == ErrorCode::FetchSessionIdNotFound {
                self.id = 0;
            }
            self.epoch = 0;
            return false;
        }
        if response.session == 0 {
            (self.id, self.epoch) = (0, 0);
        } else if self.epoch == 0 {
            (self.id, self.epoch) = (response.session, 1);
        } else {
            self.epoch = match self.epoch {
                i32::MAX => 1,
                epoch => epoch + 1,
            };
        }
        true
    }

    /// No answer came: the next request closes the session and opens another.
    pub(super) fn failed(&mut self) {
        self.epoch = 0;
    }

    /// Where the request in hand reads a partition.
    pub(super) fn partition(&self, partition: PartitionId) -> Option<&FetchPartition> {
        let place = self
            .partitions
            .binary_search_by_key(&partition, |known| known.partition);
        place.ok().map(|place| &self.partitions[place])
    }

    /// The partitions of the request in hand.
    pub(super) fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        self.partitions.iter().map(|known| known.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Offset;

    fn at(partition: u32, offset: u64) -> FetchPartition {
        FetchPartition {
            partition: PartitionId(partition),
            current_leader_epoch: None,
            fetch_offset: Offset(offset),
            last_fetched_epoch: None,
            log_start: Offset(0),
            max_bytes: 1,
        }
    }

    fn answer(error: ErrorCode, session: u32) -> FetchResponse {
        FetchResponse {
            error,
            session,
            partitions: SmallVec::new(),
        }
    }

    #[test]
    fn partitions_are_asked_for_in_the_order_in_which_they_are_wanted() {
        let mut session = Session::default();
        let asked = |request: SessionRequest| -> Vec<u32> {
            request
                .send
                .iter()
                .map(|partition| partition.partition.0)
                .collect()
        };
        assert_eq!(asked(session.build(&[at(2, 0), at(0, 0), at(1, 0)])), [2, 0, 1]);
        assert_eq!(
            asked(session.build(&[at(0, 0), at(1, 0), at(2, 5)])),
            [0, 1, 2],
            "no session was opened"
        );
    }

    #[test]
    fn a_session_names_only_what_changed() {
        let mut session = Session::default();
        let full = session.build(&[at(0, 0), at(1, 0)]);
        assert_eq!((full.session, full.epoch, full.send.len()), (0, 0, 2));
        assert!(session.answered(&answer(ErrorCode::None, 7)));
        let next = session.build(&[at(0, 5), at(2, 0)]);
        assert_eq!((next.session, next.epoch), (7, 1));
        assert_eq!(next.send.as_slice(), [at(0, 5), at(2, 0)]);
        assert_eq!(next.forget.as_slice(), [PartitionId(1)]);
        assert!(session.answered(&answer(ErrorCode::None, 7)));
        let same = session.build(&[at(0, 5), at(2, 0)]);
        assert_eq!((same.epoch, same.send.len(), same.forget.len()), (2, 0, 0));
    }

    #[test]
    fn an_unknown_session_is_opened_anew() {
        let mut session = Session::default();
        session.build(&[at(0, 0)]);
        session.answered(&answer(ErrorCode::None, 7));
        session.build(&[at(0, 5)]);
        assert!(!session.answered(&answer(ErrorCode::FetchSessionIdNotFound, 0)));
        let next = session.build(&[at(0, 5)]);
        assert_eq!((next.session, next.epoch, next.send.len()), (0, 0, 1));
    }

    #[test]
    fn after_a_disconnection_the_next_request_closes_the_session_and_is_full() {
        let mut session = Session::default();
        session.build(&[at(0, 0)]);
        session.answered(&answer(ErrorCode::None, 7));
        session.failed();
        let next = session.build(&[at(0, 0)]);
        assert_eq!((next.session, next.epoch, next.send.len()), (7, 0, 1));
    }
}
