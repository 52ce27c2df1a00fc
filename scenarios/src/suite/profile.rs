//! Profiles of tests, kept in `ktrial.yaml`: how much is run, where, and what is written of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ktrial_models::config::{ConfigError, nearest};
use ktrial_sim::Duration;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::format::ReportFormat;
use crate::file::Text;
use crate::input::read_note;
use crate::places::Places;
use crate::span::parse_duration;
use crate::sweep::Seeds;

/// The file in which profiles are kept: the first one found from the working directory upwards.
pub(super) const PROFILES_FILE: &str = "ktrial.yaml";

/// Profiles that a file can have.
const MOST_PROFILES: usize = 200;

/// How tests are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The seeds of every scenario.
    pub seeds: Seeds,
    /// How many threads run trials; as many as there are cores if not given.
    pub workers: Option<usize>,
    /// What is written.
    pub formats: Vec<ReportFormat>,
    /// The folder for what goes into files.
    pub output: Option<PathBuf>,
    /// After so much time no trial is begun.
    pub time_budget: Option<Duration>,
    /// Whether a scenario that puts nothing on trial fails.
    pub fail_on_vacuous: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfilesFile {
    #[serde(default)]
    profiles: BTreeMap<String, ProfileFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProfileFile {
    extends: Option<Text>,
    seeds: Option<Text>,
    workers: Option<Spanned<usize>>,
    format: Option<Spanned<Words>>,
    output: Option<Text>,
    time_budget: Option<Text>,
    fail_on_vacuous: Option<bool>,
}

/// `text,junit` or `[text, junit]`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Words {
    Together(String),
    Apart(Vec<String>),
}

impl Words {
    fn all(&self) -> Vec<&str> {
        match self {
            Words::Together(text) => text.split(',').collect(),
            Words::Apart(words) => words.iter().map(String::as_str).collect(),
        }
    }
}

/// What a profile says itself.
#[derive(Clone, Debug, Default)]
struct Layer {
    extends: Option<String>,
    seeds: Option<Seeds>,
    workers: Option<usize>,
    formats: Option<Vec<ReportFormat>>,
    output: Option<PathBuf>,
    time_budget: Option<Duration>,
    fail_on_vacuous: Option<bool>,
}

/// All profiles: those of the file and ktrial's own.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    shown: Option<String>,
    layers: BTreeMap<String, Layer>,
}

const DEFAULT: &str = "default";

/// ktrial's own profiles by name, with what they build on.
fn own(name: &str) -> Option<(Layer, Option<&'static str>)> {
    let seeds = |last| Some(Seeds { first: 1, last });
    match name {
        DEFAULT => Some((
            Layer {
                seeds: seeds(100),
                formats: Some(vec![ReportFormat::Text]),
                fail_on_vacuous: Some(false),
                ..Layer::default()
            },
            None,
        )),
        "ci" => Some((
            Layer {
                seeds: seeds(200),
                fail_on_vacuous: Some(true),
                ..Layer::default()
            },
            Some(DEFAULT),
        )),
        "nightly" => Some((
            Layer {
                seeds: seeds(2_000),
                ..Layer::default()
            },
            Some("ci"),
        )),
        _ => None,
    }
}

const OWN: [&str; 3] = [DEFAULT, "ci", "nightly"];

impl Profiles {
    /// Reads `ktrial.yaml` of this folder or of the first one above it that has one. Without the file there are
    /// ktrial's own profiles.
    ///
    /// # Errors
    /// A file that cannot be read, and everything that is wrong with it.
    pub fn find(folder: &Path) -> Result<Self, Vec<ConfigError>> {
        let Some(above) = folder
            .ancestors()
            .find(|above| above.join(PROFILES_FILE).is_file())
        else {
            return Ok(Profiles::default());
        };
        let shown = match above == folder {
            true => PROFILES_FILE.to_owned(),
            false => above.join(PROFILES_FILE).display().to_string(),
        };
        let text = read_note(&above.join(PROFILES_FILE))
            .map_err(|error| vec![ConfigError::anywhere(format!("cannot read {shown}: {error}"), "")])?;
        let base = if above == folder { Path::new("") } else { above };
        Profiles::read(&shown, &text, base)
    }

