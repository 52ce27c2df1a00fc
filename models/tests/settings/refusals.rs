//! What Kafka itself refuses, and what it corrects.

use super::*;

#[test]
fn a_value_out_of_range_is_refused_with_kafkas_reason() {
    let refused = reasons(Scope::Broker, "min.insync.replicas=0");
    assert_eq!(
        refused,
        ["ConfigException: Invalid value 0 for configuration min.insync.replicas: Value must be at least 1"]
    );
    let mut builder = builder(orders());
    builder.set("acks=2").expect("known name");
    let resolution = builder.resolve().expect("refused, not an error");
    assert!(
        resolution.refusals[0]
            .reason
            .contains("String must be one of: all, -1, 0, 1")
    );
    assert!(resolution.refusals[0].to_string().contains("(--set acks=2)"));
    let refused = reasons(Scope::Topic, "retention.ms=-2");
    assert!(refused[0].starts_with("InvalidConfigurationException: Invalid value -2"));
    assert_eq!(refused.len(), 1);
}

#[test]
fn a_group_cannot_have_what_brokers_do_not_allow() {
    let refused = |sets: &[&str]| {
        let mut builder = builder(Cluster {
            reaches: vec![config::catalogue::Machinery::Groups],
            groups: vec!["billing".to_string()],
            ..orders()
        });
        for set in sets {
            builder.set(set).expect("known");
        }
        let resolution = builder.resolve().expect("refused, not an error");
        let reasons = resolution.refusals.iter().map(ToString::to_string);
        reasons.collect::<Vec<_>>()
    };
    let [short] = &refused(&["group.billing.consumer.session.timeout.ms=6000"])[..] else {
        panic!("one reason")
    };
    assert!(
        short.starts_with(
            "group billing: InvalidConfigurationException (GroupConfig): consumer.session.timeout.ms must be greater \
             than or equal to group.consumer.min.session.timeout.ms (45000)"
        ),
        "{short}"
    );
    let both = [
        "group.billing.consumer.session.timeout.ms=6000",
        "group.billing.consumer.heartbeat.interval.ms=6000",
        "group.consumer.min.session.timeout.ms=6000",
    ];
    let [equal] = &refused(&both)[..] else {
        panic!("one reason")
    };
    assert!(
        equal.contains("consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms"),
        "{equal}"
    );
    assert_eq!(refused(&both[1..]), [""; 0]);
}

#[test]
fn idempotence_that_nobody_asked_for_is_silently_off() {
    for file in ["acks=1", "acks=0", "retries=0"] {
        let resolution = resolve(Scope::Producer, file);
        assert_eq!(resolution.refusals, [], "{file}");
        assert!(!resolution.producers[0].settings.enable_idempotence, "{file}");
        assert!(
            resolution.warnings[0]
                .message
                .contains("silently turns enable.idempotence off")
        );
        let (value, from) = origin(&resolution, Scope::Producer, None, "enable.idempotence");
        assert_eq!(value, "false");
        assert!(from.starts_with("derived: "), "{from}");
    }
    assert!(
        resolve(Scope::Producer, "acks=-1").producers[0]
            .settings
            .enable_idempotence
    );
}

#[test]
fn idempotence_that_was_asked_for_is_refused_with_what_contradicts_it() {
    for file in ["acks=1", "acks=0", "retries=0"] {
        let refused = reasons(Scope::Producer, &format!("{file}\nenable.idempotence=true"));
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].starts_with("ConfigException: Must set "));
    }
}

#[test]
fn six_requests_in_flight_are_refused_even_if_idempotence_is_only_the_default() {
    let refused = reasons(Scope::Producer, "max.in.flight.requests.per.connection=6");
    assert!(refused[0].contains("must be set to at most 5. Current value is 6"));
    let without = "max.in.flight.requests.per.connection=6\nenable.idempotence=false";
    assert_eq!(reasons(Scope::Producer, without), [""; 0]);
    // ProducerConfig looks at this before it turns idempotence off.
    assert_eq!(
        reasons(Scope::Producer, "max.in.flight.requests.per.connection=6\nacks=1").len(),
        1
    );
}

#[test]
fn a_delivery_timeout_that_was_set_must_hold_linger_and_request() {
    let refused = reasons(Scope::Producer, "delivery.timeout.ms=30004");
    assert!(refused[0].contains("should be equal to or larger than linger.ms + request.timeout.ms"));
    assert_eq!(reasons(Scope::Producer, "delivery.timeout.ms=30005"), [""; 0]);
    let raised = resolve(Scope::Producer, "request.timeout.ms=200000");
    assert_eq!(
        raised.producers[0].settings.delivery_timeout_ms,
        Duration::millis(200_005)
    );
}

#[test]
fn transactions_need_idempotence_and_two_phase_commit_no_timeout() {
    assert_eq!(reasons(Scope::Producer, "transactional.id=t\nacks=1").len(), 1);
    assert_eq!(reasons(Scope::Producer, "transactional.id=t"), [""; 0]);
    let both = "transaction.two.phase.commit.enable=true\ntransaction.timeout.ms=60000";
    assert_eq!(reasons(Scope::Producer, both).len(), 1);
}

