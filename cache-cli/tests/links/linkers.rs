//! What a linker is told and made of: scripts, objects, response files, the driver and its tools.

use std::os::unix::fs::PermissionsExt;

use crate::harness::{Checkout, Files, Lab, Run};
use crate::support::{
    DECLARATION, all_hits, archive, expect, follows, foreign, object, oracle, rebuild, script, tool,
};

const SAYS: [&str; 2] = ["foo 1", "foo 2"];

/// Two objects, of which something chooses one.
fn objects(lab: &Lab, checkout: &Checkout<'_>) {
    object(lab, checkout, "objects/1.o", 1);
    object(lab, checkout, "objects/2.o", 2);
}

/// A text file that names one of two objects, whose content changes.
#[track_caller]
fn text_follows(flags: &[&str], path: &str, text: &str) {
    let with = |value: &str| text.replace("VALUE", value);
    follows(
        &foreign(flags),
        |lab, checkout| {
            objects(lab, checkout);
            checkout.write(path, with("1"));
        },
        |_, checkout| checkout.write(path, with("2")),
        |_, checkout| checkout.write(path, with("1")),
        SAYS,
    );
}

#[test]
fn linker_script() {
    text_follows(&["-C", "link-arg=choice.ld"], "choice.ld", "INPUT(objects/VALUE.o)\n");
}

#[test]
fn linker_script_of_the_systems_linker() {
    let flags = ["-C", "link-arg=choice.ld", "-C", "linker-features=-lld"];
    text_follows(&flags, "choice.ld", "INPUT(objects/VALUE.o)\n");
}

#[test]
fn linker_script_posing_as_a_library() {
    let flags = ["-L", "native=libs", "-l", "foo"];
    text_follows(&flags, "libs/libfoo.so", "INPUT(objects/VALUE.o)\n");
}

#[test]
fn response_file() {
    text_follows(&["-C", "link-arg=@args"], "args", "objects/VALUE.o\n");
}

#[test]
fn response_file_for_the_linker_itself() {
    text_follows(&["-C", "link-arg=-Wl,@args"], "args", "objects/VALUE.o\n");
}

#[test]
fn extra_object() {
    let make = |value: u8| {
        move |lab: &Lab, checkout: &Checkout<'_>| object(lab, checkout, "extra.o", value)
    };
    follows(&foreign(&["-C", "link-arg=extra.o"]), make(1), make(2), make(1), SAYS);
}

#[test]
fn version_script() {
    let lab = Lab::new();
    let files = Files::default()
        .package("", "app", "[lib]\ncrate-type = [\"cdylib\"]\n")
        .with("src/lib.rs", "#[no_mangle]\npub extern \"C\" fn answer() -> i32 { 42 }\n")
        .with("build.rs", "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    println!(\"cargo:rustc-cdylib-link-arg=-Wl,-soname,libapp.so,--version-script=versions\");\n}\n");
    let (first, second) = oracle(&lab, &files, &["target/debug/libapp.so"], |checkout| {
        for name in ["ONE", "TWO", "ONE"] {
            checkout.remove_if_there("target");
            checkout.write("versions", format!("{name} {{ global: answer; }};\n"));
            checkout.cargo(&["build", "--lib"]).good();
            let said = tool(&lab, &checkout.root, "readelf", &["-VW", "target/debug/libapp.so"]);
            assert!(said.contains(&format!("Name: {name}")), "{said}");
        }
    });
    for (run, result) in first.runs().iter().zip(["miss", "miss", "hit"]) {
        expect(run, "cdylib", "app", result);
    }
    second.runs().iter().for_each(all_hits);
}

fn with_driver(driver: &str) -> Files {
    foreign(&["-C", &format!("linker={driver}")])
}

fn driver(value: u8) -> String {
    format!("exec cc \"$@\" objects/{value}.o")
}

#[test]
fn driver_replaced_at_the_same_path() {
    follows(
        &with_driver("./mycc"),
        |lab, checkout| {
            objects(lab, checkout);
            script(checkout, "mycc", &driver(1));
        },
        |_, checkout| script(checkout, "mycc", &driver(2)),
        |_, checkout| script(checkout, "mycc", &driver(1)),
        SAYS,
    );
}

#[test]
fn script_behind_the_driver_replaced() {
    follows(
        &with_driver("./mycc"),
        |lab, checkout| {
            objects(lab, checkout);
            script(checkout, "mycc", "exec ./tools/inner \"$@\"");
            script(checkout, "tools/inner", &driver(1));
        },
        |_, checkout| script(checkout, "tools/inner", &driver(2)),
        |_, checkout| script(checkout, "tools/inner", &driver(1)),
        SAYS,
    );
}

