use crate::support::{Home, Ran};

#[test]
fn each_value_is_shown_with_where_it_came_from() {
    let home = Home::new();
    let file =
        home.write(".config/larder/config.toml", "# mine\nsize = \"5GiB\"\nmode = \"off\"\n");
    let mut command = home.larder();
    let ran = Ran::of(&command.arg("config").env("LARDER", "refresh").output().expect("runs"));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let store = home.store();
    let lines: Vec<String> =
        ran.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            format!("dir {} (environment, LARDER_DIR)", store.display()),
            "mode refresh (environment, LARDER)".into(),
            "paths portable (default)".into(),
            format!("size 5.0 GiB ({}:2)", file.display()),
            "log none (default)".into(),
            "trace on (default)".into(),
            "fill on (default)".into(),
            "prime off (default)".into(),
            "build-scripts on (default)".into(),
            "build-scripts-except none (default)".into(),
            "link.linker default (default)".into(),
            "remote.url none (default)".into(),
            "execute.url none (default)".into(),
            format!("file {}", file.display()),
        ]
    );
}

#[test]
fn a_problem_names_file_line_key_value_and_fix() {
    let home = Home::new();
    let file = home.write("c.toml", "mode = \"on\"\nsise = \"5GiB\"\n");
    let mut command = home.larder();
    let ran = Ran::of(&command.arg("config").env("LARDER_CONFIG", &file).output().expect("runs"));
    assert_eq!(ran.code, Some(1));
    let want = format!(
        "{}:2: sise = \"5GiB\": not a known key\n  fix: write size (known: dir, mode, ",
        file.display()
    );
    assert!(ran.err.starts_with(&want) && ran.err.ends_with(")\n"), "{}", ran.err);
}

#[test]
fn the_wrapper_carries_on_with_defaults_and_says_nothing() {
    let home = Home::new();
    let file = home.write("c.toml", "size = = 3\n");
    let mut command = home.larder();
    command.args(["rustc", "-vV"]).env("LARDER_CONFIG", &file).env("LARDER_PATHS", "wrong");
    let ran = Ran::of(&command.output().expect("runs"));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.starts_with("rustc "), "{}", ran.out);
}

#[test]
fn a_remote_is_shown_without_its_secrets() {
    let home = Home::new();
    let key = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let file = home.write(
        ".config/larder/config.toml",
        "[remote]\nurl = \"s3://b/p\"\nmode = \"read\"\n[remote.options]\nregion = \"r\"\n\
         secret_access_key = \"hush\"\n",
    );
    let mut command = home.larder();
    let ran = Ran::of(
        &command.arg("config").env("LARDER_REMOTE_TRUSTED_KEYS", key).output().expect("runs"),
    );
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let lines = ran.out.lines().filter(|line| line.starts_with("remote."));
    let lines: Vec<String> =
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let file = file.display();
    assert_eq!(
        lines,
        [
            format!("remote.url s3://b/p ({file}:2)"),
            format!("remote.mode read ({file}:3)"),
            "remote.fetch when-faster (default)".into(),
            format!("remote.trusted-keys {key} (environment, LARDER_REMOTE_TRUSTED_KEYS)"),
            "remote.signing-key none (default)".into(),
            format!("remote.options.region r ({file}:5)"),
            format!("remote.options.secret_access_key (not shown) ({file}:6)"),
        ]
    );
    let mut command = home.larder();
    command.arg("config").env("LARDER_REMOTE", "https://me:hush@host/x");
    let ran = Ran::of(&command.output().expect("runs"));
    assert!(ran.out.contains("https://…@host/x") && !ran.out.contains("hush"), "{}", ran.out);
}
