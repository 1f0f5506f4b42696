use std::collections::HashMap;

use super::*;

fn load(file: Option<&str>, env: &[(&str, &str)]) -> Config {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut env: HashMap<String, OsString> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    env.entry("HOME".into()).or_insert_with(|| "/home/u".into());
    if let Some(text) = file {
        let path = dir.path().join("c.toml");
        std::fs::write(&path, text).expect("write");
        env.insert("LARDER_CONFIG".into(), path.into());
    }
    Config::load_from(&|name| env.get(name).cloned())
}

#[test]
fn defaults_follow_the_base_directories() {
    let config = load(None, &[]);
    assert_eq!(config.dir.value.as_deref(), Some(Path::new("/home/u/.cache/larder")));
    assert_eq!(config.file.as_deref(), Some(Path::new("/home/u/.config/larder/config.toml")));
    let config = load(None, &[("XDG_CACHE_HOME", "/c"), ("XDG_CONFIG_HOME", "relative")]);
    assert_eq!(config.dir.value.as_deref(), Some(Path::new("/c/larder")));
    assert_eq!(config.file.as_deref(), Some(Path::new("/home/u/.config/larder/config.toml")));
    assert_eq!(config.problems, []);
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_defaults() {
    let file = "dir = \"~/store\"\nmode = \"readonly\"\nsize = \"2GiB\"\ntrace = false\n";
    let config = load(Some(file), &[("LARDER", "refresh"), ("LARDER_PATHS", "")]);
    assert_eq!(config.problems, []);
    assert_eq!(config.dir.value.as_deref(), Some(Path::new("/home/u/store")));
    assert_eq!(config.mode.value, Use::Refresh);
    assert_eq!(config.mode.origin, Origin::Env("LARDER"));
    assert_eq!(config.size.value, Budget::Bytes(2 << 30));
    assert!(matches!(config.size.origin, Origin::File { line: 3, .. }));
    assert!(!config.trace.value);
    assert_eq!(config.paths.origin, Origin::Default);
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let config = load(Some("log = \"sub/l.log\""), &[]);
    let want = config.file.as_deref().and_then(Path::parent).map(|dir| dir.join("sub/l.log"));
    assert_eq!(config.log.value, want);
}

#[test]
fn each_problem_names_line_key_value_and_fix_and_the_rest_is_used() {
    let file =
        "sise = \"1G\"\nmode = \"offf\"\n\nsize = \"20 parsecs\"\ndir = 3\npaths = \"exact\"\n";
    let config = load(Some(file), &[("LARDER_DIR", "rel"), ("LARDER", "no")]);
    assert_eq!(config.paths.value, PathMode::Exact);
    assert_eq!(config.mode.value, Use::On);
    let path = config.file.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
    let said: Vec<String> =
        config.problems.iter().map(|problem| problem.to_string().replace(&path, "F")).collect();
    let want = "F:1: sise = \"1G\": not a known key\n  fix: write size (known: dir, mode, ";
    assert!(said[0].starts_with(want), "{}", said[0]);
    assert_eq!(
        said[1],
        "F:2: mode = \"offf\": not a known value\n  fix: write off (known: on, off, readonly, refresh)"
    );
    assert!(said[2].starts_with("F:4: size = \"20 parsecs\": not a size\n  fix: "), "{}", said[2]);
    assert!(said[3].starts_with("F:5: dir = 3: not a text\n  fix: "), "{}", said[3]);
    assert!(said[4].starts_with("environment: LARDER_DIR = \"rel\": not an absolute path"));
    assert!(said[5].starts_with("environment: LARDER = \"no\": not a known value"));
    assert_eq!(said.len(), 6);
}

#[test]
fn the_linker_has_a_table_of_its_own() {
    let config = load(Some("size = \"1G\"\n\n[link]\nlinker = \"mold\"\n"), &[]);
    assert_eq!(config.problems, []);
    assert_eq!(config.linker.value, Some(Linker::Mold));
    assert!(matches!(config.linker.origin, Origin::File { line: 4, .. }));
    let config = load(Some("link.linker = \"lld\"\n"), &[("LARDER_LINKER", "default")]);
    assert_eq!(config.problems, []);
    assert_eq!((config.linker.value, config.linker.origin), (None, Origin::Env("LARDER_LINKER")));
}

#[test]
fn problems_of_the_linker_have_their_table_in_the_key() {
    let file = "link.linker = \"bfd\"\nlink.linkr = 3\n";
    let config = load(Some(file), &[("LARDER_LINKER", "mould")]);
    assert_eq!(config.linker.value, None);
    let said: Vec<String> = config.problems.iter().map(ToString::to_string).collect();
    let has = |at: usize, text: &str| assert!(said[at].contains(text), "{text} in {}", said[at]);
    has(
        0,
        ":1: link.linker = \"bfd\": not a known value\n  fix: write one of: wild, mold, lld, default",
    );
    has(1, ":2: link.linkr = 3: not a known key\n  fix: write link.linker (known: ");
    has(2, "environment: LARDER_LINKER = \"mould\": not a known value\n  fix: write mold (known: ");
    let config = load(Some("link = \"wild\"\n"), &[]);
    assert!(config.problems[0].fix.starts_with("write link.linker"), "{}", config.problems[0]);
}

#[test]
fn what_is_no_toml_is_one_problem_with_its_line() {
    let config = load(Some("mode = \"off\"\nsize = = 3\n"), &[]);
    assert_eq!(config.mode.value, Use::On);
    assert_eq!(config.problems.len(), 1);
    assert!(config.problems[0].place.ends_with(":2"), "{}", config.problems[0]);
    assert_eq!(config.problems[0].key, "size = = 3");
}

#[test]
fn a_named_file_must_exist() {
    let config = load(None, &[("LARDER_CONFIG", "/nonexistent/x.toml")]);
    assert_eq!(config.problems.len(), 1);
    assert!(config.problems[0].to_string().starts_with("/nonexistent/x.toml: cannot be read"));
}