/// Runs cargo with these directories of the checkout before all others in `PATH`.
fn search(lab: &Lab, checkout: &Checkout<'_>, dirs: &[&str]) {
    let usual = lab.command("true");
    let usual = usual.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
    let usual = std::env::split_paths(usual.expect("PATH is set")).collect::<Vec<_>>();
    let dirs = dirs.iter().map(|dir| checkout.path(dir)).chain(usual);
    lab.set_env("PATH", std::env::join_paths(dirs).expect("PATH"));
}

/// A driver of this name that appears in an earlier directory of `PATH`.
fn driver_earlier_in_path(files: &Files, name: &str, exec: &str) {
    let lab = Lab::new();
    let usual_path = |checkout: &Checkout<'_>| {
        lab.unset_env("PATH");
        search(&lab, checkout, &["early", "late"]);
    };
    let text = |value: u8| format!("exec {exec} \"$@\" objects/{value}.o");
    let early = format!("early/{name}");
    let (first, second) = oracle(&lab, files, &["target/debug/app"], |checkout| {
        objects(&lab, checkout);
        checkout.write("early/readme", "");
        script(checkout, &format!("late/{name}"), &text(1));
        usual_path(checkout);
        assert_eq!(rebuild(checkout), SAYS[0]);
        script(checkout, &early, &text(2));
        assert_eq!(rebuild(checkout), SAYS[1], "{}", checkout.last().describe());
        checkout.remove(&early);
        assert_eq!(rebuild(checkout), SAYS[0]);
        lab.unset_env("PATH");
    });
    for (run, result) in first.runs().iter().zip(["miss", "miss", "hit"]) {
        expect(run, "bin", "app", result);
    }
    second.runs().iter().for_each(all_hits);
}

#[test]
fn driver_found_by_name() {
    driver_earlier_in_path(&with_driver("mycc"), "mycc", "cc");
}

#[test]
fn usual_driver_shadowed() {
    driver_earlier_in_path(&foreign(&[]), "cc", "gcc");
}

/// The same bytes, but no longer a program: the next one of that name is the driver.
#[test]
fn driver_no_longer_executable() {
    let lab = Lab::new();
    let text = |value: u8| format!("exec cc \"$@\" objects/{value}.o");
    oracle(&lab, &with_driver("mycc"), &["target/debug/app"], |checkout| {
        lab.unset_env("PATH");
        search(&lab, checkout, &["early", "late"]);
        objects(&lab, checkout);
        script(checkout, "early/mycc", &text(1));
        script(checkout, "late/mycc", &text(2));
        assert_eq!(rebuild(checkout), SAYS[0]);
        let plain = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(checkout.path("early/mycc"), plain).expect("mode");
        assert_eq!(rebuild(checkout), SAYS[1], "{}", checkout.last().describe());
        lab.unset_env("PATH");
    });
}

/// gcc looks for the linker where this variable says.
#[test]
fn linker_behind_the_driver_shadowed() {
    let lab = Lab::new();
    let files = foreign(&["-C", "linker-features=-lld"]);
    let (first, second) = oracle(&lab, &files, &["target/debug/app"], |checkout| {
        objects(&lab, checkout);
        let tools = checkout.path("tools");
        for value in [1, 2, 1] {
            let tools = tools.to_str().expect("UTF-8 paths in tests");
            lab.set_env("COMPILER_PATH", tools);
            let text = format!("exec /usr/bin/ld \"$@\" objects/{value}.o");
            script(checkout, "tools/ld", &text);
            assert_eq!(rebuild(checkout), format!("foo {value}"), "{}", checkout.last().describe());
        }
        lab.unset_env("COMPILER_PATH");
    });
    for (run, result) in first.runs().iter().zip(["miss", "miss", "hit"]) {
        expect(run, "bin", "app", result);
    }
    second.runs().iter().for_each(all_hits);
}

