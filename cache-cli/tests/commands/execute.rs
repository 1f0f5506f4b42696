//! `larder execute`, as people run it.

use crate::servers::address;
use crate::support::{Home, Ran};

fn execute(home: &Home, url: &str, args: &[&str]) -> Ran {
    let mut command = home.larder();
    command.arg("execute").args(args).env("LARDER_EXECUTE", url);
    Ran::of(&command.output().expect("larder runs"))
}

#[test]
fn without_an_engine_the_setting_is_named() {
    let home = Home::new();
    for args in [["execute", "check"], ["execute", "status"]] {
        let ran = home.run(&args);
        assert_eq!(ran.code, Some(1));
        assert!(ran.err.contains("LARDER_EXECUTE=grpc://HOST:PORT"), "{}", ran.err);
    }
}

#[test]
fn an_engine_that_works_is_found_good() {
    for variable in ["LARDER_TEST_REAPI", "LARDER_TEST_REAPI_BUILDGRID"] {
        let Some(url) = address(variable) else { continue };
        let home = Home::new();
        let ran = execute(&home, &url, &["check"]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("an action ran in"), "{}", ran.out);
        assert!(!ran.out.contains("BROKEN"), "{}", ran.out);
        let status = execute(&home, &url, &["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&status.out).expect("JSON");
        assert_eq!((&status["execute"], &status["url"]), (&true.into(), &url.into()));
    }
}

#[test]
fn what_is_wrong_is_said_with_a_fix() {
    let home = Home::new();
    let cases = [("grpc://127.0.0.1:1", "127.0.0.1:1", "see whether the engine runs")];
    for (url, said, fix) in cases {
        let ran = execute(&home, url, &["check"]);
        assert_eq!(ran.code, Some(1), "{}", ran.out);
        assert!(ran.out.starts_with("BROKEN") && ran.out.contains(said), "{}", ran.out);
        assert!(ran.out.contains("-> ") && ran.out.contains(fix), "{}", ran.out);
    }
    let Some(url) = address("LARDER_TEST_REAPI") else { return };
    let ran = execute(&home, &(url + "/nosuch"), &["check"]);
    assert!(ran.out.contains("grpc://HOST:PORT/INSTANCE"), "{}", ran.out);
}
