//! From the files of users to what counts.

use ktrial_models::config::catalogue::{Scope, Treatment};
use ktrial_models::config::{
    Acks, Cluster, ConfigError, Features, Note, Origin, Place, Resolution, SettingsBuilder, properties,
};
use ktrial_sim::Duration;

/// Accepts whatever is not modelled, so that a test is about one thing.
fn builder(cluster: Cluster) -> SettingsBuilder {
    let mut builder = SettingsBuilder::new(cluster);
    for setting in Scope::ALL.into_iter().flat_map(Scope::settings) {
        builder.allow_unmodelled(setting.name);
    }
    builder
}

fn orders() -> Cluster {
    Cluster {
        topics: vec!["orders".to_string()],
        ..Cluster::default()
    }
}

fn upgraded() -> Cluster {
    Cluster {
        features: Features::upgraded(),
        ..orders()
    }
}

fn from_disk(builder: &mut SettingsBuilder, scope: Scope, path: &str) {
    let bytes =
        std::fs::read(format!("{}/tests/files/{path}", env!("CARGO_MANIFEST_DIR"))).expect("our file");
    let file = properties::read(path, &bytes).expect("well formed");
    builder.file(scope, file).expect("of the right role");
}

fn text(builder: &mut SettingsBuilder, scope: Scope, text: &str) {
    let path = format!("{}.properties", scope.word());
    let file = properties::read(&path, text.as_bytes()).expect("well formed");
    builder.file(scope, file).expect("of the right role");
}

