//! What a run leaves in `OUT_DIR`.

use std::os::unix::fs::PermissionsExt;

use crate::harness::Lab;
use crate::support::{ONE, expect, hits_elsewhere, left, not_stored, out_dir, script};

#[test]
fn a_tree_with_directories_links_and_modes() {
    let lab = Lab::new();
    let body = r#"
        use std::os::unix::fs::{PermissionsExt, symlink};
        std::fs::create_dir_all(out("a/empty")).unwrap();
        std::fs::create_dir_all(out("locked")).unwrap();
        std::fs::write(out("a/tool"), "tool").unwrap();
        std::fs::write(out("locked/file"), "x").unwrap();
        std::fs::set_permissions(out("a/tool"), std::fs::Permissions::from_mode(0o750)).unwrap();
        std::fs::set_permissions(out("locked"), std::fs::Permissions::from_mode(0o555)).unwrap();
        symlink("a/tool", out("relative")).unwrap();
        symlink(out("a"), out("absolute")).unwrap();
        set(1);
    "#;
    hits_elsewhere(&lab, &script(body));
    let second = lab.checkout("third/ws", &script(body));
    second.build_and_run();
    expect(&second.last(), "hit");
    let dir = out_dir(&second, ONE);
    let mode =
        |name: &str| std::fs::metadata(dir.join(name)).expect(name).permissions().mode() & 0o777;
    assert_eq!((mode("a/tool"), mode("locked")), (0o750, 0o555));
    assert!(dir.join("a/empty").is_dir());
    assert_eq!(std::fs::read_link(dir.join("absolute")).expect("link"), dir.join("a"));
}

#[test]
fn a_text_that_names_the_checkout_names_this_one() {
    let body = "std::fs::write(out(\"paths.txt\"), format!(\"{}\\n{}\\n\", out(\"x\").display(), std::env::current_dir().unwrap().display())).unwrap(); set(1);";
    hits_elsewhere(&Lab::new(), &script(body));
}

#[test]
fn bytes_that_name_the_checkout_are_bound_to_it() {
    let lab = Lab::new();
    let body = "std::fs::write(out(\"bytes\"), format!(\"\\0{}\\0\", out(\"x\").display())).unwrap(); set(1);";
    let files = script(body);
    let (first, second) = (lab.checkout("first/ws", &files), lab.checkout("second/ws", &files));
    first.build_and_run();
    second.build_and_run();
    expect(&second.last(), "miss");
    assert_eq!(left(&first, ONE), left(&second, ONE));
    second.remove("target");
    second.build_and_run();
    expect(&second.last(), "hit");
    assert_eq!(left(&first, ONE), left(&second, ONE));
}

#[test]
fn printed_paths_are_those_of_the_checkout() {
    let lab = Lab::new();
    let body = "println!(\"cargo:rustc-link-search=native={}\", out(\"lib\").display()); println!(\"cargo:warning=in {}\", std::env::current_dir().unwrap().display()); set(1);";
    hits_elsewhere(&lab, &script(body));
}

#[test]
fn a_script_that_adds_to_what_is_there_adds_to_it() {
    let lab = Lab::new();
    let body = "use std::io::Write; println!(\"cargo:rerun-if-changed=in.txt\"); let mut f = std::fs::OpenOptions::new().create(true).append(true).open(out(\"log\")).unwrap(); f.write_all(b\"x\").unwrap(); drop(f); set(std::fs::read_to_string(out(\"log\")).unwrap());";
    let files = script(body).with("one/in.txt", "a");
    let (_, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "x\n");
        checkout.write("one/in.txt", "b");
        assert_eq!(checkout.build_and_run(), "xx\n");
    });
    expect(&second.runs()[0], "hit");
    expect(&second.runs()[1], "miss");
    assert_eq!(not_stored(&second.runs()[1]), "out-dir-not-empty");
}

#[test]
fn whole_files_are_put_beside_what_is_there() {
    let lab = Lab::new();
    let body = "println!(\"cargo:rerun-if-changed=in.txt\"); let v = std::fs::read_to_string(\"in.txt\").unwrap(); std::fs::write(out(&v), &v).unwrap(); set(v);";
    let files = script(body).with("one/in.txt", "a");
    let plain = lab.plain("plain/ws", &files);
    let (first, second) = (lab.checkout("first/ws", &files), lab.checkout("second/ws", &files));
    lab.checkout("b/ws", &files.clone().with("one/in.txt", "b")).build_and_run();
    for checkout in [&plain, &first, &second] {
        for value in ["a", "b"] {
            checkout.write("one/in.txt", value);
            assert_eq!(checkout.build_and_run().trim_end(), value);
        }
        assert_eq!(left(checkout, ONE), left(&plain, ONE));
    }
    assert_eq!(left(&plain, ONE).len(), 2);
    second.runs().iter().for_each(|run| expect(run, "hit"));
}

#[test]
fn a_restored_file_may_be_changed() {
    let lab = Lab::new();
    let files = script("std::fs::write(out(\"a\"), \"value\").unwrap(); set(1);");
    let first = lab.checkout("first/ws", &files);
    first.build_and_run();
    std::fs::write(out_dir(&first, ONE).join("a"), "other").expect("written");
    let second = lab.checkout("second/ws", &files);
    second.build_and_run();
    std::fs::write(out_dir(&second, ONE).join("a"), "other").expect("written");
    let third = lab.checkout("third/ws", &files);
    third.build_and_run();
    expect(&third.last(), "hit");
    assert_eq!(left(&third, ONE).values().collect::<Vec<_>>(), ["value"]);
}
