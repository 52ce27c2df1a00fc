//! `ktrial sweep`: one scenario, many seeds, results that outlive this process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;

use ktrial_models::config::ConfigError;
use ktrial_reports::{ArmOutcome, Comparison, comparison, comparison_json, comparison_text};
use ktrial_scenarios::{
    ArmSummary, ArmVerdict, Journal, JournalError, Seeds, Shard, SweepHeader, Tally, TrialLine, run_in_order,
};

use crate::arguments::{Format, SweepArguments};
use crate::commands::run::refused;
use crate::commands::{condensed_remarks, interruption, print, worker_threads, write_file};
use crate::exit::{Exit, Failure, Outcome};
use crate::progress;

/// Runs the command.
pub fn run(arguments: &SweepArguments) -> Outcome {
    let scenario = arguments.scenario.read()?;
    let arm = scenario.arm(&[])?;
    if let Some(exit) = refused(&arm) {
        return Ok(exit);
    }
    let shard = arguments.shard.as_deref().map(shard).transpose()?;
    let header = SweepHeader::new(
        &scenario,
        &arguments.scenario.scenario,
        arguments.scenario.command(),
        arguments.seeds,
        shard,
    );
    let mut tally = Tally::default();
    let mut journal = Journal::open(&arguments.output, &header, arguments.resume, |line| {
        tally.add(line);
    })?;
    let interrupted = interruption();
    if let Some(seeds) = header.own_seeds() {
        let done = tally.trials();
        let bar = progress::bar(seeds.count());
        bar.set_position(done);
        bar.reset_eta();
        if done < seeds.count() {
            let left = Seeds {
                first: seeds.first + done,
                last: seeds.last,
            };
            let workers = worker_threads(arguments.workers);
            run_in_order(&arm.resolved, left, workers, &interrupted, |row| {
                let line = TrialLine::of(&row?, BTreeMap::new());
                tally.add(&line);
                bar.inc(1);
                journal.trial(&line).map_err(Failure::from)
            })?;
        }
        bar.finish_and_clear();
    }
    journal.finish()?;
    let interrupted = interrupted.load(Ordering::Relaxed);
    let unfinished = interrupted.then_some("goes on with --resume");
    let remarks = condensed_remarks(std::slice::from_ref(&arm));
    conclude(
        &header,
        tally.finish(None),
        remarks,
        unfinished,
        &arguments.output,
        arguments.format,
    )
}

fn shard(text: &str) -> Result<Shard, Failure> {
    let told = Shard::told(text, |name| std::env::var(name).ok());
    told.map_err(|error| ConfigError::anywhere(format!("--shard {text}"), error.to_string()).into())
}

/// Prints what a results file comes to and writes it beside the file.
pub fn conclude(
    header: &SweepHeader,
    summary: ArmSummary,
    remarks: Vec<String>,
    unfinished: Option<&str>,
    folder: &Path,
    format: Format,
) -> Outcome {
    let verdict = summary.verdict();
    let seeds = header.own_seeds();
    let comparison = Comparison {
        scenario: header.scenario.clone(),
        about: header.about.clone(),
        command: header.command.clone(),
        seeds: seeds.map_or((header.seeds.first, 0), |seeds| (seeds.first, seeds.count())),
        arms: vec![comparison::ComparedArm {
            name: None,
            settings: Vec::new(),
            outcome: ArmOutcome::Ran(Box::new(summary)),
        }],
        remarks,
        interrupted: unfinished.is_some(),
    };
    let json = format!("{:#}\n", comparison_json(&comparison));
    match format {
        Format::Text => print(&comparison_text(&comparison))?,
        Format::Json => print(&json)?,
    }
    if let Some(how) = unfinished {
        eprintln!("interrupted; {} {how}", folder.display());
        return Ok(Exit::Interrupted);
    }
    write_file(&folder.join("summary.json"), json.as_bytes())?;
    Ok(match verdict {
        ArmVerdict::Broken => Exit::Broken,
        ArmVerdict::Vacuous if seeds.is_some() => Exit::Vacuous,
        _ => Exit::Held,
    })
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Failure::Output(error.to_string())
    }
}
