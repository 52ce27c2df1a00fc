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
pub(super) struct Purgatory {
    parked: VecDeque<Parked>,
    /// Lends its memory.
    spare: VecDeque<Parked>,
}

impl Purgatory {
    pub(super) fn park(&mut self, parked: Parked) {
        self.parked.push_back(parked);
    }

    /// Takes all that wait; [`Purgatory::recycle`] takes the empty list back.
    pub(super) fn take_all(&mut self) -> VecDeque<Parked> {
        std::mem::replace(&mut self.parked, std::mem::take(&mut self.spare))
    }

    /// Gives memory back.
    pub(super) fn recycle(&mut self, mut emptied: VecDeque<Parked>) {
        emptied.clear();
        self.spare = emptied;
    }

    /// Takes one that has waited long enough.
    pub(super) fn take_expired(&mut self, now: Time) -> Option<Parked> {
        let late = self.parked.iter().position(|parked| parked.deadline <= now)?;
        self.parked.remove(late)
    }

    /// When the next one has waited long enough.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.parked.iter().map(|parked| parked.deadline).min()
    }

    pub(super) fn clear(&mut self) {
        self.parked.clear();
    }
}
