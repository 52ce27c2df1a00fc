//! `ktrial test`: scenarios as tests.

mod prepared;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ktrial_models::config::ConfigError;
use ktrial_reports::{quoted, suite_github, suite_junit, suite_lines, suite_text};
use ktrial_scenarios::{
    Candidate, Profile, Profiles, ReportFormat, Scenario, ScenarioReport, Selection, SelectionError, Source,
    Status, SuiteReport, TestOutcome, Tested, regression_file, run_suite,
};

use self::prepared::{Prepared, Ready, prepare, tell};
use crate::arguments::TestArguments;
use crate::commands::{interruption, output_folder, print, print_errors, worker_threads, write_file};
use crate::exit::{Exit, Failure, Outcome};
use crate::progress;

/// More trials than that are a sweep: a test keeps what its trials showed in memory.
const MOST_TRIALS: u64 = 1_000_000;

/// Runs the command.
pub fn run(arguments: &TestArguments) -> Outcome {
    // From here on an interruption ends in results. A second handler cannot be set only if this process has one
    // already; then the default one ends it.
    let interrupted = interruption();
    let profile = profile(arguments)?;
    let to_files = check_formats(&profile)?;
    let selection = match Selection::of(&arguments.paths) {
        Ok(selection) => selection,
        Err(SelectionError::Wrong(errors)) => return Err(errors.into()),
        Err(SelectionError::Nothing) => {
            let paths = arguments.paths.join(" ");
            let line = format!("nothing selected: no scenario (*.yaml, *.yml) in {paths}");
            print_errors(&[line]);
            return Ok(Exit::NothingSelected);
        }
    };
    let prepared = prepare(arguments, &selection);
    let ready = || prepared.iter().filter_map(|(_, prepared)| prepared.ready());
    if (ready().count() as u64).saturating_mul(profile.seeds.count()) > MOST_TRIALS {
        return Err(ConfigError::anywhere(
            format!("seeds {} are more than {MOST_TRIALS} trials", profile.seeds),
            "`ktrial sweep` runs and resumes as many as you like",
        )
        .into());
    }
    let output = profile.output.as_deref().filter(|_| to_files);
    let output = output.map(output_folder).transpose()?;
    for (source, prepared) in &prepared {
        tell(source, prepared);
    }
    let candidates: Vec<Candidate> = ready()
        .map(|ready| Candidate::new(Arc::clone(&ready.arm.resolved), &ready.regression, profile.seeds))
        .collect();
    let suite = run_all(arguments, &profile, prepared, &candidates, &interrupted);
    write(&suite, &profile, output)?;
    Ok(exit(&suite))
}

/// The profile, with what the command line says instead.
fn profile(arguments: &TestArguments) -> Result<Profile, Failure> {
    let folder = std::env::current_dir()?;
    let mut profile = Profiles::find(&folder)?.profile(&arguments.profile)?;
    if let Some(seeds) = arguments.seeds {
        profile.seeds = seeds;
    }
    if !arguments.format.is_empty() {
        profile.formats.clone_from(&arguments.format);
    }
    profile.workers = arguments.workers.or(profile.workers);
    profile.output = arguments.output.clone().or(profile.output);
    profile.time_budget = arguments.time_budget.or(profile.time_budget);
    profile.fail_on_vacuous |= arguments.fail_on_vacuous;
    Ok(profile)
}

/// Whether something goes into files. JUnit XML and JSON Lines do, unless one of them is all that is asked for and
/// there is no folder: then it goes to standard output.
fn check_formats(profile: &Profile) -> Result<bool, Failure> {
    let filed = |format: &&ReportFormat| matches!(format, ReportFormat::Junit | ReportFormat::Jsonl);
    match profile.formats.iter().find(filed) {
        Some(format) if profile.output.is_none() && profile.formats.len() > 1 => Err(ConfigError::anywhere(
            format!("{format} beside other formats goes into a file, and there is no folder for it"),
            "give `--output DIR`",
        )
        .into()),
        Some(_) => Ok(profile.output.is_some()),
        None => Ok(false),
    }
}