fn resolve(scope: Scope, file: &str) -> Resolution {
    let mut builder = builder(orders());
    text(&mut builder, scope, file);
    builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn reasons(scope: Scope, file: &str) -> Vec<String> {
    resolve(scope, file)
        .refusals
        .iter()
        .map(|refusal| format!("{}: {}", refusal.exception, refusal.reason))
        .collect()
}

fn errors(scope: Scope, file: &str) -> Vec<ConfigError> {
    let mut builder = SettingsBuilder::new(orders());
    text(&mut builder, scope, file);
    builder.resolve().err().unwrap_or_default()
}

fn origin(resolution: &Resolution, scope: Scope, instance: Option<&str>, name: &str) -> (String, String) {
    let values = resolution
        .values
        .iter()
        .find(|v| v.scope == scope && v.instance.as_deref() == instance);
    let entry = values.expect("resolved").find(name).expect("known");
    (entry.shown().to_string(), entry.origin.to_string())
}

#[test]
fn the_stock_files_of_4_3_run_as_they_are() {
    let mut combined = SettingsBuilder::new(Cluster {
        combined: true,
        ..orders()
    });
    from_disk(&mut combined, Scope::Broker, "stock-4.3/server.properties");
    let mut dedicated = SettingsBuilder::new(orders());
    from_disk(&mut dedicated, Scope::Broker, "stock-4.3/broker.properties");
    from_disk(
        &mut dedicated,
        Scope::Controller,
        "stock-4.3/controller.properties",
    );
    from_disk(&mut dedicated, Scope::Producer, "stock-4.3/producer.properties");
    for builder in [combined, dedicated] {
        let resolution = builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(resolution.refusals, []);
        assert_eq!(resolution.topics[0].by_brokers.min_insync_replicas, 1);
        assert_eq!(resolution.broker.default_replication_factor, 1);
    }
}

#[test]
fn the_stock_consumer_file_waits_40_seconds_for_answers() {
    let mut builder = builder(orders());
    from_disk(&mut builder, Scope::Consumer, "stock-4.3/consumer.properties");
    let resolution = builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(resolution.refusals, []);
    assert_eq!(
        resolution.readers[0].settings.request_timeout_ms,
        Duration::secs(40)
    );
    let groups: Vec<_> = resolution
        .noted
        .iter()
        .filter(|noted| matches!(noted.note, Note::Inert(_)))
        .collect();
    assert!(
        groups
            .iter()
            .any(|noted| noted.name == "session.timeout.ms" && noted.value == "30000")
    );
}

#[test]
fn node_ids_listeners_and_directories_are_replaced_and_listed() {
    let mut builder = SettingsBuilder::new(Cluster {
        combined: true,
        ..orders()
    });
    from_disk(&mut builder, Scope::Broker, "stock-4.3/server.properties");
    let resolution = builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut replaced: Vec<_> = resolution
        .noted
        .iter()
        .filter(|noted| matches!(noted.note, Note::Replaced(_)))
        .map(|noted| noted.name.as_str())
        .collect();
    replaced.sort_unstable();
    let expected = [
        "advertised.listeners",
        "controller.listener.names",
        "controller.quorum.bootstrap.servers",
        "inter.broker.listener.name",
        "listener.security.protocol.map",
        "listeners",
        "log.dirs",
        "node.id",
        "process.roles",
    ];
    assert_eq!(replaced, expected);
    let (_, from) = origin(&resolution, Scope::Broker, None, "node.id");
    assert_eq!(from, "replaced: the scenario numbers the nodes");
}

#[test]
fn a_careful_set_resolves_without_refusal() {
    let mut builder = builder(orders());
    for (scope, name) in [
        (Scope::Broker, "broker"),
        (Scope::Controller, "controller"),
        (Scope::Producer, "producer"),
        (Scope::Consumer, "consumer"),
        (Scope::Topic, "topic"),
    ] {
        from_disk(&mut builder, scope, &format!("careful/{name}.properties"));
    }
    let resolution = builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(resolution.refusals, []);
    assert_eq!(resolution.cluster_min_insync_replicas, Some(2));
    assert_eq!(resolution.topics[0].by_controllers.min_insync_replicas, 2);
    assert_eq!(resolution.other_topics.by_brokers.min_insync_replicas, 2);
    assert_eq!(resolution.broker.num_replica_fetchers, 4);
    assert_eq!(resolution.producers[0].settings.linger_ms, Duration::millis(20));
    assert_eq!(
        resolution.readers[0].settings.client_rack.as_deref(),
        Some("eu-1a")
    );
    let (value, from) = origin(&resolution, Scope::Topic, Some("orders"), "retention.ms");
    assert_eq!(
        (value.as_str(), from.as_str()),
        ("604800000", "topic override, careful/topic.properties:2:14")
    );
    let password = origin(&resolution, Scope::Broker, None, "ssl.keystore.password").0;
    assert_eq!(password, "[hidden]");
}

#[test]
fn a_hurried_set_is_refused_for_each_of_its_conflicts() {
    let mut builder = builder(Cluster {
        combined: true,
        ..orders()
    });
    from_disk(&mut builder, Scope::Broker, "hurried/server.properties");
    from_disk(&mut builder, Scope::Producer, "hurried/producer.properties");
    let resolution = builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"));
    let refusals: Vec<_> = resolution
        .refusals
        .iter()
        .map(|refusal| refusal.settings[0].0)
        .collect();
    assert_eq!(
        refusals,
        [
            "acks",
            "max.in.flight.requests.per.connection",
            "delivery.timeout.ms"
        ]
    );
    let acks = resolution.refusals[0].to_string();
    assert_eq!(
        acks,
        "producer: ConfigException (ProducerConfig): Must set acks to all in order to use the idempotent \
         producer. Otherwise we cannot guarantee idempotence [acks=1 (hurried/producer.properties:2:6), \
         enable.idempotence=true (hurried/producer.properties:3:20)]"
    );
    assert!(resolution.warnings.iter().any(|w| {
        w.to_string()
            .starts_with("hurried/server.properties:9:1: min.insync")
    }));
    assert_eq!(resolution.cluster_min_insync_replicas, Some(2));
    assert!(resolution.topics[0].by_controllers.unclean_leader_election_enable);
}

#[test]
fn in_an_upgraded_cluster_the_brokers_file_decides_min_insync_replicas() {
    let mut builder = builder(upgraded());
    from_disk(&mut builder, Scope::Broker, "upgraded/broker.properties");
    from_disk(&mut builder, Scope::Controller, "upgraded/controller.properties");
    from_disk(&mut builder, Scope::Producer, "upgraded/producer.properties");
    let resolution = builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(resolution.refusals, []);
    assert_eq!(resolution.cluster_min_insync_replicas, None);
    let topic = &resolution.topics[0];
    assert_eq!(
        (
            topic.by_brokers.min_insync_replicas,
            topic.by_controllers.min_insync_replicas
        ),
        (2, 1)
    );
    assert_eq!(topic.by_brokers.retention_ms, Some(Duration::secs(86_400)));
    assert_eq!(topic.by_brokers.message_timestamp_after_max_ms, Duration::FOREVER);
    let producer = &resolution.producers[0].settings;
    assert_eq!(
        (producer.acks, producer.enable_idempotence),
        (Acks::Leader, false)
    );
    assert_eq!(producer.reconnect_backoff_max_ms, Duration::millis(500));
}

#[test]
fn with_eligible_leader_replicas_the_controllers_file_decides_min_insync_replicas() {
    let mut builder = builder(orders());
    text(&mut builder, Scope::Broker, "min.insync.replicas=2");
    let resolution = builder.resolve().expect("resolves");
    assert_eq!(resolution.topics[0].by_brokers.min_insync_replicas, 1);
    let warning = resolution.warnings[0].to_string();
    assert!(
        warning.starts_with(
            "broker.properties:1:21: min.insync.replicas=2 in the brokers' settings has no effect"
        )
    );
    let (_, from) = origin(&resolution, Scope::Topic, Some("orders"), "min.insync.replicas");
    assert_eq!(
        from,
        "cluster-wide value written at bootstrap, from the controller's default of 4.3"
    );

    text(&mut builder, Scope::Controller, "min.insync.replicas=3");
    let resolution = builder.resolve().expect("resolves");
    assert_eq!(resolution.topics[0].by_brokers.min_insync_replicas, 3);
    let (_, from) = origin(&resolution, Scope::Topic, Some("orders"), "min.insync.replicas");
    assert_eq!(
        from,
        "cluster-wide value written at bootstrap, from the controller's controller.properties:1:21"
    );
}

#[test]
fn a_bare_assignment_means_every_scope_that_has_the_name() {
    let mut builder = builder(orders());
    text(&mut builder, Scope::Topic, "min.insync.replicas=1");
    builder.set("min.insync.replicas=2").expect("known");
    let resolution = builder.resolve().expect("resolves");
    assert_eq!(resolution.topics[0].by_brokers.min_insync_replicas, 2);
    assert_eq!(resolution.other_topics.by_brokers.min_insync_replicas, 2);
    assert_eq!(resolution.controller.min_insync_replicas, 2);

    builder.set("request.timeout.ms=1234").expect("known");
    let resolution = builder.resolve().expect("resolves");
    let timeout = Duration::millis(1234);
    assert_eq!(resolution.producers[0].settings.request_timeout_ms, timeout);
    assert_eq!(resolution.readers[0].settings.request_timeout_ms, timeout);
    assert_eq!(resolution.broker.request_timeout_ms, timeout);
}

#[test]
fn the_narrower_assignment_wins_and_the_loser_is_remembered() {
    let mut cluster = orders();
    cluster.topics.push("audit.log".to_string());
    let mut builder = builder(cluster);
    let place = Place {
        path: "scenario.yaml".into(),
        line: 7,
        column: 5,
    };
    builder.inline(Scope::Topic, Some("audit.log"), "min.insync.replicas", "4", place);
    for set in [
        "topic.audit.log.min.insync.replicas=3",
        "topic.min.insync.replicas=2",
        "min.insync.replicas=1",
    ] {
        builder.set(set).expect("known");
    }
    let resolution = builder.resolve().expect("resolves");
    let min_isr = |at: usize| resolution.topics[at].by_brokers.min_insync_replicas;
    assert_eq!((min_isr(0), min_isr(1)), (2, 3));
    let values = resolution
        .values
        .iter()
        .find(|v| v.instance.as_deref() == Some("audit.log"))
        .expect("resolved");
    let entry = values.find("min.insync.replicas").expect("known");
    let lost: Vec<_> = entry
        .shadowed
        .iter()
        .map(|(value, from)| format!("{value} {from}"))
        .collect();
    let expected = [
        "2 topic override, --set topic.min.insync.replicas=2",
        "1 topic override, --set min.insync.replicas=1",
        "4 topic override, scenario scenario.yaml:7:5",
        "1 cluster-wide value written at bootstrap, from the controller's --set min.insync.replicas=1",
        "1 --set min.insync.replicas=1",
    ];
    assert_eq!(lost, expected);
}

#[test]
fn an_assignment_for_a_topic_that_is_not_there_is_an_error() {
    let mut builder = builder(orders());
    let error = builder
        .set("topic.order.min.insync.replicas=2")
        .expect_err("no such topic");
    assert_eq!(
        error.to_string(),
        "no topic order in the scenario; did you mean orders?"
    );
    let place = Place {
        path: "s.yaml".into(),
        line: 1,
        column: 1,
    };
    builder.inline(Scope::Producer, Some("p"), "acks", "1", place);
    let errors = builder.resolve().expect_err("no such producer");
    assert_eq!(
        errors[0].to_string(),
        "s.yaml:1:1: no producer p in the scenario; the scenario has none"
    );
}

#[test]
fn a_trailing_comment_is_an_error_that_says_what_java_does() {
    let errors = errors(Scope::Broker, "# fine\nmin.insync.replicas=2 # two\n");
    assert_eq!(
        errors[0].to_string(),
        "broker.properties:2:21: min.insync.replicas: java.util.Properties makes \"# two\" part of the value, \
         and Kafka would refuse the value; put the comment on a line of its own and leave min.insync.replicas=2"
    );
    let errors = self::errors(Scope::Producer, "client.id=orders # mine");
    assert!(errors[0].message.ends_with("Kafka would take it literally"));
}

#[test]
fn an_unknown_name_is_an_error_with_place_and_suggestion() {
    let errors = errors(Scope::Broker, "min.insnyc.replicas=2\n  linger.ms=5");
    assert_eq!(
        errors[0].to_string(),
        "broker.properties:1:21: no broker setting min.insnyc.replicas in Kafka 4.3; Kafka would ignore it with \
         a line in its log; did you mean min.insync.replicas?"
    );
    assert_eq!(
        errors[1].remedy,
        "it is a setting of a producer: move it there or take it out"
    );
    let errors = self::errors(Scope::Topic, "retention=5");
    assert!(errors[0].message.contains("Kafka would refuse the topic"));
}

#[test]
fn a_name_that_a_class_of_ones_own_reads_can_be_accepted() {
    let mut builder = builder(orders());
    text(
        &mut builder,
        Scope::Producer,
        "schema.registry.url=http://registry:8081",
    );
    let errors = builder.resolve().expect_err("unknown");
    assert!(
        errors[0]
            .remedy
            .contains("--allow-unmodelled schema.registry.url")
    );
    builder.allow_unmodelled("schema.registry.url");
    let resolution = builder.resolve().expect("accepted");
    assert!(
        resolution
            .noted
            .iter()
            .any(|n| n.name == "schema.registry.url" && n.note == Note::Accepted)
    );
}

#[test]
fn an_unmodelled_setting_stops_the_run_until_it_is_accepted_or_at_its_default() {
    let unmodelled = Scope::Broker
        .settings()
        .iter()
        .find(|setting| setting.name == "max.connections" && setting.treatment == Treatment::Unmodelled)
        .expect("not modelled");
    let name = unmodelled.name;
    let mut stopped = SettingsBuilder::new(orders());
    text(&mut stopped, Scope::Broker, &format!("{name}=10"));
    let errors = stopped.resolve().expect_err("stops");
    assert_eq!(
        errors[0].to_string(),
        "broker.properties:1:17: max.connections=10 is not modelled: results would not show what it does; take \
         it out, or accept that with --allow-unmodelled max.connections"
    );
    stopped.allow_unmodelled(name);
    let noted = stopped.resolve().expect("accepted").noted;
    assert_eq!(noted[0].note, Note::Accepted);

    let mut at_default = SettingsBuilder::new(orders());
    text(&mut at_default, Scope::Broker, &format!("{name}= 2147483647 "));
    assert_eq!(
        at_default.resolve().expect("changes nothing").noted[0].note,
        Note::AtDefault
    );
}

#[test]
fn what_only_brokers_read_does_not_matter_in_a_controllers_file() {
    let mut builder = SettingsBuilder::new(orders());
    text(
        &mut builder,
        Scope::Controller,
        "max.incremental.fetch.session.cache.slots=1",
    );
    let resolution = builder.resolve().expect("neutral there");
    assert_eq!(resolution.noted[0].note, Note::Neutral("only brokers read it"));
}

#[test]
fn a_machinery_that_the_scenario_reaches_makes_its_settings_matter() {
    let groups = ktrial_models::config::catalogue::Machinery::Groups;
    let mut builder = SettingsBuilder::new(Cluster {
        reaches: vec![groups],
        ..orders()
    });
    text(
        &mut builder,
        Scope::Consumer,
        "group.id=g\nsession.timeout.ms=6000",
    );
    let errors = builder.resolve().expect_err("groups are not modelled");
    assert_eq!(errors.len(), 2);
}

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
    let consumer = reasons(
        Scope::Consumer,
        "group.id=g\ngroup.protocol=consumer\nsession.timeout.ms=6000",
    );
    assert_eq!(
        consumer,
        ["ConfigException: session.timeout.ms cannot be set when group.protocol=CONSUMER"]
    );
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

#[test]
fn a_file_for_both_roles_also_serves_dedicated_controllers() {
    let mut builder = builder(orders());
    text(
        &mut builder,
        Scope::Broker,
        "process.roles=broker,controller\nmin.insync.replicas=2",
    );
    let resolution = builder.resolve().expect("resolves");
    assert_eq!(resolution.cluster_min_insync_replicas, Some(2));

    let mut wrong = self::builder(orders());
    let file = properties::read("c.properties", b"process.roles=controller").expect("well formed");
    let error = wrong.file(Scope::Broker, file).expect_err("the other role");
    assert_eq!(
        error.to_string(),
        "c.properties:1:15: process.roles=controller: this file is not for a broker; give the file of the right role"
    );
}

#[test]
fn a_file_that_lists_its_voters_belongs_to_kraft_version_0() {
    let file = "process.roles=controller\ncontroller.quorum.voters=1@c1:9093";
    let resolution = resolve(Scope::Controller, file);
    assert!(
        resolution.warnings[0]
            .to_string()
            .starts_with("controller.properties:2:26: controller.quorum.voters")
    );
    let mut builder = builder(upgraded());
    text(&mut builder, Scope::Controller, file);
    let resolution = builder.resolve().expect("resolves");
    assert!(
        !resolution
            .warnings
            .iter()
            .any(|warning| warning.message.contains("lists its voters"))
    );
}

#[test]
fn a_value_of_a_config_provider_is_an_error() {
    let file = "config.providers=file\nconfig.providers.file.class=F\nreplica.lag.time.max.ms=${file:a:b}";
    let errors = errors(Scope::Broker, file);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].message.contains("asks a config provider"));
}

