//! `ktrial replay`: the same trial again, and the proof that it is the same.

use std::path::Path;

use ktrial_models::config::ConfigError;
use ktrial_reports::{Asked, RunStory, run_story};
use ktrial_scenarios::{Arm, ENGINE, Footprint, Recording, RecordingError, Source, read_file};

use crate::arguments::{Format, ReplayArguments};
use crate::commands::print;
use crate::commands::run::{exit, instants, refused, run_with_story};
use crate::exit::{Exit, Failure, Outcome};

/// Runs the command.
pub fn run(arguments: &ReplayArguments) -> Outcome {
    let instants = instants(&arguments.at)?;
    let path = Path::new(&arguments.what);
    match named_seed(&arguments.what).filter(|_| !path.exists()) {
        Some((scenario, seed)) => {
            let read = Source::parse(scenario)?.read(&arguments.settings.overrides())?;
            let arm = read.arm(&[])?;
            if let Some(exit) = refused(&arm) {
                return Ok(exit);
            }
            let recorded = Footprint::of(&run_with_story(&arm, seed).trial);
            let asked = Asked {
                scenario,
                about: &read.about,
                instants: &instants,
                reproduce: format!("ktrial replay {}{}", arguments.what, arguments.settings.options()),
            };
            again(arguments, &arm, seed, Some(&recorded), &asked)
        }
        None => file(arguments, path, &instants),
    }
}

/// `SCENARIO@SEED` in its parts.
fn named_seed(what: &str) -> Option<(&str, u64)> {
    let (scenario, seed) = what.rsplit_once('@')?;
    let seed = seed.parse().ok()?;
    (!scenario.is_empty()).then_some((scenario, seed))
}

fn file(arguments: &ReplayArguments, path: &Path, instants: &[ktrial_sim::Duration]) -> Outcome {
    let shown = &arguments.what;
    if !arguments.settings.options().is_empty() {
        return Err(ConfigError::anywhere(
            format!("{shown} brings its own settings"),
            "leave the options out; `ktrial run` runs the scenario with others",
        )
        .into());
    }
    let text = read_file(path).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
    });
    let text = text.map_err(|error| {
        ConfigError::anywhere(
            format!("cannot read {shown}: {error}"),
            "give a file of `ktrial run --record FILE`, or SCENARIO@SEED, for instance @leader-loss@7",
        )
    })?;
    let recording = Recording::read(shown, &text, arguments.script_only).map_err(|error| match error {
        RecordingError::Malformed(error) => Failure::from(error),
        RecordingError::OtherEngine(other) => ConfigError::anywhere(
            format!(
                "{shown} was recorded by {other}, and this is {ENGINE}: the same seed need not do the same"
            ),
            "`--script-only` carries out its script here, without comparing digests",
        )
        .into(),
    })?;
    let arm = recording.arm()?;
    if let Some(exit) = refused(&arm) {
        return Ok(exit);
    }
    let asked = Asked {
        scenario: &recording.scenario.name,
        about: "",
        instants,
        reproduce: format!("ktrial replay {shown}"),
    };
    let recorded = (!arguments.script_only).then_some(&recording.footprint);
    again(arguments, &arm, recording.seed, recorded, &asked)
}

/// Runs the trial and compares it with what was recorded.
fn again(
    arguments: &ReplayArguments,
    arm: &Arm,
    seed: u64,
    recorded: Option<&Footprint>,
    asked: &Asked<'_>,
) -> Outcome {
    let detailed = run_with_story(arm, seed);
    let now = Footprint::of(&detailed.trial);
    let difference = recorded.and_then(|recorded| recorded.difference(&now));
    let proof = match (recorded, &difference) {
        (None, _) => format!(
            "the script was carried out; digest {} was compared with nothing",
            now.digest
        ),
        (Some(_), None) => format!(
            "the same: digest {}, {}, {}, {} events, {} messages",
            now.digest,
            now.ending,
            ktrial_sim::Time(now.length),
            now.events,
            now.messages
        ),
        (Some(recorded), Some(difference)) => format!(
            "DIVERGED: recorded digest {}, digest now {}; first difference: {difference}",
            recorded.digest, now.digest
        ),
    };
    let story = run_story(arm, &detailed, asked);
    print(&match arguments.format {
        Format::Text => format!("{}\n{proof}\n", story.text()),
        Format::Json => json(&story, recorded, &now, difference.as_deref()),
    })?;
    Ok(match difference {
        Some(_) => Exit::Diverged,
        None => exit(&detailed.trial),
    })
}

fn json(story: &RunStory, recorded: Option<&Footprint>, now: &Footprint, difference: Option<&str>) -> String {
    let value = serde_json::json!({
        "replay": {
            "same": recorded.map(|_| difference.is_none()),
            "first_difference": difference,
            "recorded": recorded,
            "now": now,
        },
        "story": story,
    });
    format!("{value:#}\n")
}
