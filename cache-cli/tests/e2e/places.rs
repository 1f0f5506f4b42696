//! Odd paths, and what code learns of the place it was compiled in.

use crate::harness::{Files, Lab, app, one_lib};

/// Builds the usual workspace in places whose names have this in them.
fn builds_in(name: &str) {
    let lab = Lab::named(name);
    let (_, second) = lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
        checkout.cargo(&["build"]).good();
        checkout.write("mid/src/lib.rs", "pub fn text() -> String { \"mid 2\".into() }\n");
        checkout.build_and_run();
    });
    second.runs()[0].expect(&["leaf", "mid"], &[]);
    second.runs()[2].expect(&["mid"], &[]);
}

#[test]
fn spaces() {
    builds_in("a b  c ");
}

#[test]
fn letters_outside_ascii() {
    builds_in("žluťoučký 猫 🦀");
}

#[test]
fn equals_signs() {
    builds_in("k=v");
}

#[test]
fn quotes_and_shell_characters() {
    builds_in("a'b\"c $HOME `x` & (y) ; #");
}

#[test]
fn backslashes_and_colons_in_a_name() {
    // A colon cannot stand in a search path for libraries; cargo warns, and works.
    builds_in("a\\b");
}

#[test]
fn a_place_that_is_the_prefix_of_another() {
    let lab = Lab::new();
    let files = paths_shown();
    for name in ["ws", "ws2", "ws/nested", "ws2/ws"] {
        let checkout = lab.checkout(name, &files);
        let text = checkout.build_and_run();
        assert!(text.contains(&format!("dir {}/one\n", checkout.root.display())), "{text}");
        let plain = lab.plain(&format!("plain/{name}"), &files);
        assert_eq!(
            plain.build_and_run().replace(plain.root.to_str().unwrap(), ""),
            text.replace(checkout.root.to_str().unwrap(), "")
        );
    }
}

/// A program that says all it knows about where it was compiled.
fn paths_shown() -> Files {
    one_lib(
        r#"
#[track_caller]
pub fn caller() -> String { std::panic::Location::caller().to_string() }
#[macro_export]
macro_rules! place { () => { file!() } }
pub fn generic<T: Default>(values: &[T]) -> &T { &values[1] }
pub fn text() -> String {
    let panicked = std::panic::catch_unwind(|| { let x: Option<u8> = None; x.unwrap() });
    assert!(panicked.is_err());
    format!("dir {}\nfile {}\nhere {}\nmodule {}", env!("CARGO_MANIFEST_DIR"), file!(), caller(), module_path!())
}
"#,
    )
    .with(
        "src/main.rs",
        "fn main() {\n    println!(\"{}\", one::text());\n    println!(\"main {} {} {}\", file!(), one::caller(), one::place!());\n    let _: &u8 = one::generic(&[]);\n}\n",
    )
}

#[test]
fn locations_are_those_of_plain_cargo() {
    let lab = Lab::new();
    let (_, second) = lab.oracle(&paths_shown(), |checkout| {
        checkout.cargo(&["build"]).good();
        let text = checkout.program("target/debug/app");
        assert!(text.contains("file one/src/lib.rs"), "{text}");
    });
    // The code carries CARGO_MANIFEST_DIR, so it holds in one place only.
    second.runs()[0].expect(&[], &["one"]);
}

#[test]
fn locations_in_a_dependency_outside_the_workspace() {
    let lab = Lab::new();
    let files = Files::default()
        .package("ws", "app", "[dependencies]\none = { path = \"../out/one\" }\n[workspace]\n")
        .with(
            "ws/src/main.rs",
            "fn main() { println!(\"{} {}\", file!(), one::file()); one::fail(); }\n",
        )
        .package("out/one", "one", "")
        .with(
            "out/one/src/lib.rs",
            "pub fn file() -> &'static str { file!() }\npub fn fail() { panic!(\"here\") }\n",
        );
    lab.oracle(&files, |checkout| {
        let ws = checkout.path("ws");
        for _ in 0..2 {
            checkout.cargo_with(&["build"], |cargo| cargo.current_dir(&ws)).good();
        }
        checkout.program("ws/target/debug/app");
    });
}

#[test]
fn a_backtrace_names_the_same_lines() {
    let lab = Lab::new();
    let files = one_lib(
        "#[inline(never)]\npub fn text() -> String { std::backtrace::Backtrace::force_capture().to_string() }\n",
    );
    let (_, second) = lab.oracle(&files, |checkout| {
        checkout.cargo(&["build"]).good();
        let run =
            lab.command(checkout.path("target/debug/app")).current_dir(&checkout.root).output();
        let text = String::from_utf8(run.unwrap().stdout).unwrap();
        assert!(text.contains("one/src/lib.rs:2"), "{text}");
        assert!(text.contains("src/main.rs:1"), "{text}");
    });
    second.runs()[0].expect(&["one"], &[]);
}

#[test]
fn another_home_and_cargo_home() {
    let lab = Lab::new();
    let build = |name: &str| {
        let checkout = lab.checkout(name, &app());
        let (home, cargo) = (lab.root.join(format!("home-{name}")), lab.root.join(name).join("c"));
        std::fs::create_dir_all(&home).unwrap();
        checkout
            .cargo_with(&["build"], |run| {
                run.env("HOME", &home).env("CARGO_HOME", &cargo).env("USER", name)
            })
            .good()
    };
    build("a").expect(&[], &["leaf", "mid"]);
    build("b").expect(&["leaf", "mid"], &[]);
}

#[test]
fn places_at_other_depths_hit() {
    let lab = Lab::new();
    let build = |name: &str, cargo_home: &str, target: &str| {
        let checkout = lab.checkout(name, &app());
        let (cargo_home, target) = (lab.root.join(cargo_home), lab.root.join(target));
        checkout
            .cargo_with(&["build"], |run| {
                run.env("CARGO_HOME", &cargo_home).env("CARGO_TARGET_DIR", &target)
            })
            .good()
    };
    build("a", "c/d/e/f/g", "a/target").expect(&[], &["leaf", "mid"]);
    for (name, cargo_home, target) in [
        ("x/y/z", "c2", "x/y/z/target"),
        ("u", "c/d/e", "t"),
        ("x/y/w", "x/y/c", "x"),
        ("v", "v/c", "v/c/target"),
        ("k/l/m", "k", "k/l/m/n/t"),
    ] {
        build(name, cargo_home, target).expect(&["leaf", "mid"], &[]);
    }
}

#[test]
fn a_checkout_reached_through_a_link() {
    let lab = Lab::new();
    let a = lab.checkout("a", &app());
    std::os::unix::fs::symlink(&a.root, lab.root.join("link")).unwrap();
    let link = lab.root.join("link");
    a.cargo_with(&["build"], |cargo| cargo.current_dir(&link)).good();
    assert_eq!(a.program("target/debug/app"), "app 1, mid 1, leaf 1\n");
    let b = lab.checkout("b", &app());
    b.build_and_run();
    b.last().expect(&["leaf", "mid"], &[]);
}

#[test]
fn a_user_with_path_mappings_of_their_own() {
    let lab = Lab::new();
    lab.oracle(&paths_shown(), |checkout| {
        let flags = format!("--remap-path-prefix={}=/mine", checkout.root.display());
        checkout.cargo_with(&["build"], |cargo| cargo.env("RUSTFLAGS", &flags)).good();
        checkout.program("target/debug/app");
    });
}
