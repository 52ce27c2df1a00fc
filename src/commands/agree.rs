//! `ktrial agree`: a recorded run beside the simulation of its experiment.

use std::sync::atomic::Ordering;

use ktrial_reports::{ToldAgreement, agreement_json, agreement_text};
use ktrial_scenarios::{AgreementSeeds, agree, comparable};

use crate::arguments::{AgreeArguments, Format};
use crate::commands::run::{refused, tell_remarks};
use crate::commands::{interruption, print, read_history, seeds_exist, worker_threads};
use crate::exit::{Exit, Outcome};
use crate::progress;

/// Runs the command.
pub fn run(arguments: &AgreeArguments) -> Outcome {
    seeds_exist(arguments.first_seed, arguments.seeds)?;
    let scenario = arguments.scenario.read()?;
    let arm = scenario.arm(&[])?;
    if let Some(exit) = refused(&arm) {
        return Ok(exit);
    }
    let history = read_history(&arguments.history)?;
    let shown = arguments.history.display().to_string();
    comparable(&shown, &history, &arm)?;

    let interrupted = interruption();
    let workers = worker_threads(arguments.workers);
    let seeds = AgreementSeeds {
        first: arguments.first_seed,
        count: arguments.seeds,
        most: arguments.seeds,
    };
    let bar = progress::bar(arguments.seeds);
    let agreement = agree(&history, &arm, seeds, workers, &interrupted, &|done| {
        bar.set_position(done as u64)
    });
    bar.finish_and_clear();

    let interrupted = interrupted.load(Ordering::Relaxed);
    let told = ToldAgreement {
        history: &shown,
        scenario: &arguments.scenario.scenario,
        agreement: &agreement,
        interrupted,
    };
    match arguments.format {
        Format::Text => {
            print(&agreement_text(&told))?;
            tell_remarks(&arm);
        }
        Format::Json => print(&format!("{:#}\n", agreement_json(&told)))?,
    }
    Ok(match (interrupted, agreement.disagreements().is_empty()) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Held,
        (false, false) => Exit::Failed,
    })
}
