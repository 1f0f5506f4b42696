//! An engine that is not there, or goes away: the build goes on.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::Lab;
use crate::support::{engine, lab_on, project, sent};

/// An address behind which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("grpc://{}", listener.local_addr().expect("an address"))
}

/// What comes in between a build and its engine, and can be cut.
struct Line {
    address: String,
    open: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Line {
    fn to(engine: &str) -> Self {
        let engine = engine.strip_prefix("grpc://").expect("an address").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("grpc://{}", listener.local_addr().expect("an address"));
        let open = Arc::new(Mutex::new(Some(Vec::new())));
        let streams = open.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut streams = streams.lock().expect("streams");
                let (Ok(client), Some(streams)) = (client, streams.as_mut()) else { return };
                let server = TcpStream::connect(&engine).expect("the engine");
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || io::copy(&mut from, &mut to));
                }
                streams.extend([client, server]);
            }
        });
        Self { address, open }
    }

    /// Cuts it for good.
    fn cut(&self) {
        for stream in self.open.lock().expect("streams").take().into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Builds without the wrapper and through it, with the same result.
fn same(lab: &Lab) {
    let (plain, checkout) = (lab.plain("a/ws", &project()), lab.checkout("b/ws", &project()));
    for checkout in [&plain, &checkout] {
        assert_eq!(checkout.build_and_run(), "made data\n");
    }
    plain.assert_same(&checkout);
}

#[test]
fn an_engine_that_is_not_there() {
    for local in ["race", "fallback", "never"] {
        let lab = lab_on(&nobody());
        lab.set_env("LARDER_EXECUTE_LOCAL", local);
        same(&lab);
        let stats = lab.stats();
        assert_eq!(stats["sent"]["used"], serde_json::Value::Null, "{stats}");
        assert!(stats["sent"].as_object().is_some_and(|sent| !sent.is_empty()), "{stats}");
    }
}

#[test]
fn an_engine_that_goes_away_during_a_build() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let line = Line::to(&engine);
    lab.set_env("LARDER_EXECUTE", &line.address);
    let (plain, checkout) = (lab.plain("a/ws", &project()), lab.checkout("b/ws", &project()));
    plain.build_and_run();
    // The build script's run is here and comes after its compile there.
    let pipe = lab.root.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    thread::scope(|scope| {
        scope.spawn(|| {
            std::fs::read(&pipe).expect("the pipe");
            line.cut();
        });
        let script = format!("fn main() {{ std::fs::write({pipe:?}, \"x\").unwrap();");
        let made = project().0.into_iter().find(|(path, _)| path == "one/build.rs").unwrap().1;
        checkout.write("one/build.rs", made.replace("fn main() {", &script));
        assert_eq!(checkout.build_and_run(), "made data\n");
    });
    let sent = sent(&checkout.last());
    assert!(sent.values().any(|sent| sent == "used"), "{sent:?}");
    assert!(sent.values().any(|sent| sent.starts_with("failed: engine")), "{sent:?}");
}

#[test]
fn an_agent_that_is_killed_during_a_build() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let (plain, checkout) = (lab.plain("a/ws", &project()), lab.checkout("b/ws", &project()));
    plain.build_and_run();
    let kill = "fn main() {
        let agents = std::fs::read_dir(std::env::var(\"E2E_AGENTS\").unwrap()).unwrap();
        for agent in agents {
            let number = std::fs::read_to_string(agent.unwrap().path().join(\"lock\")).unwrap();
            std::process::Command::new(\"kill\").args([\"-9\", &number]).status().unwrap();
        }
    ";
    lab.set_env("E2E_AGENTS", lab.store().join("state-v1/agent-v1"));
    let made = project().0.into_iter().find(|(path, _)| path == "one/build.rs").unwrap().1;
    checkout.write("one/build.rs", made.replace("fn main() {", kill));
    assert_eq!(checkout.build_and_run(), "made data\n");
    let sent = sent(&checkout.last());
    assert!(sent.values().any(|sent| sent == "used"), "{sent:?}");
}
