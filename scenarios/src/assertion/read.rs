//! The section `assert:` of a scenario file.

use std::fmt;

use ktrial_models::config::{ConfigError, Place, nearest};
use ktrial_models::invariants::Invariant;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::bound::Bound;
use super::measure::Measure;
use super::{Assertions, Threshold};
use crate::consumers::DeclaredConsumers;
use crate::file::Text;
use crate::groups::GroupMeasure;
use crate::places::Places;

/// The section as written: `invariants`, and names of measures with their bounds.
#[derive(Debug)]
pub(crate) struct AssertFile {
    invariants: Option<Vec<Text>>,
    thresholds: Vec<(Text, Text)>,
}

impl<'de> Deserialize<'de> for AssertFile {
    /// By hand, because every name that is not `invariants` is kept with its place: derived code forgets places of
    /// keys.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Section;
        impl<'de> Visitor<'de> for Section {
            type Value = AssertFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`invariants` and names of measures with their bounds")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<AssertFile, M::Error> {
                let mut file = AssertFile {
                    invariants: None,
                    thresholds: Vec::new(),
                };
                while let Some(name) = map.next_key::<Text>()? {
                    if name.value == "invariants" {
                        file.invariants = Some(map.next_value()?);
                    } else {
                        file.thresholds.push((name, map.next_value()?));
                    }
                }
                Ok(file)
            }
        }
        deserializer.deserialize_map(Section)
    }
}

/// What a scenario asserts; `name` is where its name stands, `consumers` whom it declares. What is
/// wrong goes to `errors`.
pub(crate) fn read(
    file: Option<&AssertFile>,
    name: &Place,
    consumers: &[DeclaredConsumers],
    places: &Places,
    errors: &mut Vec<ConfigError>,
) -> Assertions {
    let mut assertions = Assertions::all(name);
    let Some(file) = file else {
        return assertions;
    };
    if let Some(invariants) = &file.invariants {
        assertions.invariants.clear();
        for text in invariants {
            match Invariant::find(&text.value) {
                Some(invariant) => assertions.invariants.push((invariant, places.of(text))),
                None => errors.push(unknown_invariant(text, places)),
            }
        }
    }
    for (name, text) in &file.thresholds {
        let Some(measure) = Measure::find(&name.value) else {
            errors.push(unknown_measure(name, places));
            continue;
        };
        let missing = match measure {
            Measure::Group(GroupMeasure::Sink(_)) => {
                let has_sink = consumers.iter().any(|one| one.conduct.application.sink.is_some());
                (!has_sink).then_some(("sinks", "give consumers a `sink`"))
            }
            Measure::Group(GroupMeasure::InHand) => {
                let mut each = consumers.iter();
                let has_worker = each.any(|one| one.conduct.application.hand_over.is_some());
                (!has_worker).then_some(("workers", "give consumers a `buffer`"))
            }
            Measure::Group(_) => consumers.is_empty().then_some(("groups", "declare `consumers`")),
            _ => None,
        };
        if let Some((what, remedy)) = missing {
            let message = format!("{measure} is measured of {what}, and the scenario has none");
            errors.push(places.error(name, message, remedy));
            continue;
        }
        match Bound::parse_all(measure, &text.value) {
            Ok(bounds) => assertions.thresholds.push(Threshold {
                measure,
                written: text.value.trim().to_owned(),
                place: places.of(name),
                bounds,
            }),
            Err(message) => {
                let message = format!("{measure}: {message}");
                errors.push(places.error(text, message, ""));
            }
        }
    }
    assertions
}

fn unknown_invariant(text: &Text, places: &Places) -> ConfigError {
    let wanted = text.value.to_uppercase();
    let ids = nearest(&wanted, Invariant::ALL.iter().map(|known| known.id()));
    let near = ids.or_else(|| nearest(&text.value, Invariant::ALL.iter().map(|known| known.name())));
    let remedy = near.map_or_else(
        || "see `ktrial list invariants`".to_owned(),
        |near| format!("did you mean {near}? `ktrial list invariants` has them all"),
    );
    places.error(text, format!("no invariant {}", text.value), remedy)
}

fn unknown_measure(name: &Text, places: &Places) -> ConfigError {
    let names = || Measure::NAMES.iter().map(|(name, _)| *name);
    let all = names().collect::<Vec<_>>().join(", ");
    let near = nearest(&name.value, names());
    let remedy = match near {
        Some(near) => format!("did you mean {near}? There are: {all}"),
        None => format!("expected `invariants` or one of {all}"),
    };
    places.error(name, format!("nothing called {} is measured", name.value), remedy)
}
