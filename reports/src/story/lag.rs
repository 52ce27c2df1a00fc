//! Groups over time, by Kafka's own metrics.

use ktrial_models::ids::GroupId;
use ktrial_scenarios::GroupMetrics;
use ktrial_sim::{Duration, Time};
use serde::Serialize;

use super::words::{Moment, View};
use crate::numbers::{count, time};
use crate::table::{Align, Table};

/// So many instants of a trial are told.
const INSTANTS: u64 = 12;

/// A group at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupInstant {
    /// When, in microseconds since the clients' start.
    #[serde(rename = "at_us")]
    pub at: Moment,
    /// Its name.
    pub group: String,
    /// LAG of all its partitions together.
    pub lag: u64,
    /// `records-lag-max`, the most of its members.
    pub records_lag_max: Option<u64>,
    /// `rebalance-total`, of all its members together, over restarts too.
    pub rebalances: u64,
}

/// A partition of a group, as `kafka-consumer-groups --describe` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DescribedOffset {
    /// GROUP.
    pub group: String,
    /// TOPIC and PARTITION.
    pub partition: String,
    /// CURRENT-OFFSET.
    pub current_offset: u64,
    /// LOG-END-OFFSET: up to where it may be read.
    pub log_end_offset: Option<u64>,
    /// LAG.
    pub lag: Option<u64>,
}

/// A member's metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DescribedMember {
    /// Its group.
    pub group: String,
    /// Its name.
    pub client: String,
    /// `records-lag-max`
    pub records_lag_max: Option<u64>,
    /// `rebalance-total`
    pub rebalance_total: u64,
    /// `failed-rebalance-total`
    pub failed_rebalance_total: u64,
    /// `rebalance-latency-avg`, in milliseconds.
    pub rebalance_latency_avg: Option<u64>,
    /// `rebalance-latency-max`, in milliseconds.
    pub rebalance_latency_max: Option<u64>,
    /// `last-rebalance-seconds-ago`; -1: never.
    pub last_rebalance_seconds_ago: i64,
    /// `commit-total`
    pub commit_total: u64,
    /// `commit-latency-avg`, in microseconds.
    #[serde(rename = "commit_latency_avg_us")]
    pub commit_latency_avg: Option<u64>,
    /// `commit-latency-max`, in microseconds.
    #[serde(rename = "commit_latency_max_us")]
    pub commit_latency_max: Option<u64>,
}

/// Groups and their members at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DescribedGroups {
    /// Partitions with a committed position.
    pub offsets: Vec<DescribedOffset>,
    /// Members.
    pub members: Vec<DescribedMember>,
}

/// The metrics as they are at some instants, in order.
fn at_instants(view: View<'_>, instants: &[Time], mut each: impl FnMut(Time, &GroupMetrics)) {
    let mut metrics = GroupMetrics::new(&view.arm.resolved);
    let mut told = view.detailed.story.told().iter().peekable();
    for instant in instants {
        while let Some((at, told)) = told.next_if(|(at, _)| at <= instant) {
            if let ktrial_scenarios::Told::Note(node, _, note) = told {
                metrics.note(&view.detailed.layout, *at, *node, note);
            }
        }
        each(*instant, &metrics);
    }
}

fn groups(view: View<'_>) -> impl Iterator<Item = (GroupId, String)> {
    let names = view.arm.resolved.cluster.groups.names.iter();
    (0..).map(GroupId).zip(names.cloned())
}

/// Every group at some instants of the trial, evenly spread.
pub fn over_time(view: View<'_>) -> Vec<GroupInstant> {
    if view.detailed.groups.is_empty() {
        return Vec::new();
    }
    let trial = &view.detailed.trial;
    let whole = trial.ended.since(trial.clients_started);
    let instants = (1..=INSTANTS).map(|number| trial.clients_started + Duration(whole.0 / INSTANTS * number));
    let instants: Vec<Time> = instants.collect();
    let mut lines = Vec::new();
    at_instants(view, &instants, |at, metrics| {
        for (group, name) in groups(view) {
            let members = metrics.members().iter().filter(|member| member.group == group);
            lines.push(GroupInstant {
                at: view.moment(at),
                group: name,
                lag: metrics.lag(group),
                records_lag_max: members.filter_map(|member| member.records_lag_max(at)).max(),
                rebalances: metrics.counts(group).rebalances,
            });
        }
    });
    lines
}

