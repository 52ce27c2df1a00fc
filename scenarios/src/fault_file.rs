//! From the faults of a scenario file to declared faults.

use ktrial_models::config::{ConfigError, nearest};
use ktrial_models::cuts;
use ktrial_sim::Duration;

use crate::fault::{DeclaredFault, FaultKind, Moment, RandomFaults};
use crate::file::{FaultFile, RandomFile, Text};
use crate::places::Places;
use crate::role::{PartitionName, Role};
use crate::script::{Action, Happening, PhaseName, Trigger, Unflushed, Way, message_kinds};
use crate::span::{Length, Span, parse_duration, parse_span};

const ORDINALS: [&str; 10] = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
];
/// Forms of a trigger.
const HAPPENINGS: &str = "NTH election of PARTITION, NTH isr shrink of PARTITION, NTH isr expansion of PARTITION, \
     NTH truncation of PARTITION, NTH controller election, NTH fencing of ROLE, NTH PHASE of ROLE \
     (phases: starting, catching up, recovering, running, shutting down; NTH: first to tenth)";

/// Reads faults, pointing at what is wrong.
pub(crate) struct FaultReader<'a> {
    pub(crate) places: &'a Places,
}

impl FaultReader<'_> {
    fn at<T>(&self, text: &Text, read: impl FnOnce(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        read(&text.value).map_err(|message| ConfigError::at(&self.places.of(text), message, ""))
    }

    fn role(&self, text: &Text) -> Result<Role, ConfigError> {
        self.at(text, Role::parse)
    }

    /// One entry of `faults`; a `let` with several names gives several.
    pub(crate) fn declared(&self, file: &FaultFile, entry: &Text) -> Result<Vec<DeclaredFault>, ConfigError> {
        let moment = self.moment(file, entry)?;
        let lasting = file
            .lasting
            .as_ref()
            .map(|text| self.at(text, parse_span))
            .transpose()?;
        let mut actions = self.actions(file)?;
        if actions.is_empty() {
            return Err(ConfigError::at(
                &self.places.of(entry),
                "this fault does nothing",
                "name what is done, like `kill: leader of orders-0` (see `ktrial list faults`)",
            ));
        }
        if actions.len() > 1 && file.bind.is_none() {
            let names: Vec<_> = actions.iter().map(Action::name).collect();
            return Err(ConfigError::at(
                &self.places.of(entry),
                format!("one entry does {}", names.join(" and ")),
                "write one entry for each",
            ));
        }
        Ok(actions
            .drain(..)
            .map(|action| DeclaredFault {
                moment: moment.clone(),
                action,
                lasting,
            })
            .collect())
    }

    fn moment(&self, file: &FaultFile, entry: &Text) -> Result<Moment, ConfigError> {
        match (&file.at, &file.when) {
            (Some(at), None) => self.at(at, parse_span).map(Moment::At),
            (None, Some(when)) => {
                let (nth, happening) = self.at(when, happening)?;
                let after = file
                    .after
                    .as_ref()
                    .map(|text| self.at(text, parse_span))
                    .transpose()?;
                let trigger = Trigger::On {
                    happening,
                    nth,
                    after: Length(Duration::ZERO),
                };
                Ok(Moment::On(
                    trigger,
                    after.unwrap_or(Span::exactly(Duration::ZERO)),
                ))
            }
            (None, None) => Err(ConfigError::at(
                &self.places.of(entry),
                "this fault has no moment",
                "give `at: 3s`, `at: 3s..6s` or `when: second election of orders-0`",
            )),
            (Some(_), Some(when)) => Err(ConfigError::at(
                &self.places.of(when),
                "this fault has both `at` and `when`",
                "give one of them",
            )),
        }
    }

    fn actions(&self, file: &FaultFile) -> Result<Vec<Action>, ConfigError> {
        let mut actions = Vec::new();
        for (name, role) in file.bind.iter().flatten() {
            actions.push(Action::Bind {
                name: name.clone(),
                who: self.role(role)?,
            });
        }
        let mut simple = |text: &Option<Text>, action: fn(Role) -> Action| {
            if let Some(text) = text {
                actions.push(action(self.role(text)?));
            }
            Ok::<(), ConfigError>(())
        };
        simple(&file.kill, Action::Kill)?;
        simple(&file.lose_disk, Action::LoseDisk)?;
        simple(&file.start, Action::Start)?;
        simple(&file.stop, Action::Stop)?;
        simple(&file.pause, Action::Pause)?;
        simple(&file.resume, Action::Resume)?;
        simple(&file.fill_disk, Action::FillDisk)?;
        simple(&file.fail_disk, Action::FailDisk)?;
        if let Some(text) = &file.stall {
            let Some(by) = &file.by else {
                return Err(self
                    .places
                    .error(text, "a stall of what length?", "say so in `by`"));
            };
            actions.push(Action::Stall {
                who: self.role(text)?,
                by: Length(self.at(by, parse_duration)?),
            });
        }
        if let Some(text) = &file.scale {
            let Some(to) = &file.to else {
                return Err(self.places.error(text, "to how many?", "say so in `to`"));
            };
            actions.push(Action::Scale {
                who: self.role(text)?,
                to: self.at(to, processes)?,
            });
        }
        if let Some(text) = &file.redeploy {
            let how = file.how.as_ref().map(|text| self.at(text, rolling)).transpose()?;
            actions.push(Action::Redeploy {
                who: self.role(text)?,
                rolling: how.unwrap_or(true),
                down: self.length(&file.down, Duration::secs(1))?,
                between: self.length(&file.between, Duration::secs(5))?,
            });
        }
        if let Some(text) = &file.power_off {
            let unflushed = file
                .unflushed
                .as_ref()
                .map(|text| self.at(text, unflushed))
                .transpose()?;
            actions.push(Action::PowerOff {
                who: self.role(text)?,
                unflushed: unflushed.unwrap_or_default(),
            });
        }
        if let Some(text) = &file.rolling_restart {
            actions.push(Action::RollingRestart {
                who: self.role(text)?,
                down: self.length(&file.down, Duration::secs(1))?,
                between: self.length(&file.between, Duration::secs(5))?,
            });
        }
        self.network_actions(file, &mut actions)?;
        self.clock_and_disk_actions(file, &mut actions)?;
        if file.elect_unclean == Some(true) {
            actions.push(Action::ElectUnclean);
        }
        if file.elect_preferred == Some(true) {
            actions.push(Action::ElectPreferred);
        }
        Ok(actions)
    }

    fn network_actions(&self, file: &FaultFile, actions: &mut Vec<Action>) -> Result<(), ConfigError> {
        let way = file
            .way
            .as_ref()
            .map(|text| self.at(text, way))
            .transpose()?
            .unwrap_or_default();
        let from = |who: &Role| match &file.from {
            Some(text) => self.role(text),
            None => Ok(Role::Except(Box::new(Role::Everything), Box::new(who.clone()))),
        };
        if let Some(text) = &file.cut {
            let who = self.role(text)?;
            actions.push(Action::Cut {
                from: from(&who)?,
                who,
                way,
            });
        }
        if let Some(text) = &file.mend {
            let who = self.role(text)?;
            actions.push(Action::Mend {
                from: from(&who)?,
                who,
                way,
            });
        }
        if file.mend_all == Some(true) {
            actions.push(Action::MendAll);
        }
        if let Some(text) = &file.reset {
            let who = self.role(text)?;
            actions.push(Action::Reset {
                from: from(&who)?,
                who,
            });
        }
        if let Some(text) = &file.slow {
            let who = self.role(text)?;
            let latency = self.length(&file.latency, Duration::millis(100))?;
            actions.push(Action::Slow {
                from: from(&who)?,
                who,
                way,
                latency,
            });
        }
        if let Some(kinds) = &file.hold {
            if let Err(message) = message_kinds(kinds) {
                return Err(ConfigError::anywhere(message, ""));
            }
            let from = file.from.as_ref().map(|text| self.role(text)).transpose()?;
            let to = file.to.as_ref().map(|text| self.role(text)).transpose()?;
            actions.push(Action::Hold {
                kinds: kinds.clone(),
                from,
                to,
            });
        }
        Ok(())
    }

    fn clock_and_disk_actions(&self, file: &FaultFile, actions: &mut Vec<Action>) -> Result<(), ConfigError> {
        let by = |text: &Text| {
            let missing = || {
                ConfigError::at(
                    &self.places.of(text),
                    "by how much?",
                    "give `by: 60s`, `by: -60s` or, for drift, `by: 200ppm`",
                )
            };
            file.by.as_ref().ok_or_else(missing)
        };
        if let Some(text) = &file.skew {
            actions.push(Action::Skew {
                who: self.role(text)?,
                by_ms: self.at(by(text)?, signed_millis)?,
            });
        }
        if let Some(text) = &file.drift {
            actions.push(Action::Drift {
                who: self.role(text)?,
                by_ppm: self.at(by(text)?, parts_per_million)?,
            });
        }
        if let Some(text) = &file.slow_disk {
            actions.push(Action::SlowDisk {
                who: self.role(text)?,
                times: file.times.unwrap_or(10),
            });
        }
        if let Some(cut) = &file.open_cut {
            self.at(cut, known_cut)?;
            let who = file
                .on
                .as_ref()
                .map(|text| self.role(text))
                .transpose()?
                .unwrap_or(Role::Brokers);
            actions.push(Action::OpenCut {
                cut: cut.value.clone(),
                who,
                one_in: file.one_in.unwrap_or(1).max(1),
                longest: self.length(&file.longest, Duration::millis(100))?,
            });
        }
        Ok(())
    }

    fn length(&self, text: &Option<Text>, default: Duration) -> Result<Length, ConfigError> {
        match text {
            Some(text) => self.at(text, parse_duration).map(Length),
            None => Ok(Length(default)),
        }
    }

    /// One entry of `random`.
    pub(crate) fn random(&self, file: &RandomFile) -> Result<RandomFaults, ConfigError> {
        let kinds = file
            .of
            .iter()
            .map(|text| self.at(text, fault_kind))
            .collect::<Result<Vec<_>, _>>()?;
        if kinds.is_empty() {
            return Err(ConfigError::at(
                &self.places.of(&file.faults),
                "no kinds to draw from",
                "name some in `of`",
            ));
        }
        Ok(RandomFaults {
            count: self.at(&file.faults, count_range)?,
            kinds,
            on: self.role(&file.on)?,
            within: self.at(&file.within, parse_span)?,
            lasting: self.at(&file.lasting, parse_span)?,
            apart: file
                .apart
                .as_ref()
                .map(|text| self.at(text, parse_duration))
                .transpose()?,
        })
    }
}

