//! What is measured of each trial, by the names that assertions use.

use std::fmt;

use ktrial_sim::Duration;

use crate::groups::{Delivery, GroupMeasure, SinkMeasure};
use crate::trial::Ending;

/// Something measured of one trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Calls of send.
    Sent,
    /// Sends told without an error.
    Acknowledged,
    /// Sends told an error and certainly not in the log.
    Failed,
    /// Sends told an error, or nothing, that may be in the log.
    Unknown,
    /// Acknowledged records that are not in the final log although no retention deleted them.
    Lost,
    /// Acknowledged records that are not in the final log because retention deleted them.
    Deleted,
    /// Copies beyond the first in the final logs.
    Duplicates,
    /// Places of the final logs at which a record stands behind a later one of its producer.
    Reordered,
    /// How long nothing could be written, for the producer that waited longest.
    Unwritable,
    /// The time from send to acknowledgement, of the acknowledged. Nothing where nothing was acknowledged.
    Latency(Quantile),
    /// What groups came to.
    Group(GroupMeasure),
    /// How the trial ended.
    Ending,
}

/// Which of the acknowledgement latencies of a trial, in order of their lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantile {
    /// Half of them are at most this long.
    P50,
    /// 90 % of them.
    P90,
    /// 99 % of them.
    P99,
    /// 99.9 % of them.
    P999,
    /// The longest.
    Max,
}

impl Quantile {
    /// All of them.
    pub const ALL: [Quantile; 5] = [
        Quantile::P50,
        Quantile::P90,
        Quantile::P99,
        Quantile::P999,
        Quantile::Max,
    ];

    /// How many of a thousand are at most this long.
    pub fn of_a_thousand(self) -> usize {
        match self {
            Quantile::P50 => 500,
            Quantile::P90 => 900,
            Quantile::P99 => 990,
            Quantile::P999 => 999,
            Quantile::Max => 1_000,
        }
    }
}

/// A value of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measured {
    /// So many records.
    Count(u64),
    /// So long.
    Time(Duration),
    /// An ending.
    Ending(Ending),
    /// A delivery.
    Delivery(Delivery),
}

impl Measure {
    /// All of them by name.
    pub const NAMES: [(&'static str, Measure); 44] = [
        ("sent", Measure::Sent),
        ("acknowledged", Measure::Acknowledged),
        ("failed", Measure::Failed),
        ("unknown", Measure::Unknown),
        ("lost", Measure::Lost),
        ("deleted", Measure::Deleted),
        ("duplicates", Measure::Duplicates),
        ("reordered", Measure::Reordered),
        ("unwritable", Measure::Unwritable),
        ("acknowledged.p50", Measure::Latency(Quantile::P50)),
        ("acknowledged.p90", Measure::Latency(Quantile::P90)),
        ("acknowledged.p99", Measure::Latency(Quantile::P99)),
        ("acknowledged.p999", Measure::Latency(Quantile::P999)),
        ("acknowledged.max", Measure::Latency(Quantile::Max)),
        ("processed", Measure::Group(GroupMeasure::Processed)),
        ("unprocessed", Measure::Group(GroupMeasure::Unprocessed)),
        (
            "unprocessed.deleted",
            Measure::Group(GroupMeasure::UnprocessedDeleted),
        ),
        ("processed.twice", Measure::Group(GroupMeasure::Twice)),
        ("processed.most", Measure::Group(GroupMeasure::Most)),
        ("processed.together", Measure::Group(GroupMeasure::Together)),
        ("processed.places", Measure::Group(GroupMeasure::Places)),
        ("processed.reordered", Measure::Group(GroupMeasure::Reordered)),
        (
            "sink.applied",
            Measure::Group(GroupMeasure::Sink(SinkMeasure::Applied)),
        ),
        (
            "sink.missing",
            Measure::Group(GroupMeasure::Sink(SinkMeasure::Missing)),
        ),
        (
            "sink.repeated",
            Measure::Group(GroupMeasure::Sink(SinkMeasure::Repeated)),
        ),
        (
            "sink.reordered",
            Measure::Group(GroupMeasure::Sink(SinkMeasure::Reordered)),
        ),
        (
            "sink.stale",
            Measure::Group(GroupMeasure::Sink(SinkMeasure::Stale)),
        ),
        ("in_hand.most", Measure::Group(GroupMeasure::InHand)),
        ("lag.max", Measure::Group(GroupMeasure::LagMax)),
        ("records-lag-max", Measure::Group(GroupMeasure::RecordsLagMax)),
        ("rebalances", Measure::Group(GroupMeasure::Rebalances)),
        (
            "rebalances.failed",
            Measure::Group(GroupMeasure::RebalancesFailed),
        ),
        ("rebalance.max", Measure::Group(GroupMeasure::RebalanceMax)),
        ("partitions.moved", Measure::Group(GroupMeasure::PartitionsMoved)),
        ("unread.max", Measure::Group(GroupMeasure::UnreadMax)),
        ("lag.growth", Measure::Group(GroupMeasure::LagGrowth)),
        ("drained", Measure::Group(GroupMeasure::Drained)),
        ("sent.on", Measure::Group(GroupMeasure::SentOn)),
        ("delivery", Measure::Group(GroupMeasure::Delivery)),
        ("rebalance.avg", Measure::Group(GroupMeasure::RebalanceMean)),
        ("commits", Measure::Group(GroupMeasure::Commits)),
        ("commit.max", Measure::Group(GroupMeasure::CommitMax)),
        ("commit.avg", Measure::Group(GroupMeasure::CommitMean)),
        ("ending", Measure::Ending),
    ];

    /// Whether it counts something.
    pub fn is_count(self) -> bool {
        !self.is_time() && self.words().is_none()
    }

    /// Whether it measures a length of time.
    pub fn is_time(self) -> bool {
        match self {
            Measure::Unwritable | Measure::Latency(_) => true,
            Measure::Group(measure) => measure.is_time(),
            _ => false,
        }
    }

    /// What it can be, if that has names and no order.
    pub fn words(self) -> Option<Vec<(&'static str, Measured)>> {
        match self {
            Measure::Ending => {
                let each = Ending::ALL.into_iter();
                Some(each.map(|one| (one.name(), Measured::Ending(one))).collect())
            }
            Measure::Group(GroupMeasure::Delivery) => {
                let each = Delivery::ALL.into_iter();
                Some(each.map(|one| (one.name(), Measured::Delivery(one))).collect())
            }
            _ => None,
        }
    }

    /// The measure of this name.
    pub fn find(name: &str) -> Option<Self> {
        let known = Measure::NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, measure)| *measure)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let known = Measure::NAMES.iter().find(|(_, measure)| *measure == self);
        known.expect("all measures have names").0
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
