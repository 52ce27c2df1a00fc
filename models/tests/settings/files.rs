//! The files of users: the stock ones of 4.3, a careful set, a hurried one, one of an upgraded cluster.

use super::*;

/// Nothing that is not modelled is accepted.
fn strict(cluster: Cluster) -> SettingsBuilder {
    SettingsBuilder::new(cluster)
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
    let mut builder = strict(orders());
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
        "num.partitions",
        "process.roles",
    ];
    assert_eq!(replaced, expected);
    let (_, from) = origin(&resolution, Scope::Broker, None, "node.id");
    assert_eq!(from, "replaced: the scenario numbers the nodes");
}

#[test]
fn a_careful_set_runs_as_it_is() {
    let mut builder = strict(orders());
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
    assert!(
        resolution.warnings[0]
            .message
            .starts_with("2 log directories: a simulated node has one disk")
    );
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
    let mut builder = strict(Cluster {
        combined: true,
        ..orders()
    });
    from_disk(&mut builder, Scope::Broker, "hurried/server.properties");
    from_disk(&mut builder, Scope::Producer, "hurried/producer.properties");
    from_disk(&mut builder, Scope::Topic, "hurried/topic.properties");
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
    let mut builder = strict(upgraded());
    from_disk(&mut builder, Scope::Broker, "upgraded/broker.properties");
    from_disk(&mut builder, Scope::Controller, "upgraded/controller.properties");
    from_disk(&mut builder, Scope::Producer, "upgraded/producer.properties");
    from_disk(&mut builder, Scope::Topic, "upgraded/topic.properties");
    let resolution = builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(resolution.refusals, []);
    assert_eq!(
        resolution.warnings[0].to_string(),
        "upgraded/broker.properties:10:21: log.retention.hours does not count, because log.retention.ms is set too"
    );
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
fn no_password_is_shown_wherever_it_was_given() {
    let mut builder = builder(orders());
    text(
        &mut builder,
        Scope::Broker,
        "sasl.jaas.config=hunter2\nlistener.name.internal.ssl.keystore.password=hunter2\n\
         listener.name.x.plain.sasl.jaas.config=hunter2\nbasic.auth.user.info=user:hunter2\n\
         listener.name.internal.ssl.keystore.location=/etc/keys",
    );
    builder.allow_unmodelled("basic.auth.user.info");
    builder.set("ssl.key.password=hunter2").expect("known");
    let resolution = builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"));
    let shown = format!("{:?}", resolution.noted);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("/etc/keys"), "{shown}");
    for name in ["sasl.jaas.config", "ssl.key.password"] {
        let (value, origin) = origin(&resolution, Scope::Broker, None, name);
        assert_eq!(value, "[hidden]");
        assert!(!origin.contains("hunter2"), "{origin}");
    }
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
