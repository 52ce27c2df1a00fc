//! `ktrial compare`: the same failures against several settings.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ktrial_models::config::ConfigError;
use ktrial_reports::{
    ArmOutcome, Comparison, comparison, comparison_json, comparison_svg, comparison_text, trial_lines,
};
use ktrial_scenarios::{Arm, ArmVerdict, InternalError, Variation, combinations, sweep};

use crate::arguments::{CompareArguments, Format};
use crate::commands::{
    condensed_remarks, interruption, output_folder, print, seeds_exist, worker_threads, write_file,
};
use crate::exit::{Exit, Failure, Outcome};
use crate::progress;

/// Runs the command.
pub fn run(arguments: &CompareArguments) -> Outcome {
    seeds_exist(arguments.first_seed, arguments.seeds)?;
    let scenario = arguments.scenario.read()?;
    let variations = arguments
        .vary
        .iter()
        .map(|text| Variation::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    let names: Vec<Option<String>> = match (&arguments.scenario.arm, scenario.arms.is_empty()) {
        (None, false) => scenario.arms.iter().cloned().map(Some).collect(),
        _ => vec![None],
    };
    let (mut distinctions, mut arms) = (Vec::new(), Vec::new());
    for name in names {
        let scenario = match &name {
            Some(_) => arguments.scenario.read_arm(name.as_deref())?,
            None => scenario.clone(),
        };
        for assignments in combinations(&variations) {
            arms.push(scenario.arm(&assignments)?);
            distinctions.push((name.clone(), assignments));
        }
    }
    distinct(&distinctions, &arms)?;
    let output = arguments.output.as_deref().map(output_folder).transpose()?;

    let willing: Vec<_> = arms
        .iter()
        .filter(|arm| arm.refusals().is_empty())
        .map(|arm| Arc::clone(&arm.resolved))
        .collect();
    let interrupted = interruption();
    let workers = worker_threads(arguments.workers);
    let seeds = arguments.first_seed..arguments.first_seed + arguments.seeds;
    let bar = progress::bar(willing.len() as u64 * arguments.seeds);
    let swept = sweep(&willing, seeds, workers, &interrupted, &|done| {
        bar.set_position(done as u64)
    });
    bar.finish_and_clear();

    let comparison = gather(
        arguments,
        &scenario.about,
        distinctions,
        &arms,
        swept.summaries,
        interrupted.load(Ordering::Relaxed),
    );
    match arguments.format {
        Format::Text => print(&comparison_text(&comparison))?,
        Format::Json => print(&format!("{:#}\n", comparison_json(&comparison)))?,
    }
    if let Some(folder) = output {
        write_file(
            &folder.join("comparison.svg"),
            comparison_svg(&comparison).as_bytes(),
        )?;
        write_file(
            &folder.join("comparison.json"),
            format!("{:#}\n", comparison_json(&comparison)).as_bytes(),
        )?;
        write_file(
            &folder.join("trials.jsonl"),
            trial_lines(&comparison, &swept.rows).as_bytes(),
        )?;
    }
    tell_errors(&comparison, &swept.errors);
    Ok(match swept.errors.is_empty() {
        true => exit(&comparison),
        false => Exit::Internal,
    })
}

/// Arms that run with the same settings say nothing beside each other: one `--vary` overrules another.
fn distinct(distinctions: &[(Option<String>, Vec<String>)], arms: &[Arm]) -> Result<(), ConfigError> {
    let settings = |arm: &Arm| -> Vec<String> {
        let values = arm.settings.values.iter();
        let each = values.flat_map(|values| values.iter().map(|effective| effective.shown().to_owned()));
        each.collect()
    };
    type Distinction = (Option<String>, Vec<String>);
    let mut known: Vec<(&Distinction, Vec<String>)> = Vec::new();
    for (distinction, arm) in distinctions.iter().zip(arms) {
        if !arm.refusals().is_empty() {
            continue;
        }
        let settings = settings(arm);
        let same = known
            .iter()
            .find(|((name, _), other)| *name == distinction.0 && *other == settings);
        if let Some(((_, first), _)) = same {
            return Err(ConfigError::anywhere(
                format!(
                    "--vary: the arms `{}` and `{}` have the same settings",
                    first.join(" "),
                    distinction.1.join(" ")
                ),
                "give all values of a setting in one --vary",
            ));
        }
        known.push((distinction, settings));
    }
    Ok(())
}

/// Says in which trials ktrial itself failed; `errors` number the arms that ran.
fn tell_errors(comparison: &Comparison, errors: &[(usize, InternalError)]) {
    let ran = |arm: &&comparison::ComparedArm| matches!(arm.outcome, ArmOutcome::Ran(_));
    let ran: Vec<&comparison::ComparedArm> = comparison.arms.iter().filter(ran).collect();
    for (arm, error) in errors {
        eprintln!("{error}; it is in no number above, please report it");
        eprintln!("again: {}", comparison.again(ran[*arm], error.seed));
    }
}

fn gather(
    arguments: &CompareArguments,
    about: &str,
    distinctions: Vec<(Option<String>, Vec<String>)>,
    arms: &[Arm],
    summaries: Vec<ktrial_scenarios::ArmSummary>,
    interrupted: bool,
) -> Comparison {
    let mut summaries = summaries.into_iter();
    let compared = distinctions.into_iter().zip(arms).map(|((name, settings), arm)| {
        let outcome = if arm.refusals().is_empty() {
            ArmOutcome::Ran(Box::new(
                summaries.next().expect("one summary for each arm that ran"),
            ))
        } else {
            ArmOutcome::Refused(arm.refusals().iter().map(ToString::to_string).collect())
        };
        comparison::ComparedArm {
            name,
            settings,
            outcome,
        }
    });
    let compared = compared.collect();
    Comparison {
        scenario: arguments.scenario.scenario.clone(),
        about: about.to_owned(),
        command: arguments.scenario.command(),
        seeds: (arguments.first_seed, arguments.seeds),
        arms: compared,
        remarks: condensed_remarks(arms),
        interrupted,
    }
}

/// A comparison asks, so what is exposed is an answer and no failure.
fn exit(comparison: &Comparison) -> Exit {
    if comparison.interrupted {
        return Exit::Interrupted;
    }
    let verdicts: Vec<ArmVerdict> = comparison
        .arms
        .iter()
        .filter_map(|arm| match &arm.outcome {
            ArmOutcome::Ran(summary) => Some(summary.verdict()),
            ArmOutcome::Refused(_) => None,
        })
        .collect();
    if verdicts.contains(&ArmVerdict::Broken) {
        Exit::Broken
    } else if verdicts.is_empty() {
        Exit::Usage
    } else if verdicts.iter().all(|verdict| *verdict == ArmVerdict::Vacuous) {
        Exit::Vacuous
    } else {
        Exit::Held
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Output(error.to_string())
    }
}