fn run_all(
    arguments: &TestArguments,
    profile: &Profile,
    prepared: Vec<(Source, Prepared)>,
    candidates: &[Candidate],
    interrupted: &AtomicBool,
) -> SuiteReport {
    let workers = worker_threads(profile.workers);
    let begun = Instant::now();
    let late = || {
        profile
            .time_budget
            .is_some_and(|budget| begun.elapsed().as_nanos() >= u128::from(budget.0))
    };
    let bar = progress::bar(candidates.iter().map(|of| of.seeds.len() as u64).sum());
    let finished = run_suite(
        candidates,
        workers,
        &|| interrupted.load(Ordering::Relaxed) || late(),
        &|done| bar.set_position(done as u64),
    );
    bar.finish_and_clear();
    let mut finished = finished.into_iter();
    let scenarios: Vec<ScenarioReport> = prepared
        .into_iter()
        .map(|(source, prepared)| {
            let (scenario, outcome) = match prepared {
                Prepared::Ready(ready) => {
                    let finished = finished.next().expect("one list for each candidate");
                    let Ready {
                        scenario, regression, ..
                    } = *ready;
                    let tested = Tested::of(&scenario.assertions, regression, profile.seeds, finished);
                    (Some(scenario), TestOutcome::Ran(tested))
                }
                Prepared::Wrong(scenario, errors) => {
                    (scenario.map(|scenario| *scenario), TestOutcome::Wrong(errors))
                }
                Prepared::Refused(scenario, reasons) => (Some(*scenario), TestOutcome::Refused(reasons)),
            };
            report(arguments, &source, scenario, outcome)
        })
        .collect();
    let interrupted = interrupted.load(Ordering::Relaxed);
    let cut_short = scenarios.iter().any(|report| match &report.outcome {
        TestOutcome::Ran(tested) => tested.is_cut_short(),
        _ => false,
    });
    SuiteReport {
        scenarios,
        profile: profile.name.clone(),
        seeds: profile.seeds,
        interrupted,
        out_of_time: profile.time_budget.filter(|_| cut_short && !interrupted),
        fail_on_vacuous: profile.fail_on_vacuous,
    }
}

fn report(
    arguments: &TestArguments,
    source: &Source,
    scenario: Option<Scenario>,
    outcome: TestOutcome,
) -> ScenarioReport {
    let file = regression_file(source);
    let (name, place) = scenario.map(|scenario| (scenario.name, scenario.place)).unzip();
    ScenarioReport {
        shown: source.shown(),
        name,
        place: place.filter(|_| file.is_some()),
        command: format!(
            "ktrial run {}{}",
            quoted(&source.shown()),
            arguments.settings.options()
        ),
        regression_file: file,
        outcome,
    }
}

/// Writes what was asked for: text and annotations to standard output, the rest into files.
fn write(suite: &SuiteReport, profile: &Profile, output: Option<PathBuf>) -> Result<(), Failure> {
    for format in &profile.formats {
        let (name, content) = match format {
            ReportFormat::Text => {
                print(&suite_text(suite))?;
                continue;
            }
            ReportFormat::Github => {
                let root = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
                print(&suite_github(suite, root.as_deref()))?;
                continue;
            }
            ReportFormat::Junit => ("junit.xml", suite_junit(suite)),
            ReportFormat::Jsonl => ("results.jsonl", suite_lines(suite)),
        };
        match &output {
            Some(folder) => write_file(&folder.join(name), content.as_bytes())?,
            None => print(&content)?,
        }
    }
    Ok(())
}

