//! The program as its user sees it.

use std::process::{Command, Output};

fn logsum(arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_logsum")).args(arguments).output()
}

#[test]
fn a_sample_is_summed_up_as_text() -> std::io::Result<()> {
    let output = logsum(&["samples/small.log", "--top", "1"])?;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("7 lines, 1 unreadable\n"), "{text}");
    assert!(text.contains("messages: accepted (2)\n"), "{text}");
    assert!(text.ends_with("levels: error (1), warn (1), info (4)\n"), "{text}");
    Ok(())
}

#[test]
fn json_output_can_be_read_again() -> Result<(), Box<dyn std::error::Error>> {
    let output = logsum(&["samples/small.log", "--format", "json"])?;
    let value: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(value["levels"]["info"], 4);
    assert_eq!(value["last"], "2024-05-06T07:08:15Z");
    Ok(())
}

#[test]
fn strict_names_the_line() -> std::io::Result<()> {
    let output = logsum(&["samples/small.log", "--strict"])?;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 6"), "{output:?}");
    Ok(())
}