fn known_cut(text: &str) -> Result<(), String> {
    let names = || cuts::NAMES.iter().map(|(name, _)| *name);
    if cuts::number(text).is_some() {
        return Ok(());
    }
    let hint = nearest(text, names()).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    Err(format!(
        "`{text}` is no cut: expected one of {}{hint}",
        names().collect::<Vec<_>>().join(", ")
    ))
}

fn processes(text: &str) -> Result<u32, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("`{text}` is no number of processes"))
}

/// Whether a redeploy takes one after the other.
fn rolling(text: &str) -> Result<bool, String> {
    match text {
        "rolling" => Ok(true),
        "all at once" => Ok(false),
        other => Err(format!("`{other}`: expected rolling, or all at once")),
    }
}

fn unflushed(text: &str) -> Result<Unflushed, String> {
    match text {
        "drawn" => Ok(Unflushed::Drawn),
        "lost" => Ok(Unflushed::Lost),
        other => Err(format!("`{other}`: expected drawn or lost")),
    }
}

fn way(text: &str) -> Result<Way, String> {
    match text {
        "both" => Ok(Way::Both),
        "out" => Ok(Way::Out),
        "in" => Ok(Way::In),
        other => Err(format!("`{other}`: expected both, out or in")),
    }
}

fn fault_kind(text: &str) -> Result<FaultKind, String> {
    let known = FaultKind::NAMES.iter().find(|(name, _)| *name == text);
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        let names = || FaultKind::NAMES.iter().map(|(name, _)| *name);
        let hint = nearest(text, names()).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        format!(
            "`{text}` is no fault that can be drawn: expected one of {}{hint}",
            names().collect::<Vec<_>>().join(", ")
        )
    })
}