/// Groups `after` the clients' start; none if there are none.
pub fn describe(view: View<'_>, after: Duration) -> Option<DescribedGroups> {
    if view.detailed.groups.is_empty() {
        return None;
    }
    let instant = view.detailed.trial.clients_started + after;
    let mut described = DescribedGroups::default();
    at_instants(view, &[instant], |at, metrics| {
        for (group, name) in groups(view) {
            described
                .offsets
                .extend(
                    metrics
                        .lags(group)
                        .map(|(partition, committed, end)| DescribedOffset {
                            group: name.clone(),
                            partition: view.partition(partition),
                            current_offset: committed.0,
                            log_end_offset: end.map(|end| end.0),
                            lag: end.map(|end| end.0.saturating_sub(committed.0)),
                        }),
                );
        }
        let names: Vec<String> = groups(view).map(|(_, name)| name).collect();
        let members = view.detailed.layout.consumers().zip(metrics.members());
        described.members = members
            .map(|(node, member)| DescribedMember {
                group: names[usize::from(member.group.0)].clone(),
                client: view.name(node).to_owned(),
                records_lag_max: member.records_lag_max(at),
                rebalance_total: member.rebalance_total,
                failed_rebalance_total: member.failed_rebalance_total,
                rebalance_latency_avg: member.rebalance_latency_avg(at).map(|span| span.as_millis()),
                rebalance_latency_max: member.rebalance_latency_max(at).map(|span| span.as_millis()),
                commit_total: member.commit_total,
                commit_latency_avg: member.commit_latency_avg(at).map(|span| span.0 / 1_000),
                commit_latency_max: member.commit_latency_max(at).map(|span| span.0 / 1_000),
                last_rebalance_seconds_ago: member
                    .last_rebalance
                    .map_or(-1, |last| (at.since(last).as_millis() / 1_000) as i64),
            })
            .collect();
    });
    Some(described)
}

fn or_dash(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), count)
}

fn time_or_dash(value: Option<Duration>) -> String {
    value.map_or_else(|| "-".to_owned(), time)
}

/// Groups over time as a table.
pub fn over_time_table(instants: &[GroupInstant]) -> String {
    let mut table = Table::new([
        ("at", Align::Right),
        ("group", Align::Left),
        ("LAG", Align::Right),
        ("records-lag-max", Align::Right),
        ("rebalances", Align::Right),
    ]);
    for instant in instants {
        table.row([
            instant.at.to_string(),
            instant.group.clone(),
            count(instant.lag),
            or_dash(instant.records_lag_max),
            count(instant.rebalances),
        ]);
    }
    table.render()
}

impl DescribedGroups {
    /// The columns of `kafka-consumer-groups --describe`, and members with their metrics.
    pub fn text(&self) -> String {
        let mut offsets = Table::new([
            ("GROUP", Align::Left),
            ("PARTITION", Align::Left),
            ("CURRENT-OFFSET", Align::Right),
            ("LOG-END-OFFSET", Align::Right),
            ("LAG", Align::Right),
        ]);
        for offset in &self.offsets {
            offsets.row([
                offset.group.clone(),
                offset.partition.clone(),
                offset.current_offset.to_string(),
                offset
                    .log_end_offset
                    .map_or_else(|| "-".to_owned(), |end| end.to_string()),
                offset.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
            ]);
        }
        let mut members = Table::new([
            ("group", Align::Left),
            ("member", Align::Left),
            ("records-lag-max", Align::Right),
            ("rebalance-total", Align::Right),
            ("failed-rebalance-total", Align::Right),
            ("rebalance-latency-avg", Align::Right),
            ("rebalance-latency-max", Align::Right),
            ("last-rebalance-seconds-ago", Align::Right),
            ("commit-total", Align::Right),
            ("commit-latency-avg", Align::Right),
            ("commit-latency-max", Align::Right),
        ]);
        for member in &self.members {
            members.row([
                member.group.clone(),
                member.client.clone(),
                or_dash(member.records_lag_max),
                count(member.rebalance_total),
                count(member.failed_rebalance_total),
                time_or_dash(member.rebalance_latency_avg.map(Duration::millis)),
                time_or_dash(member.rebalance_latency_max.map(Duration::millis)),
                member.last_rebalance_seconds_ago.to_string(),
                count(member.commit_total),
                time_or_dash(member.commit_latency_avg.map(Duration::micros)),
                time_or_dash(member.commit_latency_max.map(Duration::micros)),
            ]);
        }
        format!("{}\n{}", offsets.render(), members.render())
    }
}
