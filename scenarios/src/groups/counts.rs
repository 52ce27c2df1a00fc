//! What groups came to, in numbers.

use serde::{Deserialize, Serialize};

use ktrial_sim::Duration;

use super::{Delivery, SinkCounts, SinkMeasure};
use crate::assertion::Measured;
use crate::ledger::is_nothing;

/// What the groups of a trial came to. Each record counts once for each group that is to process it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupCounts {
    /// Records that some member has finished with: processed at least once.
    pub processed: u64,
    /// Records that were acknowledged or stand in the final log and that no member has finished with: lost without
    /// processing, unless the trial ended too early.
    pub unprocessed: u64,
    /// Of these: retention deleted them first.
    #[serde(skip_serializing_if = "is_nothing", default)]
    pub unprocessed_deleted: u64,
    /// Records that were finished with more than once.
    pub processed_twice: u64,
    /// How often the record was finished with that was finished with most often.
    pub processed_most: u64,
    /// Records that two members, or more, had in work at the same time and finished with.
    pub processed_together: u64,
    /// How many members had one record in work at the same time, at most.
    pub processed_places: u64,
    /// Records that were finished with for the first time when a later one of their key already was.
    pub processed_reordered: u64,
    /// What their sinks came to, if there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sink: Option<SinkCounts>,
    /// The most records that one application had in hand at any time, of those that have a worker: returned by polls,
    /// not finished with, and not given up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub in_hand_most: Option<u64>,
    /// The largest LAG of a partition that `kafka-consumer-groups --describe` could have shown at any time.
    pub lag_max: u64,
    /// The largest `records-lag-max` of any member.
    pub records_lag_max: u64,
    /// `rebalance-total`, of all members together.
    pub rebalances: u64,
    /// `failed-rebalance-total`, of all members together.
    pub rebalances_failed: u64,
    /// The largest `rebalance-latency-max` of any member, in nanoseconds of simulated time.
    pub rebalance_max_ns: u64,
    /// Partitions that another member was assigned than the one that had owned them last.
    pub partitions_moved: u64,
    /// The longest time for which a partition had something to be read and no member was given any of it, in
    /// nanoseconds of simulated time.
    pub unread_max_ns: u64,
    /// By how many records a minute LAG grew while producers sent, all partitions together; 0 if it fell.
    pub lag_growth: u64,
    /// From the first assignment until LAG was nothing for the first time, in nanoseconds of simulated time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub drained_ns: Option<u64>,
    /// Records of which a copy stands in another topic.
    pub sent_on: u64,
    /// `rebalance-latency-total`, of all members together, in nanoseconds of simulated time.
    pub rebalance_total_ns: u64,
    /// `commit-total`, of all members together: OffsetCommits that were answered.
    pub commits: u64,
    /// The largest `commit-latency-max` of any member, in nanoseconds.
    pub commit_max_ns: u64,
    /// How long the answers to all commits took together, in nanoseconds.
    pub commit_total_ns: u64,
}

/// Something that is measured of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupMeasure {
    /// [`GroupCounts::processed`]
    Processed,
    /// [`GroupCounts::unprocessed`]
    Unprocessed,
    /// [`GroupCounts::unprocessed_deleted`]
    UnprocessedDeleted,
    /// [`GroupCounts::processed_twice`]
    Twice,
    /// [`GroupCounts::processed_most`]
    Most,
    /// [`GroupCounts::processed_together`]
    Together,
    /// [`GroupCounts::processed_places`]
    Places,
    /// [`GroupCounts::processed_reordered`]
    Reordered,
    /// [`GroupCounts::sink`]
    Sink(SinkMeasure),
    /// [`GroupCounts::in_hand_most`]
    InHand,
    /// [`GroupCounts::lag_max`]
    LagMax,
    /// [`GroupCounts::records_lag_max`]
    RecordsLagMax,
    /// [`GroupCounts::rebalances`]
    Rebalances,
    /// [`GroupCounts::rebalances_failed`]
    RebalancesFailed,
    /// [`GroupCounts::rebalance_max_ns`]
    RebalanceMax,
    /// [`GroupCounts::partitions_moved`]
    PartitionsMoved,
    /// [`GroupCounts::unread_max_ns`]
    UnreadMax,
    /// [`GroupCounts::lag_growth`]
    LagGrowth,
    /// [`GroupCounts::drained_ns`]
    Drained,
    /// [`GroupCounts::sent_on`]
    SentOn,
    /// [`GroupCounts::delivery`]
    Delivery,
    /// [`GroupCounts::rebalance_mean`]
    RebalanceMean,
    /// [`GroupCounts::commits`]
    Commits,
    /// [`GroupCounts::commit_max_ns`]
    CommitMax,
    /// [`GroupCounts::commit_mean`]
    CommitMean,
}

