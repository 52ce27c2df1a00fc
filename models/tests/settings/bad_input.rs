//! What is an error, with place and remedy.

use super::*;

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
fn a_machinery_that_the_scenario_reaches_makes_its_settings_matter() {
    let share_groups = ktrial_models::config::catalogue::Machinery::ShareGroups;
    let mut builder = SettingsBuilder::new(Cluster {
        reaches: vec![share_groups],
        ..orders()
    });
    text(
        &mut builder,
        Scope::Consumer,
        "share.acknowledgement.mode=explicit\nshare.acquire.mode=RECORD_LIMIT",
    );
    let errors = builder.resolve().expect_err("share groups are not modelled");
    assert_eq!(errors.len(), 2);
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
fn a_reader_that_begins_at_a_time_stops_the_run() {
    let mut builder = builder(orders());
    text(
        &mut builder,
        Scope::Consumer,
        "auto.offset.reset=by_duration:PT1H",
    );
    let errors = builder.resolve().expect_err("it does not run");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0]
            .message
            .starts_with("auto.offset.reset=by_duration:PT1H")
    );
}

#[test]
fn a_limit_that_is_not_modelled_stops_the_run_only_if_a_trial_can_reach_it() {
    let stopped = |setting: &str| {
        let mut builder = SettingsBuilder::new(orders());
        text(&mut builder, Scope::Broker, setting);
        builder.resolve().is_err()
    };
    assert!(stopped("socket.request.max.bytes=1000000"));
    assert!(!stopped("socket.request.max.bytes=200000000"));
}

#[test]
fn what_only_brokers_do_with_a_setting_is_said_of_a_controllers_file() {
    let mut builder = SettingsBuilder::new(orders());
    text(&mut builder, Scope::Controller, "num.io.threads=4");
    let resolution = builder.resolve().expect("neutral there");
    assert_eq!(
        resolution.noted[0].note,
        Note::Neutral("handlers pass requests to one event queue")
    );
}

#[test]
fn a_metadata_version_at_which_servers_act_otherwise_is_accepted_by_name_only() {
    let errors = |level: &str, accepted: bool| {
        let mut features = Features::upgraded();
        features.set("metadata.version", level).expect("a level");
        let mut builder = SettingsBuilder::new(Cluster { features, ..orders() });
        if accepted {
            builder.allow_unmodelled("metadata.version");
        }
        builder.resolve().err().unwrap_or_default()
    };
    let [refused] = &errors("3.4-IV0", false)[..] else {
        panic!("one error")
    };
    assert!(
        refused.message.contains("below 4.1-IV1 is not modelled"),
        "{}",
        refused.message
    );
    assert!(errors("3.4-IV0", true).is_empty());
    assert!(errors("4.1-IV1", false).is_empty());
}
