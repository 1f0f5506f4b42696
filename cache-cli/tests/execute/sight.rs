//! What an engine did can be seen.

use serde_json::Value;

use crate::support::{engine, lab_on, project, sent, status};

#[test]
fn the_agent_says_what_the_engine_did() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    assert_eq!(status(&lab)["agent"], Value::Null, "none runs yet, and none is started");
    let checkout = lab.checkout("ws", &project());
    checkout.build_and_run();
    let used = sent(&checkout.last()).values().filter(|sent| *sent == "used").count() as u64;
    let agent = status(&lab)["agent"].clone();
    let number = |path: &str| agent.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    assert!(used > 0 && number("/done") >= used, "{agent}");
    assert!(number("/uploaded/bytes") > 0 && number("/downloaded") > 0, "{agent}");
    // Another test may have brought it to the same engine.
    assert!(number("/toolchain/blobs") + number("/toolchain/found") > 0, "{agent}");
    assert!(number("/time_us/total") >= number("/time_us/run"), "{agent}");
    let workers = agent["workers"].as_array().expect("a list");
    let actions: u64 = workers.iter().filter_map(|worker| worker["actions"].as_u64()).sum();
    assert_eq!(actions + number("/cached"), number("/done"), "{agent}");
    // What depends on what, and how long that takes, is known from then on.
    let build = &agent["builds"][0];
    let units = sent(&checkout.last()).len() as u64;
    assert_eq!(build["target"], checkout.path("target").to_str().expect("a path"), "{agent}");
    assert_eq!(build["units"], units, "{agent}");
    assert!(build["longest_us"].as_u64() > Some(0), "{agent}");
    let text = lab.larder(&["execute", "status"]).stdout;
    assert!(text.contains("Uploaded") && text.contains("the longest path"), "{text}");

    let stats = lab.stats();
    assert_eq!(stats["sent"]["used"], used, "{stats}");
    assert!(stats["time_us"]["elsewhere_waited"].as_u64() > Some(0), "{stats}");
}

#[test]
fn what_failed_is_counted_by_reason() {
    let lab = lab_on("grpc://127.0.0.1:1");
    lab.checkout("ws", &project()).build_and_run();
    let stats = lab.stats();
    let failed = stats["sent_failed"].as_object().expect("reasons");
    assert!(failed.keys().any(|why| why.starts_with("engine")), "{stats}");
    let time = &stats["time_us"];
    assert_eq!(time["elsewhere"], 0, "{stats}");
}
