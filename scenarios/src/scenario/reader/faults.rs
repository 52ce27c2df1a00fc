//! What happens to the cluster, what its trials show, and the arms beside it.

use std::sync::Arc;

use ktrial_models::config::{ConfigError, SettingsBuilder, nearest};

use super::Reader;
use crate::claim::{CounterArm, Shows};
use crate::consumer_file::ConductFile;
use crate::consumers::DeclaredConsumers;
use crate::fault::Faults;
use crate::fault_file::FaultReader;
use crate::file::{ArmFile, CounterFile, FaultFile, RandomFile, ScenarioFile, Text};

impl Reader {
    pub(super) fn faults(
        &mut self,
        declared: &[serde_saphyr::Spanned<FaultFile>],
        random: &[serde_saphyr::Spanned<RandomFile>],
    ) -> Faults {
        let reader = FaultReader {
            places: &self.places,
            duration: self.duration,
        };
        let mut faults = Faults::default();
        let mut drawn_at = Vec::new();
        for fault in declared {
            let here = Text {
                value: String::new(),
                referenced: fault.referenced,
                defined: fault.defined,
            };
            match reader.declared(&fault.value, &here) {
                Ok(declared) => {
                    let here = std::iter::repeat_n(self.places.of(&here), declared.len());
                    faults.places.extend(here);
                    faults.declared.extend(declared);
                }
                Err(error) => self.errors.push(error),
            }
        }
        for random in random {
            match reader.random(&random.value) {
                Ok(drawn) => {
                    faults.random.push(drawn);
                    drawn_at.push(self.places.of(random));
                }
                Err(error) => self.errors.push(error),
            }
        }
        faults.places.extend(drawn_at);
        faults
    }

    pub(super) fn shows(&mut self, texts: &[Text]) -> Vec<Shows> {
        let mut shows = Vec::new();
        for text in texts {
            match Shows::parse(&text.value) {
                Ok(shown) => shows.push(shown),
                Err(message) => self.refuse(text, message, ""),
            }
        }
        shows
    }

    /// The counter-arm, which must be one step away: that is what makes it say something.
    pub(super) fn counter(
        &mut self,
        file: &ScenarioFile,
        faults: &Faults,
        consumers: &[DeclaredConsumers],
        settings: &SettingsBuilder,
    ) -> Option<CounterArm> {
        let here = file.counter.as_ref()?;
        let CounterFile {
            set,
            consumers: conduct,
            faults: declared,
            random,
            shows,
        } = &here.value;
        let other = (declared.is_some() || random.is_some()).then(|| {
            self.faults(
                declared.as_deref().unwrap_or(&file.faults),
                random.as_deref().unwrap_or(&file.random),
            )
        });
        let otherwise = (conduct.keys() > 0).then(|| self.otherwise(file, conduct, consumers));
        let steps = usize::from(set.is_some())
            + conduct.keys()
            + other.as_ref().map_or(0, |other| faults.differences(other));
        if steps != 1 {
            self.refuse(
                here,
                format!("the counter-arm differs in {steps} settings and faults"),
                "let it differ in one: give `set: NAME=VALUE`, one key of `consumers`, or all `faults` (or `random`) with one entry changed",
            );
        }
        if let Some(set) = set
            && let Err(error) = settings.clone().set(&set.value)
        {
            self.errors.push(error);
        }
        Some(CounterArm {
            assignment: set.as_ref().map(|text| text.value.clone()),
            faults: other.map(Arc::new),
            consumers: otherwise,
            shows: self.shows(shows),
        })
    }

    /// The consumers as declared, as far as an arm does not want them otherwise.
    fn otherwise(
        &mut self,
        file: &ScenarioFile,
        conduct: &ConductFile,
        consumers: &[DeclaredConsumers],
    ) -> Vec<DeclaredConsumers> {
        let each = file.consumers.values().zip(consumers);
        each.map(|(declared, known)| DeclaredConsumers {
            conduct: self.conduct(conduct, &declared.value),
            ..known.clone()
        })
        .collect()
    }

    /// The faults of every declared arm, each read whether it is wanted or not. The wanted one must be declared.
    pub(super) fn arms(
        &mut self,
        file: &ScenarioFile,
        wanted: Option<&str>,
    ) -> Vec<(String, Option<Faults>)> {
        if let Some(wanted) = wanted
            && !file.arms.contains_key(wanted)
        {
            let near = nearest(wanted, file.arms.keys().map(String::as_str));
            let names: Vec<&str> = file.arms.keys().map(String::as_str).collect();
            let remedy = match (near, names.is_empty()) {
                (Some(near), _) => format!("did you mean {near}?"),
                (None, true) => "this scenario declares no `arms`".to_owned(),
                (None, false) => format!("it has {}", names.join(", ")),
            };
            self.errors.push(ConfigError::at(
                &self.places.top(),
                format!("no arm {wanted}"),
                remedy,
            ));
        }
        let mut arms = Vec::new();
        for (name, arm) in &file.arms {
            let ArmFile {
                faults,
                random,
                consumers: conduct,
                ..
            } = &arm.value;
            for declared in file.consumers.values() {
                self.conduct(conduct, &declared.value);
            }
            let other = (faults.is_some() || random.is_some()).then(|| {
                self.faults(
                    faults.as_deref().unwrap_or(&file.faults),
                    random.as_deref().unwrap_or(&file.random),
                )
            });
            arms.push((name.clone(), other));
        }
        arms
    }
}
