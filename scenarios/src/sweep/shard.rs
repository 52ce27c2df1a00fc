//! Which part of a sweep this process runs: told by the user or by what scheduled it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of several parts, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    /// Which one: 1 to `count`.
    pub index: u64,
    /// How many there are.
    pub count: u64,
}

/// What is wrong with a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// The text has another form.
    #[error("expected i/n such as 2/8, `environment`, or `environment/n`")]
    Form,
    /// The index is none of the count's.
    #[error("there is no part {0} of {1}: parts count from 1")]
    Outside(u64, u64),
    /// The environment names no part.
    #[error("none of JOB_COMPLETION_INDEX, SLURM_ARRAY_TASK_ID and CI_NODE_INDEX is set")]
    NotScheduled,
    /// The environment does not say how many parts there are.
    #[error("{0} says which part this is, and nothing says of how many; write environment/n")]
    CountUnknown(&'static str),
    /// A variable is not a number.
    #[error("{0} is {1:?}, not a number")]
    NotANumber(&'static str, String),
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (index, count) = text.split_once('/').ok_or(ShardError::Form)?;
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| ShardError::Form);
        Shard::new(number(index)?, number(count)?)
    }
}

impl Shard {
    fn new(index: u64, count: u64) -> Result<Self, ShardError> {
        if index == 0 || index > count {
            return Err(ShardError::Outside(index, count));
        }
        Ok(Shard { index, count })
    }

    /// What a command line says: `2/8`, or `environment`, or `environment/8` where only the index is set.
    ///
    /// # Errors
    /// Neither the text nor the variables name a part.
    pub fn told(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ShardError> {
        match text.split_once('/') {
            _ if text == "environment" => Self::scheduled(None, variable),
            Some(("environment", count)) => {
                let count = count.trim().parse().map_err(|_| ShardError::Form)?;
                Self::scheduled(Some(count), variable)
            }
            _ => text.parse(),
        }
    }

    /// From the variables of a Kubernetes Indexed Job (which sets no count), a Slurm job array, or GitLab's
    /// `parallel`, in this order.
    fn scheduled(count: Option<u64>, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ShardError> {
        let number = |name: &'static str| match variable(name) {
            None => Ok(None),
            Some(text) => match text.trim().parse::<u64>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(ShardError::NotANumber(name, text)),
            },
        };
        let all = |known: Option<u64>, name| count.or(known).ok_or(ShardError::CountUnknown(name));
        if let Some(index) = number("JOB_COMPLETION_INDEX")? {
            return Shard::new(index.saturating_add(1), all(None, "JOB_COMPLETION_INDEX")?);
        }
        if let Some(task) = number("SLURM_ARRAY_TASK_ID")? {
            let least = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
            let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
            let index = task.saturating_sub(least) / step + 1;
            return Shard::new(
                index,
                all(number("SLURM_ARRAY_TASK_COUNT")?, "SLURM_ARRAY_TASK_ID")?,
            );
        }
        if let Some(index) = number("CI_NODE_INDEX")? {
            return Shard::new(index, all(number("CI_NODE_TOTAL")?, "CI_NODE_INDEX")?);
        }
        Err(ShardError::NotScheduled)
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;

    fn try_from(text: String) -> Result<Self, ShardError> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, variables: &[(&str, &str)]) -> Result<String, ShardError> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Shard::told(text, variable).map(|shard| shard.to_string())
    }

    #[test]
    fn each_scheduler_counts_in_its_own_way() {
        assert_eq!(told("2/8", &[]), Ok("2/8".to_owned()));
        let kubernetes = [("JOB_COMPLETION_INDEX", "0")];
        assert_eq!(told("environment/8", &kubernetes), Ok("1/8".to_owned()));
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "14"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "5"),
        ];
        assert_eq!(told("environment", &slurm), Ok("3/5".to_owned()));
        let gitlab = [("CI_NODE_INDEX", "3"), ("CI_NODE_TOTAL", "4")];
        assert_eq!(told("environment", &gitlab), Ok("3/4".to_owned()));
    }

    #[test]
    fn what_names_no_part_is_refused() {
        assert_eq!(told("9/8", &[]), Err(ShardError::Outside(9, 8)));
        assert_eq!(told("0/8", &[]), Err(ShardError::Outside(0, 8)));
        assert_eq!(told("two", &[]), Err(ShardError::Form));
        assert_eq!(told("environment", &[]), Err(ShardError::NotScheduled));
        let kubernetes = [("JOB_COMPLETION_INDEX", "0")];
        assert_eq!(
            told("environment", &kubernetes),
            Err(ShardError::CountUnknown("JOB_COMPLETION_INDEX"))
        );
    }
}
