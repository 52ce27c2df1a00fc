//! What counts as a rebalance: `ConsumerRebalanceMetricsManager`.
//!
//! | in `consumer-coordinator-metrics` | is |
//! |---|---|
//! | a rebalance begins | the member enters RECONCILING: joining, and waiting for a target, are none of it |
//! | it ends (`rebalance-total`, `rebalance-latency-avg`, `-max`, `-total`) | RECONCILING becomes ACKNOWLEDGING, before the coordinator knows, or STABLE |
//! | it fails (`failed-rebalance-total`) | a heartbeat is answered with any error before the end, also with one that is repeated |
//!
//! A member that is fenced or leaves in the middle of a rebalance neither ends it nor fails by that; until the next one
//! begins every further error counts as a failure. Times are whole milliseconds of the wall clock: a rebalance that
//! begins in the millisecond in which another one ended cannot fail.

use ktrial_sim::Time;

use super::background::Background;
use crate::client::Environment;
use crate::notes::{ClientNote, RebalanceStep};

/// When the last rebalance began, and when one ended last, in milliseconds of the wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rebalances {
    started: Option<u64>,
    ended: Option<u64>,
}

fn milliseconds(now: Time) -> u64 {
    now.since(Time::ZERO).as_millis()
}

impl Background {
    /// `recordRebalanceStarted`.
    pub(super) fn rebalance_started(&mut self, environment: &mut impl Environment) {
        self.membership.rebalances.started = Some(milliseconds(environment.wall()));
        self.tell(ClientNote::Rebalance(RebalanceStep::Begins), environment);
    }

    /// `recordRebalanceEnded`.
    pub(super) fn rebalance_ended(&mut self, environment: &mut impl Environment) {
        self.membership.rebalances.ended = Some(milliseconds(environment.wall()));
        self.tell(ClientNote::Rebalance(RebalanceStep::Ends), environment);
    }

    /// `maybeRecordRebalanceFailed`.
    pub(super) fn rebalance_failed(&mut self, environment: &mut impl Environment) {
        let Rebalances { started, ended } = self.membership.rebalances;
        if started > ended {
            self.tell(ClientNote::Rebalance(RebalanceStep::Fails), environment);
        }
    }
}
