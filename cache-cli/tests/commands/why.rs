use crate::support::Home;

#[test]
fn a_crate_that_was_never_built_is_an_error_with_a_hint() {
    let home = Home::new();
    home.events(&[
        r#""crate":"serde","unit":"serde-1","kind":"rlib","did":"hit","us":{"total":1}"#,
    ]);
    let ran = home.run(&["why", "serd"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("`serd`") && ran.err.contains("did you mean serde?"), "{}", ran.err);
}

#[test]
fn a_changed_source_is_named_at_the_end_of_the_chain() {
    let home = Home::new();
    let project = home.project("p");
    let build = |args: &[&str]| {
        let ran = home.cargo(&project, args);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    };
    build(&["build"]);
    let said = home.run(&["why", "mid"]).out;
    assert!(said.contains("compiled: it was never built before with this store"), "{said}");

    home.write("p/leaf/src/lib.rs", "pub fn leaf() -> u32 { 42 }\npub fn more() {}\n");
    build(&["build"]);
    let said = home.run(&["why", "leaf"]).out;
    assert!(said.contains("leaf/src/lib.rs changed\n"), "{said}");
    let said = home.run(&["why", "mid"]).out;
    let want = "compiled: extern leaf was rebuilt because ";
    assert!(said.contains(want) && said.contains("leaf/src/lib.rs changed"), "{said}");

    build(&["build", "--release"]);
    let said = home.run(&["why", "leaf"]).out;
    assert!(said.contains("opt-level"), "{said}");
}

#[test]
fn an_environment_variable_is_named_with_its_values() {
    let home = Home::new();
    let project = home.project("p");
    home.write(
        "p/leaf/src/lib.rs",
        "pub fn leaf() -> u32 { option_env!(\"FOO\").map_or(0, |_| 1) }\n",
    );
    let build = |foo: Option<&str>| {
        let mut command = home.program("cargo");
        command.env("RUSTC_WRAPPER", env!("CARGO_BIN_EXE_larder")).current_dir(&project);
        if let Some(foo) = foo {
            command.env("FOO", foo);
        }
        let output =
            command.args(["build", "--offline", "-p", "leaf"]).output().expect("cargo runs");
        assert!(output.status.success());
    };
    build(None);
    build(Some("1"));
    let said = home.run(&["why", "leaf"]).out;
    assert!(said.contains("compiled: env FOO went from unset to \"1\""), "{said}");
}

#[test]
fn a_failed_compile_is_said_to_be_one() {
    let home = Home::new();
    let project = home.project("p");
    home.write("p/leaf/src/lib.rs", "pub fn leaf() -> u32 { \"no\" }\n");
    assert_ne!(home.cargo(&project, &["build"]).code, Some(0));
    let said = home.run(&["why", "leaf"]).out;
    assert!(said.contains("not stored: it did not compile"), "{said}");
}
