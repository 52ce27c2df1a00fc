//! The scenarios of a test before anything runs: read, resolved, or what is wrong with them.

use std::collections::BTreeMap;

use ktrial_models::config::ConfigError;
use ktrial_scenarios::{Arm, Scenario, Selection, Source, regression_seeds};

use crate::arguments::TestArguments;
use crate::commands::{condensed_remarks, print_errors};

/// A scenario that can be run, and its regression seeds.
pub(super) struct Ready {
    pub(super) scenario: Scenario,
    pub(super) arm: Arm,
    pub(super) regression: Vec<u64>,
}

/// What a selected scenario is before anything runs.
pub(super) enum Prepared {
    Ready(Box<Ready>),
    Wrong(Option<Box<Scenario>>, Vec<ConfigError>),
    Refused(Box<Scenario>, Vec<String>),
}

impl Prepared {
    pub(super) fn ready(&self) -> Option<&Ready> {
        match self {
            Prepared::Ready(ready) => Some(ready),
            _ => None,
        }
    }
}

/// Reads every scenario. Two of one name cannot be told apart by a CI server: the later one is wrong.
pub(super) fn prepare(arguments: &TestArguments, selection: &Selection) -> Vec<(Source, Prepared)> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let overrides = arguments.settings.overrides();
    let prepare = |source: &Source| {
        let scenario = match source.read(&overrides) {
            Ok(scenario) => scenario,
            Err(errors) => return Prepared::Wrong(None, errors),
        };
        let place = scenario.place.to_string();
        if let Some(taken) = names.get(&scenario.name) {
            let error = ConfigError::at(
                &scenario.place,
                format!("the name {} is taken by {taken}", scenario.name),
                "give each scenario of a run a name of its own",
            );
            return Prepared::Wrong(None, vec![error]);
        }
        names.insert(scenario.name.clone(), place);
        let (arm, regression) = match (scenario.arm(&[]), regression_seeds(source)) {
            (Ok(arm), Ok(regression)) => (arm, regression),
            (arm, regression) => {
                let errors = [arm.err(), regression.err()].into_iter().flatten().flatten();
                return Prepared::Wrong(Some(Box::new(scenario)), errors.collect());
            }
        };
        if !arm.refusals().is_empty() {
            let reasons = arm.refusals().iter().map(ToString::to_string).collect();
            return Prepared::Refused(Box::new(scenario), reasons);
        }
        Prepared::Ready(Box::new(Ready {
            scenario,
            arm,
            regression: regression.iter().map(|kept| kept.seed).collect(),
        }))
    };
    let sources = selection.sources.iter().cloned();
    let prepared: Vec<Prepared> = selection.sources.iter().map(prepare).collect();
    sources.zip(prepared).collect()
}

/// What is wrong with a scenario is told before the others run, and so is what a user should know of its settings.
pub(super) fn tell(source: &Source, prepared: &Prepared) {
    let lines = match prepared {
        Prepared::Ready(ready) => {
            let remarks = condensed_remarks(std::slice::from_ref(&ready.arm));
            let shown = source.shown();
            // A remark that has a place says already which scenario it is about.
            let prefix = |remark: &&String| remark.starts_with(&shown);
            let (placed, others): (Vec<&String>, Vec<&String>) = remarks.iter().partition(prefix);
            let placed = placed.iter().map(|remark| format!("note: {remark}"));
            let others = others.iter().map(|remark| format!("note: {shown}: {remark}"));
            placed.chain(others).collect::<Vec<String>>()
        }
        Prepared::Wrong(_, errors) => errors.iter().map(|error| format!("error: {error}")).collect(),
        Prepared::Refused(_, reasons) => {
            let shown = source.shown();
            reasons
                .iter()
                .map(|reason| format!("{shown}: REFUSED  {reason}"))
                .collect::<Vec<_>>()
        }
    };
    print_errors(&lines);
}
