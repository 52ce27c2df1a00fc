//! The arms of a comparison: every combination of the values to be compared.

use ktrial_models::config::{Assignment, ConfigError};

/// One `--vary NAME=VALUE,VALUE...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variation {
    /// The setting, as `--set` names it.
    pub name: String,
    /// Its values.
    pub values: Vec<String>,
}

impl Variation {
    /// Reads `NAME=VALUE,VALUE...`.
    ///
    /// # Errors
    /// No `=`, a name that no setting has, no values, or one value twice.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = |message: String| {
            ConfigError::anywhere(format!("--vary {text}: {message}"), "write NAME=VALUE,VALUE")
        };
        let (name, values) = text.split_once('=').ok_or_else(|| wrong("no =".into()))?;
        let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        if name.trim().is_empty() || values.iter().any(String::is_empty) {
            return Err(wrong("a name or a value is missing".into()));
        }
        if let Some(twice) = (1..values.len()).find(|at| values[..*at].contains(&values[*at])) {
            return Err(wrong(format!("{} is there twice", values[twice])));
        }
        Assignment::check_name(name.trim(), &format!("--vary {text}"))?;
        Ok(Variation {
            name: name.trim().to_owned(),
            values,
        })
    }
}

/// The assignments of every arm, the first variation changing slowest. Without variations there is one arm.
pub fn combinations(variations: &[Variation]) -> Vec<Vec<String>> {
    variations.iter().fold(vec![Vec::new()], |arms, variation| {
        arms.iter()
            .flat_map(|arm| {
                variation.values.iter().map(move |value| {
                    let mut arm = arm.clone();
                    arm.push(format!("{}={value}", variation.name));
                    arm
                })
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_an_arm() {
        let vary = |text| Variation::parse(text).unwrap();
        let arms = combinations(&[vary("acks=1,all"), vary("min.insync.replicas=1,2,3")]);
        assert_eq!(arms.len(), 6);
        assert_eq!(arms[0], ["acks=1", "min.insync.replicas=1"]);
        assert_eq!(arms[5], ["acks=all", "min.insync.replicas=3"]);
        assert_eq!(combinations(&[]), [Vec::<String>::new()]);
    }

    #[test]
    fn a_variation_without_values_or_with_one_twice_is_refused() {
        for wrong in ["acks", "acks=", "=1", "acks=1,", "acks=1,1"] {
            assert!(Variation::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_that_nobody_knows_is_told_as_it_was_given() {
        let error = Variation::parse("acsk=1,all").unwrap_err().to_string();
        assert!(error.starts_with("--vary acsk=1,all: no setting acsk"), "{error}");
        assert!(error.ends_with("did you mean acks?"), "{error}");
    }
}
