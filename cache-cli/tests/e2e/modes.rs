//! Ways to call cargo, and the wrapper's own settings.

use crate::harness::{Checkout, Lab, app, host, one_lib};

#[test]
fn verbose_output() {
    let lab = Lab::new();
    let (_, second) = lab.oracle(&app(), |checkout| {
        checkout.cargo(&["build", "-v"]).good();
        checkout.cargo(&["build", "-v"]).good();
        checkout.write("mid/src/lib.rs", "pub fn text() -> String { \"mid 2\".into() }\n");
        checkout.cargo(&["build", "-v"]).good();
    });
    second.runs()[0].expect(&["leaf", "mid"], &[]);
}

#[test]
fn json_messages() {
    let lab = Lab::new();
    let files = app().with("leaf/src/lib.rs", "fn unused() {}\npub fn text() -> u8 { 1 }\n");
    let (_, second) = lab.oracle(&files, |checkout| {
        checkout.cargo(&["build", "--message-format=json"]).good();
        checkout.cargo(&["build", "--message-format=json"]).good();
        checkout.cargo(&["check", "--message-format=json-render-diagnostics"]).good();
    });
    second.runs()[0].expect(&["leaf", "mid"], &[]);
}

#[test]
fn release_and_timings() {
    let lab = Lab::new();
    let (_, second) = lab.oracle(&app(), |checkout| {
        checkout.cargo(&["build", "--release", "--timings"]).good();
        checkout.program("target/release/app");
        checkout.cargo(&["build", "--release"]).good();
    });
    second.runs()[0].expect(&["leaf", "mid"], &[]);
}

#[test]
fn a_target_triple() {
    let lab = Lab::new();
    let host = host();
    let (_, second) = lab.oracle(&app(), |checkout| {
        checkout.cargo(&["build", "--target", &host]).good();
        checkout.program(&format!("target/{host}/debug/app"));
        checkout.cargo(&["build", "--target", &host]).good();
    });
    second.runs()[0].expect(&["leaf", "mid"], &[]);
}

#[test]
fn target_and_build_directories_elsewhere() {
    let lab = Lab::new();
    let elsewhere = |checkout: &Checkout<'_>, variable: &str| {
        let dir = format!("{}-{}", checkout.root.display(), variable.to_lowercase());
        for _ in 0..2 {
            checkout.cargo_with(&["build"], |cargo| cargo.env(variable, &dir)).good();
        }
        dir
    };
    let (_, second) = lab.oracle(&app(), |checkout| {
        let target = elsewhere(checkout, "CARGO_TARGET_DIR");
        checkout.program(&format!("{target}/debug/app"));
        elsewhere(checkout, "CARGO_BUILD_BUILD_DIR");
        checkout.program("target/debug/app");
    });
    second.runs()[0].expect(&["leaf", "mid"], &[]);
    second.runs()[2].expect(&["leaf", "mid"], &[]);
}

#[test]
fn relative_target_directory_from_below() {
    let lab = Lab::new();
    let (_, second) = lab.oracle(&app(), |checkout| {
        let below = checkout.path("mid");
        for _ in 0..2 {
            checkout
                .cargo_with(&["build"], |cargo| {
                    cargo.current_dir(&below).env("CARGO_TARGET_DIR", "../t")
                })
                .good();
        }
    });
    second.runs()[0].expect(&["leaf", "mid"], &[]);
}

#[test]
fn tests_run_the_same() {
    let lab = Lab::new();
    let test = "pub fn text() -> u8 { 1 }\n#[test]\nfn t() { assert_eq!(file!(), \"one/src/lib.rs\"); }\n#[test]\nfn fails() { panic!(\"here\") }\n";
    let files =
        one_lib(test).with("one/tests/it.rs", "#[test]\nfn it() { assert_eq!(one::text(), 1); }\n");
    lab.oracle(&files, |checkout| {
        let args = ["test", "--workspace", "--no-fail-fast", "--", "--test-threads=1"];
        let run = checkout.cargo(&args);
        assert!(run.stdout.contains("one/src/lib.rs:5"), "{}", run.describe());
    });
}

#[test]
fn library_kinds_side_by_side() {
    let lab = Lab::new();
    for kinds in
        ["\"rlib\"", "\"lib\", \"staticlib\"", "\"rlib\", \"cdylib\"", "\"dylib\"", "\"staticlib\""]
    {
        let table = format!("[lib]\ncrate-type = [{kinds}]\n");
        let files = one_lib("pub fn text() -> u8 { 1 }\n").package("one", "one", &table);
        let lab = if kinds == "\"rlib\"" { &lab } else { &Lab::new() };
        lab.oracle(&files, |checkout| {
            checkout.cargo(&["build", "-p", "one"]).good();
            checkout.cargo(&["build", "-p", "one"]).good();
        });
    }
}

