//! Assignments of the command line: `--set NAME=VALUE`.

use std::sync::Arc;

use super::catalogue::Scope;
use super::problem::ConfigError;
use super::secrets::{HIDDEN, assigns_secret};
use super::unknown;

/// How narrowly an assignment says whom it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `NAME`: every scope that has it and for which no narrower assignment exists. Groups are not meant: their
    /// `consumer.session.timeout.ms` is also a consumer's `session.timeout.ms`.
    Everywhere,
    /// `broker.NAME`, `controller.NAME`, `topic.NAME`, `producer.NAME`, `consumer.NAME`, `group.NAME`.
    Scope(Scope),
    /// `topic.TOPIC.NAME`, `producer.CLIENT.NAME`, `consumer.CLIENT.NAME`, `group.GROUP.NAME`.
    Instance(Scope, String),
}

/// One assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Whom it means.
    pub target: Target,
    /// Kafka's name.
    pub name: String,
    /// The value as written.
    pub value: String,
    /// The whole text, for origins; without the value if that is a secret.
    pub text: Arc<str>,
}

impl Assignment {
    /// Reads `NAME=VALUE`.
    ///
    /// # Errors
    /// No `=`, or a name that no scope has.
    pub fn parse(text: &str) -> Result<Assignment, ConfigError> {
        let Some((left, value)) = text.split_once('=') else {
            return Err(ConfigError::anywhere(
                format!("--set {text}: no ="),
                "write NAME=VALUE",
            ));
        };
        let left = left.trim();
        let (target, name) = named(left, &format!("--set {text}"))?;
        Ok(Assignment {
            text: match assigns_secret(&target, name) {
                true => format!("{left}={HIDDEN}").into(),
                false => text.into(),
            },
            target,
            name: name.to_string(),
            value: value.to_string(),
        })
    }

    /// Whether a name is one that [`Assignment::parse`] takes; `option` is where it was given.
    ///
    /// # Errors
    /// A name that no scope has.
    pub fn check_name(name: &str, option: &str) -> Result<(), ConfigError> {
        named(name, option).map(|_| ())
    }

    /// How strong it is against others for the same setting: the narrower the stronger.
    pub(super) fn narrowness(&self) -> u8 {
        match self.target {
            Target::Everywhere => 0,
            Target::Scope(_) => 1,
            Target::Instance(..) => 2,
        }
    }

    /// Whether it means this scope, and this topic or client of it.
    pub(super) fn means(&self, scope: Scope, instance: Option<&str>) -> bool {
        match &self.target {
            Target::Everywhere => {
                scope != Scope::Group
                    && scope
                        .setting(&self.name)
                        .is_some_and(|setting| scope.reads(setting))
            }
            Target::Scope(wanted) => *wanted == scope,
            Target::Instance(wanted, name) => *wanted == scope && instance == Some(name),
        }
    }
}

fn named<'a>(left: &'a str, option: &str) -> Result<(Target, &'a str), ConfigError> {
    target_of(left).ok_or_else(|| {
        let (message, remedy) = match scope_of(left) {
            Some((scope, name)) => unknown::explain(scope, name),
            None => unknown::explain_everywhere(left),
        };
        ConfigError::anywhere(format!("{option}: {message}"), remedy)
    })
}

fn scope_of(left: &str) -> Option<(Scope, &str)> {
    let (word, rest) = left.split_once('.')?;
    Scope::from_word(word).map(|scope| (scope, rest))
}

/// A whole name first (`broker.session.timeout.ms` is one), then a scope before it, then a topic or client
/// between the two; topics have dots in their names, so the longest known setting at the end counts.
fn target_of(left: &str) -> Option<(Target, &str)> {
    let everywhere = |scope: Scope| scope != Scope::Group && scope.setting(left).is_some();
    if Scope::ALL.into_iter().any(everywhere) {
        return Some((Target::Everywhere, left));
    }
    let (scope, rest) = scope_of(left)?;
    if scope.setting(rest).is_some() {
        return Some((Target::Scope(scope), rest));
    }
    if matches!(scope, Scope::Broker | Scope::Controller) {
        return None;
    }
    rest.match_indices('.').find_map(|(at, _)| {
        let (instance, name) = (&rest[..at], &rest[at + 1..]);
        scope.setting(name)?;
        (!instance.is_empty()).then(|| (Target::Instance(scope, instance.to_string()), name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> (Target, String) {
        let assignment = Assignment::parse(text).expect("well formed");
        (assignment.target, assignment.name)
    }

    #[test]
    fn a_whole_name_is_no_scope_and_name() {
        let (everywhere, name) = target("broker.session.timeout.ms=9000");
        assert_eq!(
            (everywhere, name.as_str()),
            (Target::Everywhere, "broker.session.timeout.ms")
        );
        let (scope, name) = target("controller.broker.session.timeout.ms=9000");
        assert_eq!(
            (scope, name.as_str()),
            (Target::Scope(Scope::Controller), "broker.session.timeout.ms")
        );
    }

    #[test]
    fn only_two_whole_names_are_also_a_scope_and_a_name() {
        let both: Vec<&str> = Scope::Broker
            .settings()
            .iter()
            .map(|setting| setting.name)
            .filter(|name| scope_of(name).is_some_and(|(scope, rest)| scope.setting(rest).is_some()))
            // What brokers say for all groups is what all groups are given.
            .filter(|name| !name.starts_with("group."))
            .collect();
        assert_eq!(
            both,
            [
                "controller.quota.window.num",
                "controller.quota.window.size.seconds"
            ]
        );
    }

    #[test]
    fn a_topics_name_may_hold_dots() {
        let (topic, name) = target("topic.orders.eu.delete.retention.ms=5");
        assert_eq!(topic, Target::Instance(Scope::Topic, "orders.eu".to_string()));
        assert_eq!(name, "delete.retention.ms");
        let (topic, _) = target("topic.min.insync.replicas=2");
        assert_eq!(topic, Target::Scope(Scope::Topic));
    }

    #[test]
    fn unknown_names_get_the_nearest_one() {
        let error = Assignment::parse("min.insync.replica=2").expect_err("unknown");
        assert_eq!(error.remedy, "did you mean min.insync.replicas?");
        let error = Assignment::parse("producer.aks=1").expect_err("unknown");
        assert_eq!(error.remedy, "did you mean acks?");
        let error = Assignment::parse("broker.linger.ms=1").expect_err("elsewhere");
        assert!(error.remedy.contains("setting of a producer"));
        assert!(Assignment::parse("acks").is_err());
    }
}