fn count_range(text: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("`{text}` is no count: expected a number or a range, like 1..3");
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let (least, most) = (
        least.trim().parse().map_err(|_| wrong())?,
        most.trim().parse().map_err(|_| wrong())?,
    );
    if least > most || most > 1_000 {
        return Err(wrong());
    }
    Ok((least, most))
}

fn signed_millis(text: &str) -> Result<i64, String> {
    let (sign, length) = match text.trim().strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, text.trim().trim_start_matches('+')),
    };
    parse_duration(length).map(|length| sign * length.as_millis() as i64)
}

fn parts_per_million(text: &str) -> Result<i32, String> {
    let wrong = || format!("`{text}` is no drift: expected parts per million, like 200ppm or -50000ppm");
    let number = text.trim().strip_suffix("ppm").ok_or_else(wrong)?.trim();
    let limit = ktrial_sim::Clock::MAX_DRIFT_PPM;
    number
        .parse()
        .ok()
        .filter(|ppm: &i32| (-limit..=limit).contains(ppm))
        .ok_or_else(wrong)
}

/// Reads `second election of orders-0` and the like.
fn happening(text: &str) -> Result<(u32, Happening), String> {
    let wrong = || format!("`{text}` is no trigger: expected {HAPPENINGS}");
    let (ordinal, rest) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let nth = ORDINALS
        .iter()
        .position(|known| *known == ordinal)
        .ok_or_else(wrong)? as u32
        + 1;
    let partition = |name: &str| PartitionName::parse(name).map(|partition| partition.to_string());
    let phases = [
        ("starting of ", PhaseName::Starting),
        ("catching up of ", PhaseName::CatchingUp),
        ("recovering of ", PhaseName::Recovering),
        ("running of ", PhaseName::Running),
        ("shutting down of ", PhaseName::ShuttingDown),
    ];
    let happening = if rest == "controller election" {
        Happening::ControllerElection
    } else if let Some(name) = rest.strip_prefix("election of ") {
        Happening::ElectionOf(partition(name)?)
    } else if let Some(name) = rest.strip_prefix("isr shrink of ") {
        Happening::IsrShrinkOf(partition(name)?)
    } else if let Some(name) = rest.strip_prefix("isr expansion of ") {
        Happening::IsrExpansionOf(partition(name)?)
    } else if let Some(name) = rest.strip_prefix("truncation of ") {
        Happening::TruncationOf(partition(name)?)
    } else if let Some(role) = rest.strip_prefix("fencing of ") {
        Happening::FencingOf(Role::parse(role)?)
    } else {
        let phase = phases
            .iter()
            .find_map(|(prefix, phase)| Some((rest.strip_prefix(prefix)?, *phase)));
        let (role, phase) = phase.ok_or_else(wrong)?;
        Happening::PhaseOf(Role::parse(role)?, phase)
    };
    Ok((nth, happening))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_are_read() {
        let orders = "orders-0".to_owned();
        assert_eq!(
            happening("second election of orders-0"),
            Ok((2, Happening::ElectionOf(orders)))
        );
        assert_eq!(
            happening("first controller election"),
            Ok((1, Happening::ControllerElection))
        );
        assert!(matches!(
            happening("third recovering of b1"),
            Ok((3, Happening::PhaseOf(_, PhaseName::Recovering)))
        ));
        for wrong in [
            "election of orders-0",
            "first",
            "zeroth election of orders-0",
            "first dance of b1",
        ] {
            assert!(happening(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_skew_goes_both_ways() {
        assert_eq!(signed_millis("-60s"), Ok(-60_000));
        assert_eq!(signed_millis("+3min"), Ok(180_000));
    }
}
