//! Replay files (`ktrial.replay/1`): a trial's manifest, its explicit script, and what it came to.

use std::path::Path;
use std::sync::Arc;

use ktrial_models::config::catalogue::Scope;
use ktrial_models::config::{ConfigError, assignment_without_secrets, file_without_secrets};
use ktrial_sim::Time;
use serde::{Deserialize, Serialize};

use crate::ledger::Counts;
use crate::resolved::FaultPlan;
use crate::scenario::{Arm, Overrides, PropertyFile, Scenario, Sources};
use crate::script::Script;
use crate::trial::{Detailed, Trial};

/// The name of the format.
pub const RECORDING_SCHEMA: &str = "ktrial.replay/1";

/// The engine and models of this build: the first part of a manifest.
pub const ENGINE: &str = concat!("ktrial ", env!("CARGO_PKG_VERSION"));

/// A replay file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// [`RECORDING_SCHEMA`].
    pub schema: String,
    /// Which version ran it.
    pub engine: String,
    /// What it ran.
    pub scenario: RecordedScenario,
    /// The seed.
    pub seed: u64,
    /// What was done, drawn from the seed before the trial started.
    pub script: Script,
    /// What each entry that was carried out meant then. For readers; a replay resolves roles again.
    pub fired: Vec<RecordedFiring>,
    /// What the trial came to.
    pub footprint: Footprint,
}

/// The scenario with every file it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedScenario {
    /// As the user named it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The property files that counted.
    pub files: Vec<RecordedFile>,
    /// Which of its arms ran; none: as it is without them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arm: Option<String>,
    /// `--set` assignments.
    pub assignments: Vec<String>,
    /// `--allow-unmodelled` names.
    pub allow_unmodelled: Vec<String>,
}

impl RecordedScenario {
    /// Of a scenario, without passwords and what may be one: they count in no trial.
    pub fn of(scenario: &Scenario) -> Self {
        let Sources {
            name,
            text,
            files,
            arm,
            assignments,
            allow_unmodelled,
        } = scenario.sources();
        let files = files.iter().map(|(scope, file)| RecordedFile {
            scope: scope.word().to_owned(),
            path: file.path.clone(),
            content: file_without_secrets(*scope, &file.bytes)
                .expect("the scenario was read with this file")
                .into_iter()
                .map(char::from)
                .collect(),
        });
        let assignments = assignments.iter().map(|text| assignment_without_secrets(text));
        RecordedScenario {
            name: name.clone(),
            text: text.clone(),
            files: files.collect(),
            arm: arm.clone(),
            assignments: assignments.collect(),
            allow_unmodelled: allow_unmodelled.clone(),
        }
    }
}

/// A property file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedFile {
    /// Whose settings: `broker`, `topic` ....
    pub scope: String,
    /// As messages name it.
    pub path: String,
    /// Its bytes, each as the character of that number (ISO-8859-1, as Java reads these files); `[hidden]` in place of
    /// secrets, and comments are empty.
    pub content: String,
}

/// An entry of the script that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedFiring {
    /// Its number.
    pub entry: usize,
    /// When, in nanoseconds since the trial's start.
    pub at: u64,
    /// The machines its role meant.
    pub nodes: Vec<String>,
}

/// What two runs of one trial must have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Footprint {
    /// The digest of everything that happened, in hexadecimal.
    pub digest: String,
    /// How it ended.
    pub ending: String,
    /// How long it was, in nanoseconds of simulated time.
    pub length: u64,
    /// Events taken from the queue.
    pub events: u64,
    /// Messages read by processes.
    pub messages: u64,
    /// Sent, acknowledged, failed, unknown, lost, duplicates, reordered.
    pub counts: [u64; 7],
}