/// The worst of all scenarios decides, in this order: a bug in ktrial, a broken promise, wrong input, a failed
/// assertion, nothing put on trial.
fn exit(suite: &SuiteReport) -> Exit {
    if suite.interrupted {
        return Exit::Interrupted;
    }
    let statuses: Vec<Status> = suite.scenarios.iter().map(ScenarioReport::status).collect();
    match statuses.iter().max() {
        Some(Status::Panicked) => Exit::Internal,
        Some(Status::Broken) => Exit::Broken,
        Some(Status::Wrong) => Exit::Usage,
        Some(Status::Failed) => Exit::Failed,
        Some(Status::Vacuous) if suite.fail_on_vacuous => Exit::Vacuous,
        Some(Status::Vacuous) if statuses.iter().all(|status| *status == Status::Vacuous) => Exit::Vacuous,
        _ => Exit::Held,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ktrial_models::config::Place;
    use ktrial_models::invariants::{Exposure, Invariant, Verdict};
    use ktrial_scenarios::{
        Assertions, Counts, Ending, InternalError, Seeds, TestedTrial, Vacuity, Violated, Witnessed,
    };
    use ktrial_sim::{Duration, Time};

    use super::*;

    fn trial(verdict: Option<Verdict>, vacuous: bool) -> TestedTrial {
        let violated = verdict.map(|verdict| Violated {
            invariant: Invariant::LostWrite,
            verdict,
            witnesses: 1,
            first: Witnessed {
                at: Time(5),
                clients_started: Time(2),
                says: "gone".to_owned(),
            },
        });
        TestedTrial {
            seed: 1,
            vacuous: vacuous.then_some(Vacuity::NothingAcknowledged),
            never_fired: Vec::new(),
            ending: Ending::Converged,
            counts: Counts::default(),
            groups: None,
            unwritable: Duration::ZERO,
            latencies: None,
            violated: violated.into_iter().collect(),
            unjudged: Vec::new(),
        }
    }

    fn scenario(asserted: bool, finished: Result<TestedTrial, InternalError>) -> ScenarioReport {
        let place = Place {
            path: "mine.yaml".into(),
            line: 1,
            column: 1,
        };
        let mut assertions = Assertions::all(&place);
        if !asserted {
            assertions.invariants.clear();
        }
        let one = Seeds { first: 1, last: 1 };
        ScenarioReport {
            shown: "mine.yaml".to_owned(),
            name: Some("mine".to_owned()),
            place: Some(place),
            command: "ktrial run mine.yaml".to_owned(),
            regression_file: Some(Path::new("mine.seeds").to_owned()),
            outcome: TestOutcome::Ran(Tested::of(&assertions, Vec::new(), one, vec![finished])),
        }
    }

    fn exit_of(scenarios: &[&ScenarioReport], fail_on_vacuous: bool) -> Exit {
        exit(&SuiteReport {
            scenarios: scenarios.iter().copied().cloned().collect(),
            profile: "default".to_owned(),
            seeds: Seeds { first: 1, last: 1 },
            interrupted: false,
            out_of_time: None,
            fail_on_vacuous,
        })
    }

    #[test]
    fn the_worst_scenario_decides_how_the_command_ends() {
        let held = scenario(true, Ok(trial(None, false)));
        let vacuous = scenario(true, Ok(trial(None, true)));
        let exposed = trial(Some(Verdict::Exposed(Exposure::AcksOne)), false);
        let failed = scenario(true, Ok(exposed.clone()));
        let told = scenario(false, Ok(exposed));
        let mut wrong = held.clone();
        wrong.outcome = TestOutcome::Wrong(vec![ConfigError::anywhere("no", "")]);
        let broken = scenario(false, Ok(trial(Some(Verdict::Broken), false)));
        let message = "oh".to_owned();
        let panicked = scenario(true, Err(InternalError { seed: 1, message }));
        assert_eq!(exit_of(&[&held, &told], true), Exit::Held);
        assert_eq!(exit_of(&[&held, &vacuous], false), Exit::Held);
        assert_eq!(
            exit_of(&[&vacuous], false),
            Exit::Vacuous,
            "nothing at all was put on trial"
        );
        assert_eq!(exit_of(&[&held, &vacuous], true), Exit::Vacuous);
        assert_eq!(exit_of(&[&vacuous, &failed, &held], true), Exit::Failed);
        assert_eq!(exit_of(&[&failed, &wrong], true), Exit::Usage);
        assert_eq!(
            exit_of(&[&wrong, &broken, &failed], true),
            Exit::Broken,
            "a broken promise fails although it is not asserted"
        );
        assert_eq!(exit_of(&[&panicked, &broken], true), Exit::Internal);
    }
}
