//! Members of the consumer protocol (`AsyncKafkaConsumer`) at the bench.

mod applications;
mod commits;
mod errors;
mod listener;
mod membership;
mod threads;
mod told;

use ktrial_sim::Duration;

use super::bench::*;
use crate::protocol::{ConsumerGroupHeartbeatRequest, Request};
use crate::specification::{ApplicationSpecification, CommitStyle, OnRevoked};

/// A consumer with these settings besides `group.protocol=consumer`.
fn modern(settings: &str) -> Bench {
    modern_of(settings, application())
}

fn modern_of(settings: &str, application: ApplicationSpecification) -> Bench {
    bench_of(&format!("group.protocol=consumer\n{settings}"), application)
}

/// No automatic commit but those before reconciliations.
const RARELY: &str = "auto.commit.interval.ms=600000";

fn committing(commit: CommitStyle) -> ApplicationSpecification {
    ApplicationSpecification {
        commit,
        ..application()
    }
}

/// An application that works so long on each record.
fn working(processing: Duration) -> ApplicationSpecification {
    ApplicationSpecification {
        processing: (processing, processing),
        ..application()
    }
}

/// The same with a listener, which does nothing but is waited for.
fn listening(application: ApplicationSpecification) -> ApplicationSpecification {
    ApplicationSpecification {
        on_revoked: OnRevoked::Note,
        ..application
    }
}

/// The heartbeats since the last time, and when they came.
fn heartbeats(bench: &mut Bench) -> Vec<(u64, ConsumerGroupHeartbeatRequest)> {
    let taken = bench.take("ConsumerGroupHeartbeat");
    let heartbeat = |(at, request): (Duration, Request)| match request {
        Request::ConsumerGroupHeartbeat(request) => (at.as_millis(), *request),
        other => panic!("{other:?} is no heartbeat"),
    };
    taken.into_iter().map(heartbeat).collect()
}

fn epochs(bench: &mut Bench) -> Vec<i32> {
    heartbeats(bench)
        .iter()
        .map(|(_, heartbeat)| heartbeat.member_epoch.0)
        .collect()
}

/// What the heartbeats said the member owns.
fn acknowledged(bench: &mut Bench) -> Vec<Vec<u32>> {
    let owned = |(_, heartbeat): (u64, ConsumerGroupHeartbeatRequest)| {
        let owned = heartbeat.owned?;
        Some(owned.iter().map(|partition| partition.0).collect())
    };
    heartbeats(bench).into_iter().filter_map(owned).collect()
}

/// When the commits came, in milliseconds.
fn commits(bench: &mut Bench) -> Vec<u64> {
    let taken = bench.take("OffsetCommit");
    taken.iter().map(|(at, _)| at.as_millis()).collect()
}

/// The member epochs of the commits.
fn commit_epochs(bench: &mut Bench) -> Vec<i32> {
    let epoch = |(_, request): &(Duration, Request)| match request {
        Request::OffsetCommit(request) => request.generation.0,
        other => panic!("{other:?} is no commit"),
    };
    bench.take("OffsetCommit").iter().map(epoch).collect()
}

fn gaps(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}
