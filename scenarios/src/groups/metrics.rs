//! What the metrics of members, and the tool that describes groups, would show at any time.
//!
//! | here | Kafka's |
//! |---|---|
//! | `rebalance_total`, `failed_rebalance_total`, `rebalance_latency_avg`, `_max`, `_total`, `last_rebalance` | `consumer-coordinator-metrics`: `rebalance-total`, `failed-rebalance-total`, `rebalance-latency-avg`, `-max`, `-total`, `last-rebalance-seconds-ago` |
//! | `commit_total`, `commit_latency_avg`, `_max` | the same group: `commit-total`, `commit-latency-avg`, `-max`: of every OffsetCommit that was answered, with an error or not |
//! | `records_lag`, `records_lag_max` | `consumer-fetch-manager-metrics`: `records-lag` of a partition, `records-lag-max` |
//! | `lags` | `kafka-consumer-groups --describe`: LOG-END-OFFSET (of what may be read) less CURRENT-OFFSET (what is committed) |
//!
//! Counts begin anew with each process. Kafka keeps two windows of 30 s (`metrics.num.samples`,
//! `metrics.sample.window.ms`): averages are over those; maxima are forgotten after one to two of them, here they are
//! those of the last 60 s. Latencies of rebalances are by simulated time; of commits by the member's wall clock.
//!
//! What a rebalance is depends on the protocol. Of the classic one it begins when the member joins and ends with its
//! assignment, however often it fails between. Of the consumer protocol it begins when the member learns of another
//! assignment than it has, and ends when it has let go of what is gone and taken over what is new; it fails with each
//! heartbeat that is answered with an error meanwhile.

use std::collections::{BTreeMap, VecDeque};

use ktrial_models::ids::{GroupId, LeaderEpoch, Offset, PartitionId, PartitionMap};
use ktrial_models::notes::{ClientNote, GroupNote, LeaderNote, Note, RebalanceStep};
use ktrial_sim::{Duration, NodeId, Time};

use super::GroupCounts;
use super::course::Course;
use crate::resolved::{Layout, Resolved};

/// How long a maximum is remembered.
const WINDOW: Duration = Duration::secs(60);

/// The largest of the values of the last minute: what is smaller than a later one is of no use.
#[derive(Clone, Debug, Default)]
struct Recent(VecDeque<(Time, u64)>);

impl Recent {
    fn record(&mut self, at: Time, value: u64) {
        while self.0.back().is_some_and(|(_, before)| *before <= value) {
            self.0.pop_back();
        }
        self.0.push_back((at, value));
    }

    fn most(&self, now: Time) -> Option<u64> {
        let known = self.0.iter().find(|(at, _)| now.since(*at) < WINDOW);
        known.map(|(_, value)| *value)
    }
}

/// The mean of the values of up to two windows (`Avg` over `SampledStat`).
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    /// When each began, the sum of its values and how many they are.
    windows: [(Time, u64, u64); 2],
    current: usize,
}

impl Mean {
    const LENGTH: Duration = Duration::secs(30);

    fn record(&mut self, at: Time, value: u64) {
        let (began, _, count) = self.windows[self.current];
        if count == 0 {
            self.windows[self.current].0 = at;
        } else if at.since(began) >= Self::LENGTH {
            self.current = 1 - self.current;
            self.windows[self.current] = (at, 0, 0);
        }
        let (_, sum, count) = &mut self.windows[self.current];
        *sum += value;
        *count += 1;
    }

    fn of(&self, now: Time) -> Option<u64> {
        let known = self
            .windows
            .iter()
            .filter(|(began, ..)| now.since(*began) < WINDOW);
        let (sum, count) = known.fold((0, 0), |(sum, count), (_, more, others)| {
            (sum + more, count + others)
        });
        (count > 0).then(|| sum / count)
    }
}

/// How long something took: the largest of the last minute, and the mean.
#[derive(Clone, Debug, Default)]
struct Latencies {
    recent: Recent,
    mean: Mean,
}

impl Latencies {
    fn record(&mut self, at: Time, latency: Duration) {
        self.recent.record(at, latency.0);
        self.mean.record(at, latency.0);
    }

    fn most(&self, now: Time) -> Option<Duration> {
        self.recent.most(now).map(Duration)
    }

    fn mean(&self, now: Time) -> Option<Duration> {
        self.mean.of(now).map(Duration)
    }
}

/// The metrics of one member's process.
#[derive(Clone, Debug)]
pub struct MemberMetrics {
    /// Its group.
    pub group: GroupId,
    /// Rebalances that ended with an assignment.
    pub rebalance_total: u64,
    /// Attempts to join that failed.
    pub failed_rebalance_total: u64,
    /// How long all of them took together.
    pub rebalance_latency_total: Duration,
    /// When the last rebalance ended.
    pub last_rebalance: Option<Time>,
    /// OffsetCommits that were answered.
    pub commit_total: u64,
    /// How many records of each partition it had not read, as far as its last answer told.
    pub records_lag: BTreeMap<PartitionId, u64>,
    since: Option<Time>,
    rebalance_latencies: Latencies,
    commit_latencies: Latencies,
    lags: Recent,
}