/// What a linker says is shown again, in the same words.
#[test]
fn warnings_of_the_linker() {
    let lab = Lab::new();
    let files = with_driver("./mycc").with(
        "src/main.rs",
        &format!("#![warn(linker_messages)]\n{DECLARATION}fn main() {{ println!(\"foo {{}}\", unsafe {{ foo_value() }}); }}\n"),
    );
    let (first, second) = oracle(&lab, &files, &["target/debug/app"], |checkout| {
        objects(&lab, checkout);
        let text = format!("echo 'mycc: warning: strange' >&2\n{}", driver(1));
        script(checkout, "mycc", &text);
        assert_eq!(rebuild(checkout), SAYS[0]);
        let said = checkout.last();
        assert!(said.stderr.contains("mycc: strange"), "{}", said.describe());
        let again = checkout.cargo(&["build"]).good();
        assert!(again.stderr.contains("mycc: strange"), "{}", again.describe());
    });
    expect(&first.runs()[0], "bin", "app", "miss");
    expect(&second.runs()[0], "bin", "app", "hit");
}

/// A link that fails is tried again, and says the same each time.
#[test]
fn failed_link() {
    let lab = Lab::new();
    let (_, second) = oracle(&lab, &foreign(&["-L", "libs", "-l", "foo"]), &[], |checkout| {
        for _ in 0..2 {
            // Not written down: the words name temporary files.
            let run = Run::of(&mut checkout.command(&["build"]), None);
            assert!(!run.ok() && run.stderr.contains("-lfoo"), "{}", run.describe());
        }
        archive(&lab, checkout, "libs", "foo", 1);
        assert_eq!(checkout.build_and_run(), "foo 1\n");
    });
    expect(&second.runs()[0], "bin", "app", "hit");
}

/// A shell takes its variables from the environment as a whole, where no tracer sees which.
#[test]
fn variable_read_by_the_drivers_script() {
    let lab = Lab::new();
    let (first, second) = oracle(&lab, &with_driver("./mycc"), &["target/debug/app"], |checkout| {
        objects(&lab, checkout);
        script(checkout, "mycc", "exec cc \"$@\" objects/${E2E_CHOICE}.o");
        for value in [1, 2, 1] {
            lab.set_env("E2E_CHOICE", value.to_string());
            assert_eq!(rebuild(checkout), format!("foo {value}"), "{}", checkout.last().describe());
        }
    });
    for (run, result) in first.runs().iter().zip(["miss", "miss", "hit"]) {
        expect(run, "bin", "app", result);
    }
    second.runs().iter().for_each(all_hits);
}

/// What a driver's script looks for and lists is part of the link.
#[test]
fn files_found_by_the_drivers_script() {
    follows(
        &with_driver("./mycc"),
        |lab, checkout| {
            objects(lab, checkout);
            checkout.write("flags/1", "");
            script(
                checkout,
                "mycc",
                "for f in flags/*; do last=${f#flags/}; done\nexec cc \"$@\" objects/$last.o",
            );
        },
        |_, checkout| checkout.write("flags/2", ""),
        |_, checkout| checkout.remove("flags/2"),
        SAYS,
    );
    follows(
        &with_driver("./mycc"),
        |lab, checkout| {
            objects(lab, checkout);
            script(
                checkout,
                "mycc",
                "value=1\nif [ -e flag ]; then value=2; fi\nexec cc \"$@\" objects/$value.o",
            );
        },
        |_, checkout| checkout.write("flag", ""),
        |_, checkout| checkout.remove("flag"),
        SAYS,
    );
    follows(
        &with_driver("./mycc"),
        |lab, checkout| {
            objects(lab, checkout);
            checkout.write("flag", "1\n");
            script(checkout, "mycc", "read value < flag\nexec cc \"$@\" objects/$value.o");
        },
        |_, checkout| checkout.write("flag", "2\n"),
        |_, checkout| checkout.write("flag", "1\n"),
        SAYS,
    );
}

/// A directory of `PATH` in which the driver was once no program.
#[test]
fn driver_that_becomes_a_program() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    let (plain, wrapped) = (
        lab.plain("plain/ws", &with_driver("mycc")),
        lab.checkout("wrapped/ws", &with_driver("mycc")),
    );
    for checkout in [&plain, &wrapped] {
        objects(&lab, checkout);
        script(checkout, "early/mycc", &driver(2));
        script(checkout, "late/mycc", &driver(1));
        lab.unset_env("PATH");
        search(&lab, checkout, &["early", "late"]);
        for (mode, says) in [(0o644, SAYS[0]), (0o755, SAYS[1])] {
            let early = checkout.path("early/mycc");
            std::fs::set_permissions(early, PermissionsExt::from_mode(mode)).expect("mode");
            assert_eq!(rebuild(checkout), says, "{}", checkout.last().describe());
        }
        lab.unset_env("PATH");
    }
    plain.assert_same(&wrapped);
    expect(&wrapped.last(), "bin", "app", "miss");
}