impl Footprint {
    /// Of a trial.
    pub fn of(trial: &Trial) -> Self {
        let Counts {
            sent,
            acknowledged,
            failed,
            unknown,
            lost,
            // The digest tells of it.
            deleted: _,
            duplicates,
            reordered,
        } = trial.counts;
        Footprint {
            digest: format!("{:016x}", trial.digest),
            ending: trial.ending.name().to_owned(),
            length: trial.ended.0,
            events: trial.counters.events,
            messages: trial.counters.delivered,
            counts: [sent, acknowledged, failed, unknown, lost, duplicates, reordered],
        }
    }

    /// The first thing in which two footprints differ, with both values.
    pub fn difference(&self, other: &Footprint) -> Option<String> {
        const COUNTS: [&str; 7] = [
            "sent",
            "acknowledged",
            "failed",
            "unknown",
            "lost",
            "duplicates",
            "reordered",
        ];
        let mut parts = vec![
            ("outcome", self.ending.clone(), other.ending.clone()),
            (
                "length",
                Time(self.length).to_string(),
                Time(other.length).to_string(),
            ),
            ("events", self.events.to_string(), other.events.to_string()),
            ("messages", self.messages.to_string(), other.messages.to_string()),
        ];
        for (name, (one, two)) in COUNTS.iter().zip(self.counts.iter().zip(&other.counts)) {
            parts.push((name, one.to_string(), two.to_string()));
        }
        parts.push(("digest", self.digest.clone(), other.digest.clone()));
        let (name, one, two) = parts.into_iter().find(|(_, one, two)| one != two)?;
        Some(format!("{name} {one} and {two}"))
    }
}

/// Why a replay file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingError {
    /// It is none, or not a whole one.
    Malformed(ConfigError),
    /// Another version wrote it.
    OtherEngine(String),
}

impl Recording {
    /// Writes a trial down.
    pub fn of(scenario: &Scenario, detailed: &Detailed) -> Self {
        let trial = &detailed.trial;
        let fired = trial.fired.iter().map(|fired| RecordedFiring {
            entry: fired.entry,
            at: fired.at.0,
            nodes: fired
                .nodes
                .iter()
                .map(|node| detailed.layout.name(*node).to_owned())
                .collect(),
        });
        Recording {
            schema: RECORDING_SCHEMA.to_owned(),
            engine: ENGINE.to_owned(),
            scenario: RecordedScenario::of(scenario),
            seed: trial.seed,
            script: trial.script.clone(),
            fired: fired.collect(),
            footprint: Footprint::of(trial),
        }
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a recording has only text keys");
        text.push('\n');
        text
    }

    /// Reads a file's text; `path` names it in messages. Files of other engine versions only if `any_engine`.
    ///
    /// # Errors
    /// It is no replay file, or one of another version.
    pub fn read(path: &str, text: &str, any_engine: bool) -> Result<Self, RecordingError> {
        let malformed = |message: String, remedy: &str| {
            RecordingError::Malformed(ConfigError::anywhere(format!("{path}: {message}"), remedy))
        };
        let remedy = "`ktrial run SCENARIO --seed N --record FILE` writes one";
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| malformed(format!("no replay file: {error}"), remedy))?;
        match value.get("schema").and_then(|schema| schema.as_str()) {
            Some(RECORDING_SCHEMA) => {}
            Some(other) => {
                return Err(malformed(
                    format!("the schema is {other}, not {RECORDING_SCHEMA}"),
                    remedy,
                ));
            }
            None => return Err(malformed("no replay file: it has no schema".to_owned(), remedy)),
        }
        let engine = value.get("engine").and_then(|engine| engine.as_str());
        if engine != Some(ENGINE) && !any_engine {
            return Err(RecordingError::OtherEngine(engine.unwrap_or("nobody").to_owned()));
        }
        serde_json::from_str(text).map_err(|error| {
            malformed(
                format!("not a whole replay file: {error}"),
                "record the trial again",
            )
        })
    }

    /// The scenario as it was read then, its files included, with the recorded script in place of drawn faults.
    ///
    /// # Errors
    /// Everything that is wrong with the scenario, its files or the script.
    pub fn arm(&self) -> Result<Arm, Vec<ConfigError>> {
        let scenario = self.read_scenario()?;
        scenario.check_script(&self.script)?;
        let mut arm = scenario.arm(&[])?;
        Arc::make_mut(&mut arm.resolved).faults = FaultPlan::Explicit(Arc::new(self.script.clone()));
        Ok(arm)
    }

    fn read_scenario(&self) -> Result<Scenario, Vec<ConfigError>> {
        let mut contents = Vec::new();
        for file in &self.scenario.files {
            let scope = Scope::ALL.into_iter().find(|scope| scope.word() == file.scope);
            let bytes: Option<Vec<u8>> = file.content.chars().map(|c| u8::try_from(c).ok()).collect();
            let (Some(scope), Some(bytes)) = (scope, bytes) else {
                return Err(vec![ConfigError::anywhere(
                    format!(
                        "the replay file's {} settings ({}) are spoilt",
                        file.scope, file.path
                    ),
                    "record the trial again",
                )]);
            };
            let path = file.path.clone();
            contents.push((scope, PropertyFile { path, bytes }));
        }
        let overrides = Overrides {
            files: Vec::new(),
            contents,
            arm: self.scenario.arm.clone(),
            assignments: self.scenario.assignments.clone(),
            allow_unmodelled: self.scenario.allow_unmodelled.clone(),
        };
        Scenario::read(
            &self.scenario.name,
            &self.scenario.text,
            Path::new("."),
            &overrides,
        )
    }
}

