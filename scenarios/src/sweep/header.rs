//! What a results file is of.

use ktrial_sim::Digest;
use serde::{Deserialize, Serialize};

use super::{Seeds, Shard};
use crate::record::{ENGINE, RecordedScenario};
use crate::scenario::Scenario;

/// The name of the format.
pub const SWEEP_SCHEMA: &str = "ktrial.sweep/1";

/// The first line of a results file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepHeader {
    /// [`SWEEP_SCHEMA`].
    pub schema: String,
    /// Which version ran it.
    pub engine: String,
    /// The scenario as the user named it.
    pub scenario: String,
    /// What it is about.
    pub about: String,
    /// What to type to run one trial of it, up to the seed.
    pub command: String,
    /// A digest of the scenario's text, its files and assignments, in hexadecimal.
    pub manifest: String,
    /// All seeds of the sweep.
    pub seeds: Seeds,
    /// Which part of them is here; all of them if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shard: Option<Shard>,
}

impl SweepHeader {
    /// Of a sweep that this version runs. `command` runs one of its trials, up to the seed.
    pub fn new(
        scenario: &Scenario,
        named: &str,
        command: String,
        seeds: Seeds,
        shard: Option<Shard>,
    ) -> Self {
        SweepHeader {
            schema: SWEEP_SCHEMA.to_owned(),
            engine: ENGINE.to_owned(),
            scenario: named.to_owned(),
            about: scenario.about.clone(),
            command,
            manifest: format!("{:016x}", digest(&RecordedScenario::of(scenario))),
            seeds,
            shard,
        }
    }

    /// The seeds of this part; none if there are fewer seeds than parts.
    pub fn own_seeds(&self) -> Option<Seeds> {
        match self.shard {
            None => Some(self.seeds),
            Some(shard) => self.seeds.part(shard.index, shard.count),
        }
    }

    /// The first thing in which two headers of the same sweep must agree and do not: its name and both values.
    pub fn difference(&self, other: &SweepHeader) -> Option<(&'static str, String, String)> {
        let shard = |header: &SweepHeader| header.shard.map_or("all".to_owned(), |shard| shard.to_string());
        let pairs = [
            ("version", self.engine.clone(), other.engine.clone()),
            ("scenario", self.scenario.clone(), other.scenario.clone()),
            (
                "text, files or settings of the scenario",
                self.manifest.clone(),
                other.manifest.clone(),
            ),
            ("seeds", self.seeds.to_string(), other.seeds.to_string()),
            ("part", shard(self), shard(other)),
        ];
        pairs.into_iter().find(|(_, one, two)| one != two)
    }

    /// The header's text, with its end.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string(self).expect("a header has only text keys");
        text.push('\n');
        text
    }
}

fn digest(scenario: &RecordedScenario) -> u64 {
    let text = serde_json::to_string(scenario).expect("a scenario has only text keys");
    let mut digest = Digest::default();
    for chunk in text.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        digest.fold(u64::from_le_bytes(word), chunk.len() as u64);
    }
    digest.value()
}