    /// Reads the text of such a file. `base` is put before folders that are given as relative.
    fn read(shown: &str, text: &str, base: &Path) -> Result<Self, Vec<ConfigError>> {
        let places = Places::new(shown);
        let file: ProfilesFile = places.read(text).map_err(|error| vec![error])?;
        if file.profiles.len() > MOST_PROFILES {
            let message = format!("{} profiles", file.profiles.len());
            let remedy = format!("a file can have at most {MOST_PROFILES}");
            return Err(vec![ConfigError::at(&places.top(), message, remedy)]);
        }
        let mut errors = Vec::new();
        let layers = file
            .profiles
            .iter()
            .map(|(name, profile)| (name.clone(), layer(profile, base, &places, &mut errors)));
        let profiles = Profiles {
            shown: Some(shown.to_owned()),
            layers: layers.collect(),
        };
        for (name, profile) in &file.profiles {
            let Some(extends) = &profile.extends else { continue };
            if let Err((message, remedy)) = profiles.chain(name) {
                errors.push(places.error(extends, message, remedy));
            }
        }
        if errors.is_empty() {
            Ok(profiles)
        } else {
            Err(errors)
        }
    }

    /// The profile of this name, with what it takes from those it builds on.
    ///
    /// # Errors
    /// No such profile.
    pub fn profile(&self, name: &str) -> Result<Profile, ConfigError> {
        let chain = self
            .chain(name)
            .map_err(|(message, remedy)| ConfigError::anywhere(message, remedy))?;
        let mut all = Layer::default();
        for layer in chain {
            all = Layer {
                extends: None,
                seeds: all.seeds.or(layer.seeds),
                workers: all.workers.or(layer.workers),
                formats: all.formats.or(layer.formats),
                output: all.output.or(layer.output),
                time_budget: all.time_budget.or(layer.time_budget),
                fail_on_vacuous: all.fail_on_vacuous.or(layer.fail_on_vacuous),
            };
        }
        let own = own(DEFAULT).expect("it is the first one").0;
        Ok(Profile {
            name: name.to_owned(),
            seeds: all.seeds.or(own.seeds).expect("the default has seeds"),
            workers: all.workers,
            formats: all.formats.or(own.formats).expect("the default has a format"),
            output: all.output,
            time_budget: all.time_budget,
            fail_on_vacuous: all.fail_on_vacuous.unwrap_or(false),
        })
    }

    /// A profile and all it builds on, the nearest first. One that does not say builds on ktrial's own of the same
    /// name, or on the default.
    fn chain(&self, name: &str) -> Result<Vec<Layer>, (String, String)> {
        let mut chain = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        let mut next = Some(name.to_owned());
        while let Some(name) = next {
            if seen.contains(&name) {
                let message = format!("profile {name} builds on itself: {} -> {name}", seen.join(" -> "));
                return Err((message, "leave one `extends` out".to_owned()));
            }
            let (of_file, own) = (self.layers.get(&name), own(&name));
            if of_file.is_none() && own.is_none() {
                return Err(self.unknown(&name));
            }
            chain.extend(of_file.cloned());
            next = match (of_file.and_then(|layer| layer.extends.clone()), own) {
                (Some(extends), _) => Some(extends),
                (None, Some((layer, parent))) => {
                    chain.push(layer);
                    parent.map(str::to_owned)
                }
                (None, None) => Some(DEFAULT.to_owned()),
            };
            seen.push(name);
        }
        Ok(chain)
    }

    fn unknown(&self, name: &str) -> (String, String) {
        let of_file = self.layers.keys().map(String::as_str);
        let mut names: Vec<&str> = OWN.into_iter().chain(of_file).collect();
        names.dedup();
        let remedy = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there are {}", names.join(", ")),
        };
        let file = match &self.shown {
            Some(shown) => format!(" in {shown}"),
            None => format!(", and no {PROFILES_FILE} in this folder or above it"),
        };
        (format!("no profile {name}{file}"), remedy)
    }
}

