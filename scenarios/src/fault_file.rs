//! From the faults of a scenario file to declared faults.

use ktrial_models::config::ConfigError;
use ktrial_sim::Duration;

use crate::fault::{DeclaredFault, Moment, RandomFaults};
use crate::fault_words::{
    count_range, fault_kind, happening, known_cut, parts_per_million, processes, rolling, signed_millis,
    unflushed, way,
};
use crate::file::{FaultFile, RandomFile, Text};
use crate::places::Places;
use crate::role::Role;
use crate::script::{Action, Trigger, message_kinds};
use crate::span::{Length, Span, parse_duration, parse_span};

/// Reads faults, pointing at what is wrong.
pub(crate) struct FaultReader<'a> {
    pub(crate) places: &'a Places,
    /// How long the clients work while faults happen.
    pub(crate) duration: Duration,
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
        let mut actions = self.actions(file, entry)?;
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
        self.not_futile(file, entry, &moment, lasting, &actions)?;
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

    fn actions(&self, file: &FaultFile, entry: &Text) -> Result<Vec<Action>, ConfigError> {
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
        self.network_actions(file, entry, &mut actions)?;
        self.clock_and_disk_actions(file, &mut actions)?;
        if file.elect_unclean == Some(true) {
            actions.push(Action::ElectUnclean);
        }
        if file.elect_preferred == Some(true) {
            actions.push(Action::ElectPreferred);
        }
        Ok(actions)
    }

    fn network_actions(
        &self,
        file: &FaultFile,
        entry: &Text,
        actions: &mut Vec<Action>,
    ) -> Result<(), ConfigError> {
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
                return Err(ConfigError::at(&self.places.of(entry), message, ""));
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
        let random = RandomFaults {
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
        };
        self.not_futile_at_random(file, &random)?;
        Ok(random)
    }
}
