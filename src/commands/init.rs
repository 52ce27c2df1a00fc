//! `ktrial init`: a first scenario around a user's own property files.

use std::path::{Component, Path, PathBuf};

use ktrial_models::config::catalogue::Scope;
use ktrial_models::config::{ConfigError, properties};
use ktrial_reports::quoted;
use ktrial_scenarios::{Overrides, STARTER_SCHEMA, Scenario, Starter, StarterGroup, read_file};

use crate::arguments::InitArguments;
use crate::commands::run::refused;
use crate::commands::schema::SCENARIO;
use crate::commands::{condensed_remarks, print, write_file};
use crate::exit::{Exit, Failure, Outcome};

/// Runs the command.
pub fn run(arguments: &InitArguments) -> Outcome {
    let output = &arguments.output;
    if output.exists() {
        return Err(Failure::Output(format!(
            "{} is there already; --output names another file",
            output.display()
        )));
    }
    let folder = match output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::Output(format!("cannot make {}: {error}", folder.display())))?;
    let mut files = Vec::new();
    let (mut combined, mut group) = (false, None);
    for (scope, path) in arguments.files.given() {
        match scope {
            Scope::Broker => combined = has_both_roles(path)?,
            Scope::Consumer => group = group_of(path)?,
            _ => {}
        }
        files.push((scope, seen_from(folder, path)?));
    }
    let name = output
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("trial");
    let shown = output.display().to_string();
    let mut starter = Starter {
        name,
        path: &quoted(&shown),
        files: &files,
        combined: combined && arguments.files.controller_config.is_none(),
        group: group.as_ref(),
        unmodelled: &[],
    };
    let unmodelled = unmodelled(&starter, &shown, folder)?;
    starter.unmodelled = &unmodelled;
    let text = starter.text();
    let arm = Scenario::read(&shown, &text, folder, &Overrides::default())?.arm(&[])?;
    write_file(output, text.as_bytes())?;
    let schema = folder.join(STARTER_SCHEMA);
    if !schema.exists() {
        write_file(&schema, SCENARIO.as_bytes())?;
    }
    let mut said = format!("{shown} is written; its first lines say what to do with it.\n");
    for remark in condensed_remarks(std::slice::from_ref(&arm)) {
        said.push_str(&format!("note: {remark}\n"));
    }
    for name in &unmodelled {
        said.push_str(&format!(
            "note: {name} is set and not modelled; the scenario accepts that\n"
        ));
    }
    print(&said)?;
    Ok(refused(&arm).unwrap_or(Exit::Held))
}

/// What the files set and is not modelled. Everything else that is wrong with them is an error.
fn unmodelled(starter: &Starter<'_>, shown: &str, folder: &Path) -> Result<Vec<String>, Failure> {
    let read = Scenario::read(shown, &starter.text(), folder, &Overrides::default());
    let Err(errors) = read.and_then(|scenario| scenario.arm(&[])) else {
        return Ok(Vec::new());
    };
    let (acceptable, wrong): (Vec<ConfigError>, Vec<ConfigError>) =
        errors.into_iter().partition(|error| error.acceptable.is_some());
    if !wrong.is_empty() {
        return Err(Failure::Input(wrong));
    }
    let mut names: Vec<String> = acceptable
        .into_iter()
        .filter_map(|error| error.acceptable)
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// What a property file says of some keys.
fn values<const N: usize>(path: &Path, keys: [&str; N]) -> Result<[Option<String>; N], Failure> {
    let shown = path.display().to_string();
    let bytes = read_file(path)
        .map_err(|error| ConfigError::anywhere(format!("cannot read {shown}: {error}"), ""))?;
    let file = properties::read(&shown, &bytes)?;
    Ok(keys.map(|key| {
        let entry = file.effective().find(|entry| entry.key.trim() == key);
        entry.map(|entry| entry.value.trim().to_owned())
    }))
}

fn has_both_roles(path: &Path) -> Result<bool, Failure> {
    let [roles] = values(path, ["process.roles"])?;
    Ok(roles.is_some_and(|roles| {
        let has = |role| roles.split(',').any(|word| word.trim() == role);
        has("broker") && has("controller")
    }))
}

fn group_of(path: &Path) -> Result<Option<StarterGroup>, Failure> {
    let [id, automatic] = values(path, ["group.id", "enable.auto.commit"])?;
    Ok(id.filter(|id| !id.is_empty()).map(|id| StarterGroup {
        id,
        commits_automatically: automatic.is_none_or(|automatic| automatic != "false"),
    }))
}

/// A path as it is written in a file in `folder`.
fn seen_from(folder: &Path, path: &Path) -> Result<String, Failure> {
    let whole = |path: &Path| -> Result<PathBuf, Failure> {
        path.canonicalize().map_err(|error| {
            ConfigError::anywhere(format!("cannot read {}: {error}", path.display()), "").into()
        })
    };
    let (from, to) = (whole(folder)?, whole(path)?);
    let shared = from
        .components()
        .zip(to.components())
        .take_while(|(one, two)| one == two)
        .count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    let relative: PathBuf = up.chain(to.components().skip(shared)).collect();
    Ok(relative.display().to_string())
}
