//! Which of several values counts.

use super::*;

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
fn a_group_has_its_own_value_else_the_brokers_else_the_default() {
    let cluster = Cluster {
        reaches: vec![config::catalogue::Machinery::Groups],
        groups: vec!["audit".to_string(), "billing".to_string()],
        ..orders()
    };
    let mut builder = builder(cluster);
    text(
        &mut builder,
        Scope::Broker,
        "group.consumer.session.timeout.ms=50000",
    );
    for set in [
        "group.billing.consumer.heartbeat.interval.ms=9000",
        "consumer.session.timeout.ms=6000",
    ] {
        builder.set(set).expect("known");
    }
    let resolution = builder.resolve().expect("resolves");
    let [billing] = &resolution.groups[..] else {
        panic!("nothing was said for audit alone: {:?}", resolution.groups);
    };
    assert_eq!(billing.name, "billing");
    let settings = billing.settings;
    assert_eq!(settings.consumer_heartbeat_interval_ms, Duration::secs(9));
    assert_eq!(settings.consumer_session_timeout_ms, Duration::secs(50));
    assert_eq!(settings.consumer_assignment_interval_ms, Duration::secs(1));
    // A consumer's session.timeout.ms, and no group's consumer.session.timeout.ms.
    assert_eq!(
        resolution.members[0].settings.session_timeout_ms,
        Duration::secs(6)
    );
    let (_, from) = origin(
        &resolution,
        Scope::Group,
        Some("billing"),
        "consumer.session.timeout.ms",
    );
    assert_eq!(from, "broker.properties:1:35");
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
fn an_origin_knows_whether_a_user_gave_the_value() {
    assert!(!Origin::Default { release: "4.3" }.is_set());
    assert!(Origin::SetOption("acks=1".into()).is_set());
}

#[test]
fn of_what_only_controllers_act_by_a_topic_shows_what_they_resolve() {
    let unclean = "unclean.leader.election.enable=true";
    let shown = |file: &str, by: Scope| {
        let mut builder = builder(orders());
        text(&mut builder, by, file);
        let resolution = builder.resolve().expect("resolves");
        let (value, _) = origin(
            &resolution,
            Scope::Topic,
            Some("orders"),
            "unclean.leader.election.enable",
        );
        assert_eq!(
            value == "true",
            resolution.topics[0].by_controllers.unclean_leader_election_enable
        );
        value
    };
    assert_eq!(shown(unclean, Scope::Broker), "false", "brokers do not elect");
    assert_eq!(shown(unclean, Scope::Controller), "true");
    assert_eq!(shown(unclean, Scope::Topic), "true");
}
