//! `ktrial run`: one trial, told as a story.

use ktrial_models::config::ConfigError;
use ktrial_models::invariants::Verdict;
use ktrial_reports::{Asked, run_story};
use ktrial_scenarios::{
    Arm, Bench, Detailed, Keep, Recording, Trial, check_determinism, history, parse_duration,
};
use ktrial_sim::Duration;

use crate::arguments::{Format, RunArguments};
use crate::commands::{condensed_remarks, print, print_errors, writable, write_file};
use crate::exit::{Exit, Outcome};

/// Runs the command.
pub fn run(arguments: &RunArguments) -> Outcome {
    let scenario = arguments.scenario.read()?;
    let instants = instants(&arguments.at)?;
    let arm = scenario.arm(&[])?;
    for path in [&arguments.history, &arguments.record].into_iter().flatten() {
        writable(path)?;
    }
    if let Some(exit) = refused(&arm) {
        return Ok(exit);
    }
    if arguments.check_determinism {
        return determinism(&arm, arguments.seed);
    }
    let detailed = run_with_story(&arm, arguments.seed);
    if let Some(path) = &arguments.history {
        let mut bytes = Vec::new();
        history(&arm, &detailed).write(&mut bytes)?;
        write_file(path, &bytes)?;
    }
    if let Some(path) = &arguments.record {
        write_file(path, Recording::of(&scenario, &detailed).to_json().as_bytes())?;
    }
    let asked = Asked {
        scenario: &arguments.scenario.scenario,
        about: &scenario.about,
        instants: &instants,
        reproduce: format!("{} --seed {}", arguments.scenario.command(), arguments.seed),
    };
    let story = run_story(&arm, &detailed, &asked);
    match arguments.format {
        Format::Text => {
            print(&story.text())?;
            tell_remarks(&arm);
        }
        Format::Json => {
            let json = serde_json::to_string_pretty(&story).expect("a story has only text keys");
            print(&(json + "\n"))?;
        }
    }
    Ok(exit(&detailed.trial))
}

/// Remarks on settings go to standard error: they are about the input, not about what happened.
pub fn tell_remarks(arm: &Arm) {
    for remark in condensed_remarks(std::slice::from_ref(arm)) {
        eprintln!("note: {remark}");
    }
}

/// Instants after the clients' start.
pub fn instants(texts: &[String]) -> Result<Vec<Duration>, Vec<ConfigError>> {
    let (mut instants, mut errors) = (Vec::new(), Vec::new());
    for text in texts {
        match parse_duration(text) {
            Ok(instant) => instants.push(instant),
            Err(message) => {
                errors.push(ConfigError::anywhere(
                    format!("--at {text}: {message}"),
                    "times count from the clients' start",
                ));
            }
        }
    }
    if errors.is_empty() {
        Ok(instants)
    } else {
        Err(errors)
    }
}

/// The exit code if Kafka would not start with these settings, after saying why.
pub fn refused(arm: &Arm) -> Option<Exit> {
    let refusals = arm.refusals();
    let reasons: Vec<String> = refusals
        .iter()
        .map(|refusal| format!("REFUSED  {refusal}"))
        .collect();
    print_errors(&reasons);
    (!refusals.is_empty()).then_some(Exit::Usage)
}

/// One trial with everything that stories need.
pub fn run_with_story(arm: &Arm, seed: u64) -> Detailed {
    let keep = Keep {
        story: true,
        ..Keep::default()
    };
    Bench::default().run(&arm.resolved, seed, keep)
}

/// What a trial comes to. Like a comparison, a run asks: what is exposed is an answer and no failure.
pub fn exit(trial: &Trial) -> Exit {
    let broken = trial
        .findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Broken);
    match (broken, trial.is_vacuous()) {
        (true, _) => Exit::Broken,
        (false, true) => Exit::Vacuous,
        (false, false) => Exit::Held,
    }
}

fn determinism(arm: &Arm, seed: u64) -> Outcome {
    match check_determinism(&arm.resolved, seed) {
        Ok(footprint) => {
            print(&format!(
                "seed {seed}: the same in five runs (memory fresh and used, story and causes kept and not, with and \
                 without judges, faults drawn and by script): digest {}, {}, {}, {} events, {} messages\n",
                footprint.digest,
                footprint.ending,
                ktrial_sim::Time(footprint.length),
                footprint.events,
                footprint.messages
            ))?;
            Ok(Exit::Held)
        }
        Err(difference) => {
            print(&format!(
                "seed {seed}: DIVERGED when run again {}: {}\nfirst digest {}, second digest {}\n",
                difference.second, difference.what, difference.one.digest, difference.other.digest
            ))?;
            Ok(Exit::Diverged)
        }
    }
}