#[test]
fn a_value_that_the_models_cannot_run_is_an_error() {
    let mut builder = builder(orders());
    text(
        &mut builder,
        Scope::Broker,
        "replica.selector.class=org.example.Mine\nrequest.timeout.ms=-1",
    );
    let errors = builder.resolve().expect_err("neither runs");
    let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
    assert!(
        messages
            .iter()
            .any(|message| message.starts_with("replica.selector.class=org.example.Mine"))
    );
    assert!(
        messages
            .iter()
            .any(|message| message.starts_with("request.timeout.ms=-1"))
    );
}

#[test]
fn an_origin_knows_whether_a_user_gave_the_value() {
    assert!(!Origin::Default { release: "4.3" }.is_set());
    assert!(Origin::SetOption("acks=1".into()).is_set());
}

#[test]
fn every_modelled_setting_names_a_test_that_exists() {
    let root = format!("{}/..", env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in [
        "models/src",
        "models/tests",
        "scenarios/src",
        "scenarios/tests",
        "tests",
    ] {
        gather(std::path::Path::new(&format!("{root}/{folder}")), &mut sources);
    }
    for setting in Scope::ALL.into_iter().flat_map(Scope::settings) {
        if let Treatment::Modelled { test } = setting.treatment {
            assert!(
                sources.contains(&format!("fn {test}(")),
                "{}: no test {test}",
                setting.name
            );
        }
    }
}

fn gather(folder: &std::path::Path, sources: &mut String) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).expect("our source"));
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_file_makes_the_resolution_panic(
        scope in 0..5usize,
        combined: bool,
        lines in proptest::collection::vec((0..400usize, 0..24usize), 0..12),
    ) {
        const VALUES: [&str; 24] = [
            "", "0", "1", "-1", "2", "5", "100", "60001", "2147483647", "9223372036854775807",
            "-9223372036854775808", "true", "false", "all", "0.5", "1e300", "none", "delete", "a,b", "classic",
            "zstd", "x # y", "${a:b}", "\\u12",
        ];
        let scope = Scope::ALL[scope];
        let settings = scope.settings();
        let name = |at: usize| settings.get(at % (settings.len() + 1)).map_or("no.such.name", |s| s.name);
        let file: String =
            lines.iter().map(|(at, value)| format!("{}={}\n", name(*at), VALUES[*value])).collect();
        let mut builder = builder(Cluster { combined, ..orders() });
        if let Ok(file) = properties::read("f", file.as_bytes())
            && builder.file(scope, file).is_ok()
        {
            let _ = builder.resolve();
        }
    }

    #[test]
    fn no_assignment_makes_the_resolution_panic(text in "[a-z.=0-9]{0,30}", known in 0..360usize) {
        let mut builder = builder(orders());
        let _ = builder.set(&text);
        let _ = builder.set(&format!("broker.{}={text}", Scope::Broker.settings()[known].name));
        let _ = builder.resolve();
    }
}