fn layer(file: &ProfileFile, base: &Path, places: &Places, errors: &mut Vec<ConfigError>) -> Layer {
    let seeds = file.seeds.as_ref().and_then(|text| {
        let seeds = text.value.parse();
        seeds
            .map_err(|wrong| errors.push(places.error(text, format!("seeds {}: {wrong}", text.value), "")))
            .ok()
    });
    let time_budget = file.time_budget.as_ref().and_then(|text| {
        let budget = parse_duration(&text.value);
        budget
            .map_err(|wrong| errors.push(places.error(text, wrong, "")))
            .ok()
    });
    let formats = file.format.as_ref().map(|words| {
        let mut formats = Vec::new();
        for word in words.value.all() {
            match ReportFormat::parse(word) {
                Ok(format) => formats.push(format),
                Err(wrong) => errors.push(places.error(words, wrong, "")),
            }
        }
        formats
    });
    if let Some(workers) = file.workers.as_ref().filter(|workers| workers.value == 0) {
        errors.push(places.error(workers, "no workers", "give at least one, or leave it out"));
    }
    Layer {
        extends: file.extends.as_ref().map(|text| text.value.clone()),
        seeds,
        workers: file.workers.as_ref().map(|workers| workers.value),
        formats,
        output: file.output.as_ref().map(|text| base.join(&text.value)),
        time_budget,
        fail_on_vacuous: file.fail_on_vacuous,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Profiles, Vec<ConfigError>> {
        Profiles::read("ktrial.yaml", text, Path::new("base"))
    }

    fn wrong(text: &str) -> String {
        let errors = read(text).unwrap_err();
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn without_a_file_there_are_three_profiles_and_only_ci_and_nightly_fail_on_vacuous() {
        let profiles = Profiles::default();
        let of = |name| profiles.profile(name).unwrap();
        assert_eq!(OWN.map(|name| of(name).fail_on_vacuous), [false, true, true]);
        assert_eq!(OWN.map(|name| of(name).seeds.count()), [100, 200, 2_000]);
        assert_eq!(of("ci").formats, [ReportFormat::Text]);
    }

    #[test]
    fn a_profile_takes_what_it_does_not_say_from_those_it_builds_on() {
        let profiles = read(
            "profiles:\n  default: {seeds: 30, workers: 2}\n  ci: {format: [text, junit], output: out}\n  \
             quick: {extends: ci, seeds: 7..9, time_budget: 2min, fail_on_vacuous: false}\n",
        )
        .unwrap();
        let ci = profiles.profile("ci").unwrap();
        assert_eq!(ci.seeds, Seeds { first: 1, last: 200 }, "ktrial's own ci counts");
        assert!(ci.fail_on_vacuous);
        assert_eq!(ci.workers, Some(2), "from default");
        let quick = profiles.profile("quick").unwrap();
        assert_eq!(quick.seeds, Seeds { first: 7, last: 9 });
        assert_eq!(quick.formats, [ReportFormat::Text, ReportFormat::Junit]);
        assert_eq!(quick.output, Some(PathBuf::from("base/out")));
        assert_eq!(quick.time_budget, Some(Duration::secs(120)));
        assert!(!quick.fail_on_vacuous);
    }

    #[test]
    fn what_is_wrong_with_profiles_is_shown_with_its_place() {
        for (text, expected) in [
            (
                "profiles:\n  ci:\n    seedz: 5\n",
                "ktrial.yaml:3:5: unknown field `seedz`",
            ),
            ("profiles:\n  ci:\n    seedz: 5\n", "did you mean seeds?"),
            ("profile: {}\n", "did you mean profiles?"),
            (
                "profiles:\n  ci: {extends: defualt}\n",
                "ktrial.yaml:2:17: no profile defualt in ktrial.yaml; did you mean default?",
            ),
            (
                "profiles:\n  a: {extends: b}\n  b: {extends: a}\n",
                "ktrial.yaml:2:16: profile a builds on itself: a -> b -> a",
            ),
            (
                "profiles:\n  ci: {seeds: 9..1}\n",
                "ktrial.yaml:2:15: seeds 9..1: there is no seed in it",
            ),
            (
                "profiles:\n  ci: {format: [text, html]}\n",
                "ktrial.yaml:2:16: no format html",
            ),
            (
                "profiles:\n  ci: {format: text html}\n",
                "ktrial.yaml:2:16: no format text html",
            ),
            (
                "profiles:\n  ci: {time_budget: 5}\n",
                "ktrial.yaml:2:21: `5` is not a length of time",
            ),
            ("profiles:\n  ci: {workers: 0}\n", "ktrial.yaml:2:17: no workers"),
            ("profiles:\n  ci: {fail_on_vacuous: perhaps}\n", "ktrial.yaml:2:"),
        ] {
            let told = wrong(text);
            assert!(told.contains(expected), "expected `{expected}` in:\n{told}");
        }
    }

    #[test]
    fn an_unknown_profile_is_answered_with_the_nearest() {
        let told = Profiles::default().profile("nigthly").unwrap_err().to_string();
        assert!(told.contains("did you mean nightly?"), "{told}");
        let told = Profiles::default().profile("release").unwrap_err().to_string();
        assert!(told.contains("there are default, ci, nightly"), "{told}");
    }
}
