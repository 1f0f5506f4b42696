//! Files and variables that the language itself reads: `include!`, `env!`, and what build scripts
//! hand on.

use crate::harness::{Files, Lab, one_lib};

const FILES: &str = r#"
const BYTES: &[u8] = include_bytes!("../b.bin");
pub fn text() -> String { format!("{} {:?}", include_str!("../s.txt"), BYTES) }
"#;

#[test]
fn included_files_are_inputs() {
    let lab = Lab::new();
    let files = one_lib(FILES).with("one/s.txt", "s1").with("one/b.bin", "a");
    let (first, second) = lab.oracle(&files, |checkout| {
        checkout.build_and_run();
        checkout.write("one/s.txt", "s2");
        checkout.build_and_run();
        checkout.write("one/b.bin", "bb");
        checkout.build_and_run();
        checkout.write("one/s.txt", "s1");
        checkout.write("one/b.bin", "a");
        checkout.build_and_run();
    });
    for run in &first.runs()[..3] {
        run.expect(&[], &["one"]);
    }
    first.runs()[3].expect(&["one"], &[]);
    second.runs().iter().for_each(|run| run.expect(&["one"], &[]));
}

#[test]
fn env_macro_set_and_changed() {
    let lab = Lab::new();
    let files = one_lib("pub fn text() -> &'static str { env!(\"E2E_VALUE\") }\n");
    let (first, second) = lab.oracle(&files, |checkout| {
        for value in ["1", "2", "a b\\\"='\u{e9}"] {
            checkout.cargo_with(&["build"], |cargo| cargo.env("E2E_VALUE", value)).good();
            assert_eq!(checkout.program("target/debug/app").trim_end(), value);
        }
    });
    first.runs().iter().for_each(|run| run.expect(&[], &["one"]));
    second.runs().iter().for_each(|run| run.expect(&["one"], &[]));
}

#[test]
fn env_macro_unset_fails_as_without_the_wrapper() {
    let lab = Lab::new();
    let files = one_lib("pub fn text() -> &'static str { env!(\"E2E_VALUE\") }\n");
    let (first, _) = lab.oracle(&files, |checkout| {
        checkout.cargo_with(&["build"], |cargo| cargo.env("E2E_VALUE", "1")).good();
        assert!(!checkout.cargo(&["build"]).ok());
        checkout.cargo_with(&["build"], |cargo| cargo.env("E2E_VALUE", "1")).good();
    });
    assert_eq!(first.runs()[1].hits(), [""; 0]);
}

#[test]
fn option_env_set_unset_changed() {
    let lab = Lab::new();
    let files =
        one_lib("pub fn text() -> &'static str { option_env!(\"E2E_VALUE\").unwrap_or(\"-\") }\n");
    let (first, second) = lab.oracle(&files, |checkout| {
        for value in [None, Some("1"), Some("2"), None] {
            checkout
                .cargo_with(&["build"], |cargo| cargo.envs(value.map(|value| ("E2E_VALUE", value))))
                .good();
            assert_eq!(checkout.program("target/debug/app").trim_end(), value.unwrap_or("-"));
        }
    });
    first.runs()[..3].iter().for_each(|run| run.expect(&[], &["one"]));
    first.runs()[3].expect(&["one"], &[]);
    second.runs().iter().for_each(|run| run.expect(&["one"], &[]));
}

fn scripted(lib: &str, script: &str) -> Files {
    one_lib(lib).with("one/build.rs", script)
}

const GENERATE: &str = r#"
fn main() {
    println!("cargo:rerun-if-changed=gen.txt");
    let text = std::fs::read_to_string("gen.txt").unwrap();
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap());
    std::fs::write(out.join("gen.rs"), format!("fn generated() -> &'static str {{ {:?} }}", text)).unwrap();
}
"#;