impl MemberMetrics {
    fn new(group: GroupId) -> Self {
        MemberMetrics {
            group,
            rebalance_total: 0,
            failed_rebalance_total: 0,
            rebalance_latency_total: Duration::ZERO,
            last_rebalance: None,
            commit_total: 0,
            records_lag: BTreeMap::new(),
            since: None,
            rebalance_latencies: Latencies::default(),
            commit_latencies: Latencies::default(),
            lags: Recent::default(),
        }
    }

    /// The longest rebalance of the last minute.
    pub fn rebalance_latency_max(&self, now: Time) -> Option<Duration> {
        self.rebalance_latencies.most(now)
    }

    /// How long rebalances took on average.
    pub fn rebalance_latency_avg(&self, now: Time) -> Option<Duration> {
        self.rebalance_latencies.mean(now)
    }

    /// How long the answer to a commit took at most in the last minute.
    pub fn commit_latency_max(&self, now: Time) -> Option<Duration> {
        self.commit_latencies.most(now)
    }

    /// How long answers to commits took on average.
    pub fn commit_latency_avg(&self, now: Time) -> Option<Duration> {
        self.commit_latencies.mean(now)
    }

    /// The largest lag of any partition in the last minute.
    pub fn records_lag_max(&self, now: Time) -> Option<u64> {
        self.lags.most(now)
    }
}

/// What one group has committed, and what it came to so far.
#[derive(Clone, Debug, Default)]
struct Watched {
    committed: PartitionMap<Offset>,
    counts: GroupCounts,
    course: Course,
}

/// See the module. Without groups it is empty and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct GroupMetrics {
    members: Vec<MemberMetrics>,
    groups: Vec<Watched>,
    ends: Ends,
    /// When something was told last.
    now: Time,
}

/// How far each partition may be read, by the newest leader that told.
#[derive(Clone, Debug, Default)]
struct Ends(PartitionMap<(LeaderEpoch, Offset)>);

impl Ends {
    fn of(&self, partition: PartitionId) -> Option<Offset> {
        self.0.get(partition).map(|(_, end)| *end)
    }

    /// LAG of a group that has committed this position; none is known before a leader tells of the partition.
    fn lag(&self, partition: PartitionId, committed: Offset) -> u64 {
        let end = self.of(partition).unwrap_or(committed);
        end.0.saturating_sub(committed.0)
    }
}

impl GroupMetrics {
    /// For a trial.
    pub fn new(resolved: &Resolved) -> Self {
        let members = resolved.consumers.iter();
        GroupMetrics {
            members: members.map(|member| MemberMetrics::new(member.group)).collect(),
            groups: vec![Watched::default(); resolved.cluster.groups.names.len()],
            ends: Ends::default(),
            now: Time::ZERO,
        }
    }

    /// Takes in what a node told.
    #[inline]
    pub fn note(&mut self, layout: &Layout, at: Time, node: NodeId, note: &Note) {
        if self.groups.is_empty() {
            return;
        }
        self.now = at;
        match note {
            Note::Client(ClientNote::Sent { .. }) => self.sent(at),
            Note::Client(note) => self.client(layout, at, node, note),
            Note::Leader(partition, LeaderNote::HighWatermark(moved)) => {
                self.readable(*partition, moved.epoch, moved.to);
            }
            Note::Group(group, note) => {
                if let GroupNote::CommitDurable { offsets } = &**note {
                    for (partition, committed) in offsets {
                        let committed = committed.offset;
                        self.groups[usize::from(group.0)]
                            .committed
                            .insert(*partition, committed);
                        self.lagged(*partition);
                    }
                    self.drained(at, *group);
                }
            }
            _ => {}
        }
    }

    fn client(&mut self, layout: &Layout, at: Time, node: NodeId, note: &ClientNote) {
        let index = layout.consumer_index(node);
        let Some(member) = index.and_then(|index| self.members.get_mut(index)) else {
            return;
        };
        let Watched { counts, course, .. } = &mut self.groups[usize::from(member.group.0)];
        match note {
            ClientNote::Started => *member = MemberMetrics::new(member.group),
            ClientNote::Rebalance(RebalanceStep::Begins) => member.since = Some(at),
            ClientNote::Rebalance(RebalanceStep::Fails) => {
                member.failed_rebalance_total += 1;
                counts.rebalances_failed += 1;
            }
            ClientNote::Rebalance(RebalanceStep::Ends) => {
                let latency = at.since(member.since.take().unwrap_or(at));
                member.rebalance_latencies.record(at, latency);
                member.rebalance_total += 1;
                member.rebalance_latency_total = member.rebalance_latency_total.saturating_add(latency);
                member.last_rebalance = Some(at);
                counts.rebalances += 1;
                counts.rebalance_total_ns += latency.0;
                counts.rebalance_max_ns = counts.rebalance_max_ns.max(latency.0);
            }
            ClientNote::Assigned { added, .. } => course.assigned(at, node, added),
            ClientNote::CommitAnswered(latency) => {
                member.commit_latencies.record(at, *latency);
                member.commit_total += 1;
                counts.commits += 1;
                counts.commit_total_ns += latency.0;
                counts.commit_max_ns = counts.commit_max_ns.max(latency.0);
            }
            ClientNote::Polled {
                partition,
                lag,
                from,
                count,
                ..
            } => {
                let end = self.ends.of(*partition);
                course.polled(at, *partition, from.plus(u64::from(*count)), end);
                member.records_lag.insert(*partition, *lag);
                member.lags.record(at, *lag);
                counts.records_lag_max = counts.records_lag_max.max(*lag);
            }
            ClientNote::Revoked(partitions) | ClientNote::Lost(partitions) => {
                for partition in partitions {
                    member.records_lag.remove(partition);
                }
            }
            _ => {}
        }
    }

