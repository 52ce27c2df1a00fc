//! Whether a recorded history and a scenario are of the same experiment.

use std::collections::BTreeMap;

use ktrial_models::config::ConfigError;
use ktrial_models::config::catalogue::Scope;
use ktrial_models::history::{History, Operation};

use crate::history::shape;
use crate::scenario::Arm;

/// Nothing, or why a history cannot be set beside the simulation of a scenario, with place (`shown` is how the user
/// named the history) and remedy.
///
/// # Errors
/// A history without sends or with transactions; topics or settings that differ.
pub fn comparable(shown: &str, history: &History, arm: &Arm) -> Result<(), Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut wrong = |problem: String, remedy: &str| {
        errors.push(ConfigError::anywhere(
            format!("{shown}: {problem}"),
            remedy.to_owned(),
        ));
    };
    let any = |is: fn(&Operation) -> bool| history.events().iter().any(|event| is(&event.operation));
    if !any(|operation| matches!(operation, Operation::Send { .. })) {
        wrong(
            "nobody sends anything in it".to_owned(),
            "record a run with producers, or judge this one alone with `ktrial check`",
        );
    }
    if any(|operation| matches!(operation, Operation::Begin { .. })) {
        wrong(
            "it has transactions, which are not simulated yet".to_owned(),
            "judge it alone with `ktrial check`",
        );
    }
    let scenario = &arm.resolved.scenario;
    let same = "give the scenario of the same experiment (`ktrial list scenarios`)";
    for problem in topics(history, arm).into_iter().chain(settings(history, arm)) {
        wrong(format!("{problem} in scenario {scenario}"), same);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// How topics differ.
fn topics(history: &History, arm: &Arm) -> Vec<String> {
    let header = &history.header;
    let number = |topic: &str, name: &str| header.topics[topic].get(name).cloned().unwrap_or_default();
    let there = header.topics.keys().map(|topic| {
        let shape = (number(topic, "partitions"), number(topic, "replication.factor"));
        (topic.clone(), shape)
    });
    let there: BTreeMap<String, (String, String)> = there.collect();
    // Clients use no topic that Kafka made for itself.
    let topics = arm.resolved.cluster.topics.iter();
    let here = topics.filter(|topic| !topic.name.starts_with("__")).map(|topic| {
        let (partitions, replicas) = shape(topic);
        (topic.name.clone(), (partitions.to_string(), replicas.to_string()))
    });
    let here: BTreeMap<String, (String, String)> = here.collect();
    let shown = |shape: &(String, String)| format!("{} partitions of {} replicas", shape.0, shape.1);
    let mut problems = Vec::new();
    for (topic, shape) in &there {
        match here.get(topic) {
            None => problems.push(format!("its topic {topic} is not")),
            Some(other) if other != shape => {
                problems.push(format!(
                    "topic {topic} has {}, not {} as",
                    shown(shape),
                    shown(other)
                ));
            }
            Some(_) => {}
        }
    }
    let missing = here.keys().filter(|topic| !there.contains_key(*topic));
    problems.extend(missing.map(|topic| format!("it has no topic {topic} as there is")));
    problems
}

/// How settings that the recording was given differ from the effective ones of the scenario.
fn settings(history: &History, arm: &Arm) -> Vec<String> {
    let header = &history.header;
    let topics = header
        .topics
        .iter()
        .map(|(topic, given)| (Scope::Topic, Some(topic), given));
    let others = [
        (Scope::Broker, &header.broker),
        (Scope::Producer, &header.producer),
    ];
    let others = others.into_iter().map(|(scope, given)| (scope, None, given));
    let mut problems = Vec::new();
    for (scope, instance, given) in topics.chain(others) {
        for (name, value) in given {
            let views = arm.settings.values.iter().filter(|values| {
                values.scope == scope && instance.is_none_or(|topic| values.instance.as_ref() == Some(topic))
            });
            let other = views
                .filter_map(|values| Some(values.find(name)?.shown()))
                .find(|other| plain(other) != plain(value));
            if let Some(other) = other {
                problems.push(format!("{} {name} is {value}, not {other} as", scope.word()));
            }
        }
    }
    problems
}

/// One word for values that Kafka takes for the same.
fn plain(value: &str) -> &str {
    match value {
        "-1" => "all",
        value => value,
    }
}