#[test]
fn generated_code_in_out_dir_is_an_input() {
    let lab = Lab::new();
    let lib = "include!(concat!(env!(\"OUT_DIR\"), \"/gen.rs\"));\npub fn text() -> &'static str { generated() }\n";
    let files = scripted(lib, GENERATE).with("one/gen.txt", "g1");
    let (first, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "g1\n");
        checkout.write("one/gen.txt", "g2");
        assert_eq!(checkout.build_and_run(), "g2\n");
        checkout.cargo(&["build"]).good();
    });
    first.runs()[..2].iter().for_each(|run| run.expect(&[], &["one"]));
    second.runs()[..2].iter().for_each(|run| run.expect(&["one"], &[]));
}

#[test]
fn variables_from_a_build_script_are_inputs() {
    let lab = Lab::new();
    let script = "fn main() {\n println!(\"cargo:rerun-if-changed=v\");\n println!(\"cargo:rustc-env=E2E_FROM={}\", std::fs::read_to_string(\"v\").unwrap()); }\n";
    let files = scripted("pub fn text() -> &'static str { env!(\"E2E_FROM\") }\n", script)
        .with("one/v", "1");
    let (first, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "1\n");
        checkout.write("one/v", "2");
        assert_eq!(checkout.build_and_run(), "2\n");
    });
    first.runs().iter().for_each(|run| run.expect(&[], &["one"]));
    second.runs().iter().for_each(|run| run.expect(&["one"], &[]));
}

#[test]
fn cfgs_from_a_build_script_are_inputs() {
    let lab = Lab::new();
    let script = "fn main() {\n println!(\"cargo:rerun-if-changed=v\");\n println!(\"cargo::rustc-check-cfg=cfg(e2e, values(any()))\");\n println!(\"cargo:rustc-cfg=e2e=\\\"{}\\\"\", std::fs::read_to_string(\"v\").unwrap()); }\n";
    let lib = "pub fn text() -> &'static str { if cfg!(e2e = \"1\") { \"one\" } else if cfg!(e2e = \"2\") { \"two\" } else { \"none\" } }\n";
    let files = scripted(lib, script).with("one/v", "1");
    let (first, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "one\n");
        checkout.write("one/v", "2");
        assert_eq!(checkout.build_and_run(), "two\n");
    });
    first.runs().iter().for_each(|run| run.expect(&[], &["one"]));
    second.runs().iter().for_each(|run| run.expect(&["one"], &[]));
}

#[test]
fn manifest_dir_and_out_dir_at_run_time_are_those_of_the_checkout() {
    let lab = Lab::new();
    let lib = "pub fn text() -> String { format!(\"{} {}\", env!(\"CARGO_MANIFEST_DIR\"), env!(\"OUT_DIR\")) }\n";
    let files = scripted(lib, "fn main() {}\n");
    lab.oracle(&files, |checkout| {
        let text = checkout.build_and_run();
        let (manifest, out) = text.trim_end().split_once(' ').unwrap();
        assert_eq!(manifest, checkout.path("one").to_str().unwrap());
        assert!(out.starts_with(checkout.path("target/debug/build").to_str().unwrap()), "{out}");
    });
}

#[test]
fn package_variables_are_inputs() {
    let lab = Lab::new();
    let lib = "pub fn text() -> &'static str { concat!(env!(\"CARGO_PKG_DESCRIPTION\"), \" \", env!(\"CARGO_PKG_AUTHORS\")) }\n";
    let files = one_lib(lib).package("one", "one", "description = \"d1\"\n");
    let (first, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "d1 \n");
        let manifest = std::fs::read_to_string(checkout.path("one/Cargo.toml")).unwrap();
        checkout.write("one/Cargo.toml", manifest.replace("d1", "d2"));
        assert_eq!(checkout.build_and_run(), "d2 \n");
    });
    first.runs().iter().for_each(|run| run.expect(&[], &["one"]));
    second.runs().iter().for_each(|run| run.expect(&["one"], &[]));
}