    fn readable(&mut self, partition: PartitionId, epoch: LeaderEpoch, to: Offset) {
        let known = self.ends.0.get(partition).map_or(epoch, |(known, _)| *known);
        if epoch >= known {
            self.ends.0.insert(partition, (epoch, to));
            self.lagged(partition);
            for group in &mut self.groups {
                group.course.readable(self.now, partition, to);
            }
        }
    }

    /// A group has committed: what is left of each of its partitions?
    fn drained(&mut self, at: Time, group: GroupId) {
        let Watched {
            committed, course, ..
        } = &mut self.groups[usize::from(group.0)];
        course.committed(at, |partition| {
            match committed.get(partition) {
                Some(from) => Some(self.ends.lag(partition, *from)),
                // Nothing is committed, and nothing is there.
                None => self
                    .ends
                    .of(partition)
                    .is_none_or(|end| end == Offset(0))
                    .then_some(0),
            }
        });
    }

    /// A producer sends.
    fn sent(&mut self, at: Time) {
        for Watched {
            committed, course, ..
        } in &mut self.groups
        {
            course.sent(at, || {
                let lags = committed.iter();
                let lags = lags.map(|(partition, from)| self.ends.lag(partition, *from));
                lags.reduce(|one, other| one + other)
            });
        }
    }

    /// The lag of a partition may have grown.
    fn lagged(&mut self, partition: PartitionId) {
        for group in &mut self.groups {
            if let Some(committed) = group.committed.get(partition) {
                let lag = self.ends.lag(partition, *committed);
                group.counts.lag_max = group.counts.lag_max.max(lag);
            }
        }
    }

    /// What was counted of a group so far; what its members did with records is not among it.
    pub fn counts(&self, group: GroupId) -> GroupCounts {
        let watched = &self.groups[usize::from(group.0)];
        let mut counts = watched.counts;
        watched.course.count(self.now, &mut counts);
        counts
    }

    /// Partitions for which a group has committed a position: CURRENT-OFFSET, LOG-END-OFFSET.
    pub fn lags(&self, group: GroupId) -> impl Iterator<Item = (PartitionId, Offset, Option<Offset>)> {
        let committed = self.groups[usize::from(group.0)].committed.iter();
        committed.map(|(partition, committed)| (partition, *committed, self.ends.of(partition)))
    }

    /// The LAG of all partitions of a group together.
    pub fn lag(&self, group: GroupId) -> u64 {
        let committed = self.groups[usize::from(group.0)].committed.iter();
        committed
            .map(|(partition, from)| self.ends.lag(partition, *from))
            .sum()
    }

    /// All members, in the order of their machines.
    pub fn members(&self) -> &[MemberMetrics] {
        &self.members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_over_one_to_two_windows_of_half_a_minute() {
        let at = |seconds: u64| Time((100 + seconds) * 1_000_000_000);
        let mut mean = Mean::default();
        assert_eq!(mean.of(at(0)), None);
        for (second, value) in [(0, 9), (10, 3), (29, 6), (35, 10)] {
            mean.record(at(second), value);
        }
        assert_eq!(mean.of(at(40)), Some(7));
        assert_eq!(mean.of(at(60)), Some(10), "the first window is 60 s old");
        mean.record(at(65), 4);
        assert_eq!(mean.of(at(66)), Some(7));
        assert_eq!(mean.of(at(200)), None);
    }

    #[test]
    fn a_maximum_is_forgotten_after_a_minute_and_the_next_largest_counts() {
        let at = |seconds: u64| Time(seconds * 1_000_000_000);
        let mut recent = Recent::default();
        for (second, value) in [(0, 9), (10, 3), (20, 5), (30, 1)] {
            recent.record(at(second), value);
        }
        assert_eq!(recent.most(at(31)), Some(9));
        assert_eq!(recent.most(at(61)), Some(5));
        assert_eq!(recent.most(at(85)), Some(1));
        assert_eq!(recent.most(at(120)), None);
    }
}
