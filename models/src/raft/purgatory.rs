//! Fetches that wait at the leader for something new (`ThresholdPurgatory`).

use std::collections::VecDeque;

use ktrial_sim::{ConnectionId, Time};

use crate::protocol::{Correlation, QuorumFetchRequest, QuorumFetchResponse};

/// A fetch that waits.
#[derive(Clone, Debug)]
pub(super) struct Parked {
    pub(super) connection: ConnectionId,
    pub(super) correlation: Correlation,
    pub(super) request: Box<QuorumFetchRequest>,
    /// What was answered at first, and is sent if nothing happens.
    pub(super) response: Box<QuorumFetchResponse>,
    /// When it is sent, on the monotonic clock: a thread of its own sees to that (`TimingWheelExpirationService`).
    pub(super) deadline: Time,
}

/// All of them, in order of their arrival.
#[derive(Clone, Debug, Default)]
pub(super) struct Purgatory(VecDeque<Parked>);

impl Purgatory {
    pub(super) fn park(&mut self, parked: Parked) {
        self.0.push_back(parked);
    }

    /// Takes all that wait.
    pub(super) fn take_all(&mut self) -> VecDeque<Parked> {
        std::mem::take(&mut self.0)
    }

    /// Takes one that has waited long enough.
    pub(super) fn take_expired(&mut self, now: Time) -> Option<Parked> {
        let late = self.0.iter().position(|parked| parked.deadline <= now)?;
        self.0.remove(late)
    }

    /// When the next one has waited long enough.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.0.iter().map(|parked| parked.deadline).min()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
