//! A comparison as reports take it.

use ktrial_scenarios::ArmSummary;

/// Everything a comparison showed.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The scenario as the user named it.
    pub scenario: String,
    /// What it is about.
    pub about: String,
    /// What to type to run one trial of it, up to an arm's settings and the seed.
    pub command: String,
    /// The first seed and how many.
    pub seeds: (u64, u64),
    /// The arms in their order.
    pub arms: Vec<ComparedArm>,
    /// What a user should know of the settings: warnings, replaced and inert ones.
    pub remarks: Vec<String>,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

/// One arm.
#[derive(Clone, Debug)]
pub struct ComparedArm {
    /// Its name, if the scenario declares it among its `arms`.
    pub name: Option<String>,
    /// What distinguishes it: `acks=1`, `min.insync.replicas=2`.
    pub settings: Vec<String>,
    /// What came of it.
    pub outcome: ArmOutcome,
}

/// What came of an arm.
#[derive(Clone, Debug)]
pub enum ArmOutcome {
    /// Kafka would not start like this; its reasons.
    Refused(Vec<String>),
    /// It ran.
    Ran(Box<ArmSummary>),
}

impl Comparison {
    /// What to type to run the first trial of an arm that violates something: a broken promise before others.
    pub fn reproduce(&self, arm: &ComparedArm) -> Option<String> {
        let ArmOutcome::Ran(summary) = &arm.outcome else {
            return None;
        };
        let (_, violation) = summary.violations.first_key_value()?;
        Some(self.again(arm, violation.seed))
    }

    /// What to type to run one trial of an arm.
    pub fn again(&self, arm: &ComparedArm, seed: u64) -> String {
        let name = arm.name.as_ref();
        let name = name.map_or_else(String::new, |name| format!(" --arm {}", crate::quoted(name)));
        let settings: String = arm
            .settings
            .iter()
            .map(|setting| format!(" --set {}", crate::quoted(setting)))
            .collect();
        format!("{}{name}{settings} --seed {seed}", self.command)
    }
}

impl ComparedArm {
    /// The arm in one line.
    pub fn label(&self) -> String {
        let parts: Vec<&str> = self
            .name
            .iter()
            .chain(&self.settings)
            .map(String::as_str)
            .collect();
        match parts.is_empty() {
            true => "as it is".to_owned(),
            false => parts.join(" "),
        }
    }
}
