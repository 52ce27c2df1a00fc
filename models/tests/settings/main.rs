//! From the files of users to what counts.

mod bad_input;
mod files;
mod precedence;
mod refusals;

use ktrial_models::config::catalogue::{Scope, Treatment};
use ktrial_models::config::{
    self, Acks, Cluster, ConfigError, Features, Note, Origin, Place, Resolution, SettingsBuilder, properties,
};
use ktrial_sim::Duration;

/// Accepts whatever is not modelled, so that a test is about one thing.
fn builder(cluster: Cluster) -> SettingsBuilder {
    let mut builder = SettingsBuilder::new(cluster);
    for setting in Scope::ALL.into_iter().flat_map(Scope::settings) {
        builder.allow_unmodelled(setting.name);
    }
    builder.allow_unmodelled("metadata.version");
    builder
}

fn orders() -> Cluster {
    Cluster {
        topics: vec!["orders".to_string()],
        ..Cluster::default()
    }
}

fn upgraded() -> Cluster {
    Cluster {
        features: Features::upgraded(),
        ..orders()
    }
}

fn from_disk(builder: &mut SettingsBuilder, scope: Scope, path: &str) {
    let bytes =
        std::fs::read(format!("{}/tests/files/{path}", env!("CARGO_MANIFEST_DIR"))).expect("our file");
    let file = properties::read(path, &bytes).expect("well formed");
    builder.file(scope, file).expect("of the right role");
}

fn text(builder: &mut SettingsBuilder, scope: Scope, text: &str) {
    let path = format!("{}.properties", scope.word());
    let file = properties::read(&path, text.as_bytes()).expect("well formed");
    builder.file(scope, file).expect("of the right role");
}

fn resolve(scope: Scope, file: &str) -> Resolution {
    let mut builder = builder(orders());
    text(&mut builder, scope, file);
    builder.resolve().unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn reasons(scope: Scope, file: &str) -> Vec<String> {
    resolve(scope, file)
        .refusals
        .iter()
        .map(|refusal| format!("{}: {}", refusal.exception, refusal.reason))
        .collect()
}

fn errors(scope: Scope, file: &str) -> Vec<ConfigError> {
    let mut builder = SettingsBuilder::new(orders());
    text(&mut builder, scope, file);
    builder.resolve().err().unwrap_or_default()
}

fn origin(resolution: &Resolution, scope: Scope, instance: Option<&str>, name: &str) -> (String, String) {
    let values = resolution
        .values
        .iter()
        .find(|v| v.scope == scope && v.instance.as_deref() == instance);
    let entry = values.expect("resolved").find(name).expect("known");
    (entry.shown().to_string(), entry.origin.to_string())
}

#[test]
fn every_modelled_setting_names_a_test_that_exists() {
    let root = format!("{}/..", env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in [
        "models/src",
        "models/tests",
        "scenarios/src",
        "scenarios/tests",
        "tests",
    ] {
        gather(std::path::Path::new(&format!("{root}/{folder}")), &mut sources);
    }
    for setting in Scope::ALL.into_iter().flat_map(Scope::settings) {
        if let Treatment::Modelled { test, .. } = setting.treatment {
            assert!(
                sources.contains(&format!("fn {test}(")),
                "{}: no test {test}",
                setting.name
            );
        }
    }
}

fn gather(folder: &std::path::Path, sources: &mut String) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).expect("our source"));
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_file_makes_the_resolution_panic(
        scope in 0..5usize,
        combined: bool,
        lines in proptest::collection::vec((0..400usize, 0..24usize), 0..12),
    ) {
        const VALUES: [&str; 24] = [
            "", "0", "1", "-1", "2", "5", "100", "60001", "2147483647", "9223372036854775807",
            "-9223372036854775808", "true", "false", "all", "0.5", "1e300", "none", "delete", "a,b", "classic",
            "zstd", "x # y", "${a:b}", "\\u12",
        ];
        let scope = Scope::ALL[scope];
        let settings = scope.settings();
        let name = |at: usize| settings.get(at % (settings.len() + 1)).map_or("no.such.name", |s| s.name);
        let file: String =
            lines.iter().map(|(at, value)| format!("{}={}\n", name(*at), VALUES[*value])).collect();
        let mut builder = builder(Cluster { combined, ..orders() });
        if let Ok(file) = properties::read("f", file.as_bytes())
            && builder.file(scope, file).is_ok()
        {
            let _ = builder.resolve();
        }
    }

    #[test]
    fn no_assignment_makes_the_resolution_panic(text in "[a-z.=0-9]{0,30}", known in 0..360usize) {
        let mut builder = builder(orders());
        let _ = builder.set(&text);
        let _ = builder.set(&format!("broker.{}={text}", Scope::Broker.settings()[known].name));
        let _ = builder.resolve();
    }
}