#[test]
fn off_passes_everything_through() {
    let lab = Lab::new();
    lab.set_env("LARDER", "off");
    let (first, second) = lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
    });
    for run in first.runs().iter().chain(&second.runs()) {
        run.expect(&[], &[]);
    }
    assert!(!lab.store().exists(), "the store is not touched");
}

#[test]
fn read_only_reads_and_does_not_write() {
    let lab = Lab::new();
    let a = lab.checkout("a", &app());
    let with = |checkout: &Checkout<'_>, mode: &str| {
        checkout.cargo_with(&["build"], |cargo| cargo.env("LARDER", mode)).good()
    };
    with(&a, "readonly").expect(&[], &["leaf", "mid"]);
    a.remove("target");
    with(&a, "on").expect(&[], &["leaf", "mid"]);
    a.remove("target");
    with(&a, "readonly").expect(&["leaf", "mid"], &[]);
    a.write("leaf/src/lib.rs", "pub fn text() -> &'static str { \"2\" }\n");
    with(&a, "readonly").expect(&[], &["leaf", "mid"]);
    a.remove("target");
    with(&a, "on").expect(&[], &["leaf", "mid"]);
}

#[test]
fn refresh_compiles_and_stores_anew() {
    let lab = Lab::new();
    let a = lab.checkout("a", &app());
    a.build_and_run();
    a.remove("target");
    let refreshed = a.cargo_with(&["build"], |cargo| cargo.env("LARDER", "refresh")).good();
    refreshed.expect(&[], &["leaf", "mid"]);
    a.remove("target");
    a.build_and_run();
    a.last().expect(&["leaf", "mid"], &[]);
}

#[test]
fn exact_paths_give_the_bytes_of_plain_cargo() {
    let lab = Lab::new();
    let files = app().with(
        "leaf/src/lib.rs",
        "pub fn text() -> &'static str { concat!(env!(\"CARGO_MANIFEST_DIR\"), file!()) }\n",
    );
    let checkout = lab.checkout("a", &files);
    let libraries = |checkout: &Checkout<'_>| -> Vec<_> {
        checkout
            .find("target/debug/deps", |name| name.ends_with(".rlib") || name.ends_with(".rmeta"))
            .into_iter()
            .map(|path| {
                let bytes = std::fs::read(checkout.root.join(&path)).unwrap();
                (path, bytes)
            })
            .collect()
    };
    checkout.cargo_with(&["build"], |cargo| cargo.env_remove("RUSTC_WRAPPER")).good();
    let plain = libraries(&checkout);
    assert_eq!(plain.len(), 4);
    for results in [(&[][..], &["leaf", "mid"][..]), (&["leaf", "mid"], &[])] {
        checkout.remove("target");
        let run =
            checkout.cargo_with(&["build"], |cargo| cargo.env("LARDER_PATHS", "exact")).good();
        run.expect(results.0, results.1);
        assert!(libraries(&checkout) == plain, "bit for bit");
    }
}

#[test]
fn a_malformed_configuration_is_not_in_the_way() {
    let lab = Lab::new();
    std::fs::write(lab.root.join("larder.toml"), "mode = \nnonsense [[").unwrap();
    let (_, second) = lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
    });
    second.runs()[0].expect(&["leaf", "mid"], &[]);
    let shown = lab.larder(&["config"]);
    let said = format!("{}{}", shown.stdout, shown.stderr);
    assert!(said.contains("larder.toml:"), "names file and line: {said}");
}

#[test]
fn a_wrong_setting_in_the_environment_is_not_in_the_way() {
    let lab = Lab::new();
    lab.set_env("LARDER", "sometimes");
    lab.set_env("LARDER_PATHS", "/");
    let (_, second) = lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
    });
    second.runs()[0].expect(&["leaf", "mid"], &[]);
}

#[test]
fn misuse_is_a_usage_error() {
    let lab = Lab::new();
    let run = lab.larder(&["nonsense"]);
    assert_eq!(run.status.code(), Some(2), "{}", run.describe());
    assert!(run.stderr.contains("nonsense") || run.stderr.to_lowercase().contains("usage"));
}
