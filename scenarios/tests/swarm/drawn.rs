//! A scenario drawn from a seed: a cluster, settings, clients with their applications, faults.

use std::fmt::Write;

use ktrial_sim::{Chance, Sequence};

/// Draws and writes.
struct Draw {
    sequence: Sequence,
    text: String,
}

const ASSIGNORS: [&str; 4] = [
    "RangeAssignor",
    "RoundRobinAssignor",
    "StickyAssignor",
    "CooperativeStickyAssignor",
];

const FAULTS: [&str; 15] = [
    "kill",
    "power_off",
    "lose_disk",
    "pause",
    "stop",
    "isolate",
    "isolate_out",
    "isolate_in",
    "cut",
    "cut_one_way",
    "reset",
    "slow",
    "skew",
    "drift",
    "slow_disk",
];

impl Draw {
    fn between(&mut self, low: u64, high: u64) -> u64 {
        self.sequence.between(low, high)
    }

    /// True in so many of a hundred.
    fn happens(&mut self, percent: u64) -> bool {
        self.sequence.below(100) < percent
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.sequence.below(of.len() as u64) as usize]
    }

    fn say(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("writing to a string");
    }

    /// Some of these settings, each with one of its values.
    fn settings(&mut self, percent: u64, known: &[(&str, &[&str])], fixed: &[(&str, String)]) -> String {
        let mut settings: Vec<String> = fixed
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        for (name, values) in known {
            if self.happens(percent) {
                let value = self.one(values);
                settings.push(format!("{name}: {value}"));
            }
        }
        format!("{{{}}}", settings.join(", "))
    }

    /// Says which nodes there are; how many of them are brokers.
    fn cluster(&mut self) -> u64 {
        let brokers = self.one(&[1, 2, 3, 3, 3, 4, 5]);
        let combined = self.happens(20);
        let controllers = match combined {
            true if brokers >= 3 => 3,
            true => 1,
            false => self.one(&[1, 3, 3, 3, 5]),
        };
        let levels = self.one(&[
            "",
            "",
            "profile: upgraded",
            "features: {eligible.leader.replicas.version: 0}",
        ]);
        self.say(&format!(
            "cluster:\n  brokers: {brokers}\n  controllers: {controllers}\n  combined: {combined}"
        ));
        if !levels.is_empty() {
            self.say(&format!("  {levels}"));
        }
        let known: [(&str, &[&str]); 11] = [
            ("replica.lag.time.max.ms", &["5000", "10000"]),
            ("broker.session.timeout.ms", &["4000", "18000"]),
            ("unclean.leader.election.enable", &["true"]),
            ("controlled.shutdown.enable", &["false"]),
            ("group.initial.rebalance.delay.ms", &["0"]),
            ("leader.imbalance.check.interval.seconds", &["5", "30"]),
            ("num.replica.fetchers", &["2"]),
            ("log.initial.task.delay.ms", &["1000"]),
            ("log.retention.check.interval.ms", &["500", "2000"]),
            ("log.flush.interval.messages", &["1", "10"]),
            ("offsets.topic.num.partitions", &["1", "10"]),
        ];
        let copies = match self.happens(20) {
            true => 1,
            false => brokers.min(3),
        };
        let settings = self.settings(
            25,
            &known,
            &[("offsets.topic.replication.factor", copies.to_string())],
        );
        self.say(&format!("settings:\n  broker: {settings}"));
        brokers
    }

    fn topic(&mut self, brokers: u64) {
        let factor = self.between(1, brokers.min(3));
        let in_sync = self.between(1, factor);
        let partitions = self.between(1, 4);
        let known: [(&str, &[&str]); 5] = [
            ("unclean.leader.election.enable", &["true", "false"]),
            ("flush.messages", &["1"]),
            ("retention.ms", &["1000", "5000"]),
            ("retention.bytes", &["5000"]),
            ("segment.ms", &["500", "3000"]),
        ];
        let config = self.settings(20, &known, &[("min.insync.replicas", in_sync.to_string())]);
        self.say(&format!(
            "topics:\n  orders: {{partitions: {partitions}, replication.factor: {factor}, config: {config}}}"
        ));
    }

    fn producers(&mut self) {
        let acks = self.one(&["0", "1", "all", "all", "all"]);
        let idempotent = acks == "all" && self.happens(70);
        let known: [(&str, &[&str]); 4] = [
            ("max.in.flight.requests.per.connection", &["1", "2", "5"]),
            ("linger.ms", &["0", "20", "200"]),
            ("batch.size", &["0", "500"]),
            ("retries", &["1", "5"]),
        ];
        let mut fixed = vec![
            ("acks", acks.to_owned()),
            ("enable.idempotence", idempotent.to_string()),
        ];
        if self.happens(30) {
            fixed.push(("request.timeout.ms", self.one(&["2000", "5000"]).to_owned()));
            fixed.push(("delivery.timeout.ms", self.one(&["10000", "30000"]).to_owned()));
        }
        let settings = self.settings(30, &known, &fixed);
        let (rate, keys) = (self.between(5, 60), self.one(&[1, 8]));
        self.say(&format!(
            "producers:\n  p: {{topic: orders, rate: {rate}, keys: {keys}, settings: {settings}}}"
        ));
        if self.happens(40) {
            let rate = self.between(5, 30);
            self.say(&format!("  q: {{topic: orders, rate: {rate}}}"));
        }
        if self.happens(40) {
            self.say("readers:\n  r: {topics: [orders]}");
        }
    }

    /// How many groups there are.
    fn groups(&mut self) -> u64 {
        let groups = self.between(0, 2);
        if groups > 0 {
            self.say("consumers:");
        }
        for group in 0..groups {
            self.group(group);
        }
        groups
    }

    fn group(&mut self, group: u64) {
        let mut fixed = vec![("auto.offset.reset", self.one(&["earliest", "latest"]).to_owned())];
        let classic = self.happens(50);
        if !classic {
            fixed.push(("group.protocol", "consumer".to_owned()));
        } else if self.happens(60) {
            let assignor = self.one(&ASSIGNORS);
            fixed.push((
                "partition.assignment.strategy",
                format!("org.apache.kafka.clients.consumer.{assignor}"),
            ));
        }
        if classic && self.happens(50) {
            fixed.push(("session.timeout.ms", "9000".to_owned()));
        }
        if self.happens(25) {
            fixed.push(("group.instance.id", format!("i{group}")));
        }
        let commit = self.one(&["auto", "before", "after", "async"]);
        fixed.push(("enable.auto.commit", (commit == "auto").to_string()));
        let known: [(&str, &[&str]); 2] = [
            ("max.poll.interval.ms", &["5000", "10000"]),
            ("max.poll.records", &["1", "10"]),
        ];
        let settings = self.settings(30, &known, &fixed);
        let (count, processing) = (self.between(1, 3), self.one(&["0ms", "1ms..5ms", "1ms..40ms"]));
        let work = self.one(&[
            "",
            "",
            "sink: plain, ",
            "sink: upsert, ",
            "poison: 1 in 200, on_failure: skip, ",
            "failing: 1 in 50 for 2 tries, on_failure: seek, backoff: 100ms, ",
            "failing: 1 in 50 for 1 try, retries: 1, backoff: 100ms, on_failure: continue, ",
        ]);
        self.say(&format!(
            "  m{group}: {{group: g{group}, topics: [orders], count: {count}, processing: {processing}, commit: {commit}, {work}settings: {settings}}}"
        ));
    }

    fn faults(&mut self, groups: u64) {
        self.say("duration: 40s\nquiesce: 1s\nheal: 12min");
        let first = self.between(0, 14) as usize;
        let count = self.between(2, 15) as usize;
        let kinds: Vec<&str> = FAULTS.iter().cycle().skip(first).take(count).copied().collect();
        let mut nodes = self
            .one(&["brokers", "controllers", "brokers and controllers"])
            .to_owned();
        if groups > 0 && self.happens(50) {
            nodes.push_str(" and consumers");
        }
        if self.happens(20) {
            nodes.push_str(" and producers");
        }
        let (most, length) = (
            self.one(&[2, 4, 8]),
            self.one(&["200ms..3s", "1s..12s", "5s..30s"]),
        );
        self.say(&format!(
            "random:\n  - {{faults: 1..{most}, of: [{}], on: {nodes}, within: 0s..38s, for: {length}}}",
            kinds.join(", ")
        ));
        let (rolls, redeploys) = (self.happens(25), groups > 0 && self.happens(25));
        if rolls || redeploys {
            self.say("faults:");
        }
        if rolls {
            self.say("  - {at: 5s..30s, rolling_restart: brokers}");
        }
        if redeploys {
            let how = self.one(&["rolling", "all at once"]);
            self.say(&format!("  - {{at: 5s..30s, redeploy: consumers, how: {how}}}"));
        }
    }
}

/// The scenario of a seed.
pub fn scenario(seed: u64) -> String {
    let mut draw = Draw {
        sequence: Chance::new(seed).sequence(0),
        text: format!("scenario: drawn {seed}\n"),
    };
    let brokers = draw.cluster();
    draw.topic(brokers);
    draw.producers();
    let groups = draw.groups();
    draw.faults(groups);
    draw.text
}