#[cfg(test)]
mod tests {
    use ktrial_sim::Chance;

    use super::*;
    use crate::library::{LIBRARY, Source};

    #[test]
    fn every_script_of_the_library_is_read_as_it_is_written_and_can_be_carried_out() {
        for (name, text) in LIBRARY {
            let scenario = Source::BuiltIn(name, text).read(&Overrides::default()).unwrap();
            let arm = scenario.arm(&[]).unwrap();
            let FaultPlan::Drawn(faults) = &arm.resolved.faults else {
                panic!("{name} draws its faults");
            };
            for seed in 1..20 {
                let script = faults.expand(&Chance::new(seed), &scenario.node_names());
                let written = serde_json::to_string(&script).unwrap();
                assert_eq!(
                    serde_json::from_str::<Script>(&written).unwrap(),
                    script,
                    "{name}"
                );
                assert_eq!(scenario.check_script(&script), Ok(()), "{name}");
            }
        }
    }

    #[test]
    fn a_script_that_names_what_is_not_there_is_refused_entry_by_entry() {
        let scenario = Source::parse("@leader-loss")
            .unwrap()
            .read(&Overrides::default())
            .unwrap();
        let script = r#"{"entries":[
            {"trigger":{"at":"1s"},"action":{"kill":"b9"}},
            {"trigger":{"at":"1s"},"action":{"pause":"$old"}},
            {"trigger":{"at":"1s"},"action":{"hold":{"kinds":["Prodce"],"from":null,"to":null}}},
            {"trigger":{"at":"1s"},"action":{"open_cut":{"cut":"no-such","who":"b1","one_in":1,"longest":"1s"}}}
        ]}"#;
        let errors = scenario
            .check_script(&serde_json::from_str(script).unwrap())
            .unwrap_err();
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 4, "{texts:?}");
        assert!(texts[0].contains("script entry 0: no node b9"), "{texts:?}");
    }

    #[test]
    fn a_file_of_another_engine_is_told_from_a_file_that_is_none() {
        let other = format!("{{\"schema\":\"{RECORDING_SCHEMA}\",\"engine\":\"ktrial 0.0.1\"}}");
        assert_eq!(
            Recording::read("f", &other, false),
            Err(RecordingError::OtherEngine("ktrial 0.0.1".to_owned()))
        );
        for none in ["", "{}", "[]", "{\"schema\":\"ktrial.history/1\"}", &other] {
            assert!(
                matches!(
                    Recording::read("f", none, true),
                    Err(RecordingError::Malformed(_))
                ),
                "{none}"
            );
        }
    }
}