#[test]
fn consumers_are_refused_what_their_protocol_does_not_take() {
    assert!(
        reasons(Scope::Consumer, "enable.auto.commit=true")[0].starts_with("InvalidConfigurationException")
    );
    let classic = reasons(Scope::Consumer, "group.id=g\nheartbeat.interval.ms=45000");
    assert_eq!(
        classic,
        ["IllegalArgumentException: Heartbeat must be set lower than the session timeout"]
    );
    for setting in [
        "session.timeout.ms=6000",
        "heartbeat.interval.ms=1000",
        "partition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor",
    ] {
        let (name, _) = setting.split_once('=').expect("it has a value");
        let consumer = reasons(
            Scope::Consumer,
            &format!("group.id=g\ngroup.protocol=consumer\n{setting}"),
        );
        let refused = format!("ConfigException: {name} cannot be set when group.protocol=CONSUMER");
        assert_eq!(consumer, [refused]);
    }
    let classic = reasons(Scope::Consumer, "group.remote.assignor=range");
    assert_eq!(
        classic,
        ["ConfigException: group.remote.assignor cannot be set when group.protocol=CLASSIC"]
    );
}

#[test]
fn brokers_refuse_what_kafka_config_refuses() {
    for (file, part) in [
        ("node.id=1\nbroker.id=2", "node.id"),
        ("log.roll.ms=0", "log.roll.ms must be greater"),
        ("log.roll.jitter.ms=-1", "log.roll.jitter.ms must be greater"),
        ("log.retention.minutes=0", "log.retention.ms must be unlimited"),
        (
            "log.cleaner.dedupe.buffer.size=1048576",
            "at least 1MB per cleaner thread",
        ),
        ("log.cleaner.threads=0", "ArithmeticException: / by zero"),
        (
            "replica.fetch.wait.max.ms=30001\nreplica.lag.time.max.ms=40000",
            "unnecessary socket timeouts",
        ),
        ("replica.lag.time.max.ms=499", "frequent changes in ISR"),
        (
            "queued.max.request.bytes=1000",
            "larger or equal to socket.request.max.bytes",
        ),
        ("max.connections.per.ip=0", "set to zero only if"),
        ("connections.max.idle.ms=100", "failed authentication responses"),
        (
            "controller.quorum.auto.join.enable=true",
            "only supported when process.roles contains",
        ),
        (
            "group.consumer.session.timeout.ms=60001",
            "must be less than or equal to group.consumer.max.session.timeout.ms",
        ),
        (
            "group.share.max.share.sessions=1",
            "group.share.max.share.sessions must be greater",
        ),
        (
            "advertised.listeners=PLAINTEXT://0.0.0.0:9092",
            "nonroutable meta-address",
        ),
        (
            "inter.broker.listener.name=A\nsecurity.inter.broker.protocol=PLAINTEXT",
            "Only one of inter.broker.listener.name",
        ),
        (
            "log.cleaner.min.compaction.lag.ms=2\nlog.cleaner.max.compaction.lag.ms=1",
            "conflict topic config",
        ),
        ("log.flush.interval.ms=-1", "flush.ms: Value must be at least 0"),
    ] {
        let refused = reasons(Scope::Broker, file);
        assert_eq!(refused.len(), 1, "{file}: {refused:?}");
        assert!(refused[0].contains(part), "{file}: {refused:?}");
    }
    // A log line in Kafka, no refusal.
    let late = resolve(Scope::Broker, "broker.heartbeat.interval.ms=4501");
    assert_eq!(late.refusals, []);
    assert!(
        late.warnings[0]
            .message
            .contains("Kafka logs an error and starts")
    );
}

#[test]
fn a_group_id_can_be_left_out_but_not_be_empty() {
    for (protocol, class) in [
        ("classic", "ClassicKafkaConsumer"),
        ("consumer", "AsyncKafkaConsumer"),
    ] {
        let file = format!("group.protocol={protocol}\ngroup.id=  ");
        let refused = resolve(Scope::Consumer, &file).refusals;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(
            (refused[0].exception, refused[0].class),
            ("InvalidGroupIdException", class)
        );
        assert_eq!(
            reasons(Scope::Consumer, &format!("group.protocol={protocol}")),
            [""; 0]
        );
    }
}

#[test]
fn topics_refuse_what_log_config_refuses() {
    let lags = reasons(Scope::Topic, "min.compaction.lag.ms=10\nmax.compaction.lag.ms=9");
    assert_eq!(lags.len(), 1);
    assert!(lags[0].starts_with("InvalidConfigurationException: conflict topic config setting"));
    let tiered = reasons(Scope::Topic, "remote.storage.enable=true");
    assert!(tiered[0].contains("Tiered Storage functionality is disabled"));
    // More than there can be replicas is taken: what counts is the smaller of the two.
    assert_eq!(reasons(Scope::Topic, "min.insync.replicas=7"), [""; 0]);
}

#[test]
fn features_that_contradict_each_other_are_refused() {
    let mut features = Features::profile("4.0-IV0").expect("a level");
    features
        .set("eligible.leader.replicas.version", "1")
        .expect("a level");
    let resolution = builder(Cluster { features, ..orders() })
        .resolve()
        .expect("refused, not an error");
    assert!(
        resolution.refusals[0]
            .reason
            .contains("depends on metadata.version level 23")
    );
}
