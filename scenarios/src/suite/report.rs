//! What a run of tests comes to.

use std::path::PathBuf;

use ktrial_models::config::{ConfigError, Place};

use super::check::{Check, CheckStatus, checks};
use super::runner::Finished;
use super::trial::TestedTrial;
use crate::assertion::Assertions;
use crate::sweep::Seeds;
use crate::workers::InternalError;

/// All scenarios of a run.
#[derive(Clone, Debug)]
pub struct SuiteReport {
    /// The scenarios in the order in which they were selected.
    pub scenarios: Vec<ScenarioReport>,
    /// The profile.
    pub profile: String,
    /// The seeds of every scenario, besides its regression seeds.
    pub seeds: Seeds,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// The time budget, if it was used up before all seeds were run.
    pub out_of_time: Option<ktrial_sim::Duration>,
    /// Whether a vacuous scenario fails.
    pub fail_on_vacuous: bool,
}

/// One scenario of a run.
#[derive(Clone, Debug)]
pub struct ScenarioReport {
    /// The scenario as it was selected.
    pub shown: String,
    /// Its name, as far as it could be read.
    pub name: Option<String>,
    /// Where its name stands in its file. Nothing for built-in scenarios.
    pub place: Option<Place>,
    /// What to type to run one trial of it, up to the seed.
    pub command: String,
    /// The file in which its regression seeds are kept. Nothing for built-in scenarios.
    pub regression_file: Option<PathBuf>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a scenario.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It, its settings or its regression seeds are wrong.
    Wrong(Vec<ConfigError>),
    /// Kafka itself would not start like this; its reasons.
    Refused(Vec<String>),
    /// It was run, or would have been if there had been time.
    Ran(Tested),
}

/// What a scenario's trials showed.
#[derive(Clone, Debug)]
pub struct Tested {
    /// How many trials there were to be.
    pub planned: usize,
    /// Seeds that were run because they once showed something.
    pub regression: Vec<u64>,
    /// The trials in the order of their seeds: regression seeds first.
    pub trials: Vec<TestedTrial>,
    /// Seeds with which ktrial itself failed, and what it said.
    pub panics: Vec<InternalError>,
    /// Every check.
    pub checks: Vec<Check>,
}

/// What a scenario comes to; the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Everything asserted held.
    Held,
    /// Nothing was put on trial.
    Vacuous,
    /// Something asserted did not hold.
    Failed,
    /// Wrong input, or settings with which Kafka would not start.
    Wrong,
    /// Something Kafka promises did not hold.
    Broken,
    /// ktrial itself failed.
    Panicked,
}

impl Tested {
    /// Judges what came of the seeds: regression seeds, and a range of them.
    pub fn of(assertions: &Assertions, regression: Vec<u64>, range: Seeds, finished: Vec<Finished>) -> Self {
        let (mut trials, mut panics) = (Vec::new(), Vec::new());
        for finished in finished {
            match finished {
                Ok(trial) => trials.push(trial),
                Err(panic) => panics.push(panic),
            }
        }
        let outside: Vec<u64> = regression
            .iter()
            .copied()
            .filter(|seed| !range.all().contains(seed))
            .collect();
        let planned = outside.len() + range.count() as usize;
        let checks = checks(assertions, &trials, &outside);
        Tested {
            planned,
            regression,
            trials,
            panics,
            checks,
        }
    }

    /// Whether seeds are missing.
    pub fn is_cut_short(&self) -> bool {
        self.trials.len() + self.panics.len() < self.planned
    }

    /// Whether in none of the trials anything was put on trial.
    pub fn is_vacuous(&self) -> bool {
        self.trials.iter().all(|trial| trial.vacuous.is_some())
    }

    /// What of the script happened in none of the trials, in words: a trigger that never comes, a moment after the end.
    pub fn never_fired(&self) -> Vec<String> {
        let Some((first, others)) = self.trials.split_first() else {
            return Vec::new();
        };
        let everywhere = |words: &&String| others.iter().all(|trial| trial.never_fired.contains(words));
        first.never_fired.iter().filter(everywhere).cloned().collect()
    }
}

impl ScenarioReport {
    /// What it comes to.
    pub fn status(&self) -> Status {
        let Outcome::Ran(tested) = &self.outcome else {
            return Status::Wrong;
        };
        let worst = tested.checks.iter().map(|check| check.status).max();
        if !tested.panics.is_empty() {
            return Status::Panicked;
        }
        match worst {
            Some(CheckStatus::Broken) => Status::Broken,
            Some(CheckStatus::Failed) => Status::Failed,
            _ if tested.is_vacuous() => Status::Vacuous,
            _ => Status::Held,
        }
    }

    /// Its name, or what it was selected by.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.shown)
    }

    /// What to type to run a seed of it.
    pub fn again(&self, seed: u64) -> String {
        format!("{} --seed {seed}", self.command)
    }
}
