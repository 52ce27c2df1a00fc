//! Producer ids out of blocks that the controller gives (`RPCProducerIdManager`).
//!
//! A block is asked for when none is left, or in advance when a tenth is left; one request at a time, again 50 ms
//! (wall) after a failure at the earliest. A producer that asks while no block is there is told
//! COORDINATOR_LOAD_IN_PROGRESS and asks again.

use ktrial_sim::{Duration, Time};

use crate::ids::ProducerId;
use crate::protocol::ErrorCode;

/// From a failed request to the next one.
const RETRY_BACKOFF: Duration = Duration::millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    first: u64,
    count: u32,
}

/// The ids a broker can give out.
#[derive(Debug, Default)]
pub struct ProducerIds {
    current: Option<Block>,
    given: u32,
    next: Option<Block>,
    in_flight: bool,
    not_before: Time,
}

impl ProducerIds {
    /// An id, or why there is none yet.
    pub fn generate(&mut self) -> Result<ProducerId, ErrorCode> {
        let exhausted = self.current.is_none_or(|block| self.given >= block.count);
        if exhausted {
            let next = self.next.take().ok_or(ErrorCode::CoordinatorLoadInProgress)?;
            self.current = Some(next);
            self.given = 0;
        }
        let block = self.current.expect("a block is there");
        self.given += 1;
        Ok(ProducerId(block.first + u64::from(self.given - 1)))
    }

    /// Whether a block is to be asked for now; if so it counts as asked for.
    pub fn must_ask(&mut self, wall: Time) -> bool {
        let left = self.current.map_or(0, |block| block.count - self.given);
        let few = self
            .current
            .is_none_or(|block| u64::from(left) * 10 <= u64::from(block.count));
        let ask = few && self.next.is_none() && !self.in_flight && wall >= self.not_before;
        self.in_flight |= ask;
        ask
    }

    /// The controller answered, or nobody did.
    pub fn answered(&mut self, answer: Result<(u64, u32), ErrorCode>, wall: Time) {
        self.in_flight = false;
        match answer {
            Ok((first, count)) => self.next = Some(Block { first, count }),
            Err(_) => self.not_before = wall + RETRY_BACKOFF,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_blocks_and_the_next_block_is_asked_for_in_advance() {
        let mut ids = ProducerIds::default();
        assert_eq!(ids.generate(), Err(ErrorCode::CoordinatorLoadInProgress));
        assert!(ids.must_ask(Time(0)));
        assert!(!ids.must_ask(Time(0)), "one request at a time");
        ids.answered(Ok((2_000, 10)), Time(0));
        for expected in 2_000..2_009 {
            assert_eq!(ids.generate(), Ok(ProducerId(expected)));
        }
        assert!(ids.must_ask(Time(1)), "a tenth is left");
        assert_eq!(ids.generate(), Ok(ProducerId(2_009)));
        assert_eq!(ids.generate(), Err(ErrorCode::CoordinatorLoadInProgress));
        ids.answered(Ok((5_000, 10)), Time(2));
        assert_eq!(ids.generate(), Ok(ProducerId(5_000)));
    }

    #[test]
    fn a_failed_request_is_repeated_after_fifty_milliseconds() {
        let mut ids = ProducerIds::default();
        assert!(ids.must_ask(Time(0)));
        ids.answered(Err(ErrorCode::StaleBrokerEpoch), Time(0));
        assert!(!ids.must_ask(Time(0) + Duration::millis(49)));
        assert!(ids.must_ask(Time(0) + Duration::millis(50)));
    }
}