impl GroupMeasure {
    /// Whether it measures a length of time.
    pub fn is_time(self) -> bool {
        use GroupMeasure::{CommitMax, CommitMean, Drained, RebalanceMax, RebalanceMean, UnreadMax};
        matches!(
            self,
            RebalanceMax | RebalanceMean | CommitMax | CommitMean | UnreadMax | Drained
        )
    }
}

impl GroupCounts {
    /// How long rebalances took on average; zero without any.
    pub fn rebalance_mean(&self) -> Duration {
        Duration(
            self.rebalance_total_ns
                .checked_div(self.rebalances)
                .unwrap_or_default(),
        )
    }

    /// How long the answers to commits took on average; zero without any.
    pub fn commit_mean(&self) -> Duration {
        Duration(self.commit_total_ns.checked_div(self.commits).unwrap_or_default())
    }

    /// Whether records were left out or repeated.
    pub fn delivery(&self) -> Delivery {
        Delivery::of(self.unprocessed, self.processed_twice)
    }

    /// What is measured; none for what did not come about.
    pub fn measured(&self, measure: GroupMeasure) -> Option<Measured> {
        let time = |nanos| Some(Measured::Time(Duration(nanos)));
        Some(Measured::Count(match measure {
            GroupMeasure::Processed => self.processed,
            GroupMeasure::Unprocessed => self.unprocessed,
            GroupMeasure::UnprocessedDeleted => self.unprocessed_deleted,
            GroupMeasure::Twice => self.processed_twice,
            GroupMeasure::Most => self.processed_most,
            GroupMeasure::Together => self.processed_together,
            GroupMeasure::Places => self.processed_places,
            GroupMeasure::Reordered => self.processed_reordered,
            GroupMeasure::Sink(measure) => self.sink.map_or(0, |sink| sink.measured(measure)),
            GroupMeasure::InHand => return self.in_hand_most.map(Measured::Count),
            GroupMeasure::LagMax => self.lag_max,
            GroupMeasure::RecordsLagMax => self.records_lag_max,
            GroupMeasure::Rebalances => self.rebalances,
            GroupMeasure::RebalancesFailed => self.rebalances_failed,
            GroupMeasure::RebalanceMax => return time(self.rebalance_max_ns),
            GroupMeasure::PartitionsMoved => self.partitions_moved,
            GroupMeasure::UnreadMax => return time(self.unread_max_ns),
            GroupMeasure::LagGrowth => self.lag_growth,
            GroupMeasure::Drained => return self.drained_ns.and_then(time),
            GroupMeasure::SentOn => self.sent_on,
            GroupMeasure::Delivery => return Some(Measured::Delivery(self.delivery())),
            GroupMeasure::Commits => self.commits,
            GroupMeasure::RebalanceMean => return Some(Measured::Time(self.rebalance_mean())),
            GroupMeasure::CommitMax => return time(self.commit_max_ns),
            GroupMeasure::CommitMean => return Some(Measured::Time(self.commit_mean())),
        }))
    }

    /// Adds what other groups, or other trials, came to.
    pub fn add(&mut self, other: &GroupCounts) {
        self.processed += other.processed;
        self.unprocessed += other.unprocessed;
        self.unprocessed_deleted += other.unprocessed_deleted;
        self.processed_twice += other.processed_twice;
        self.processed_most = self.processed_most.max(other.processed_most);
        self.processed_together += other.processed_together;
        self.processed_places = self.processed_places.max(other.processed_places);
        self.processed_reordered += other.processed_reordered;
        if let Some(sink) = &other.sink {
            self.sink.get_or_insert_default().add(sink);
        }
        self.in_hand_most = self.in_hand_most.max(other.in_hand_most);
        self.lag_max = self.lag_max.max(other.lag_max);
        self.records_lag_max = self.records_lag_max.max(other.records_lag_max);
        self.rebalances += other.rebalances;
        self.rebalances_failed += other.rebalances_failed;
        self.rebalance_max_ns = self.rebalance_max_ns.max(other.rebalance_max_ns);
        self.partitions_moved += other.partitions_moved;
        self.unread_max_ns = self.unread_max_ns.max(other.unread_max_ns);
        self.lag_growth = self.lag_growth.max(other.lag_growth);
        self.drained_ns = self.drained_ns.max(other.drained_ns);
        self.sent_on += other.sent_on;
        self.rebalance_total_ns += other.rebalance_total_ns;
        self.commits += other.commits;
        self.commit_max_ns = self.commit_max_ns.max(other.commit_max_ns);
        self.commit_total_ns += other.commit_total_ns;
    }
}
