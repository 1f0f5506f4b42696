//! Azurite, Microsoft's emulator of Azure Blob Storage.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::Running;
use super::install::Place;
use super::process::{Server, free_ports};
use crate::repo::succeed;

const PACKAGE: &str = "azurite@3.35.0";
/// Makes a container, signed with the emulator's published key. Nothing else here can sign.
/// The signature: <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>.
const MAKE_CONTAINER: &str = r#"
const [http, crypto] = [require("http"), require("crypto")];
const [port, container] = process.argv.slice(1);
const account = "devstoreaccount1";
const key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const headers = { "x-ms-date": new Date().toUTCString(), "x-ms-version": "2021-08-06", "content-length": 0 };
const text = ["PUT", ...Array(11).fill(""), `x-ms-date:${headers["x-ms-date"]}`,
  `x-ms-version:${headers["x-ms-version"]}`, `/${account}/${account}/${container}`, "restype:container"].join("\n");
const hmac = crypto.createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64");
headers.authorization = `SharedKey ${account}:${hmac}`;
const path = `/${account}/${container}?restype=container`;
http.request({ host: "127.0.0.1", port, method: "PUT", path, headers }, (answer) => {
  answer.pipe(process.stderr);
  process.exitCode = answer.statusCode === 201 ? 0 : 1;
}).end();
"#;

pub(super) fn start(place: &Place, data: &Path) -> Result<Running> {
    let script = place.npm(PACKAGE, "dist/src/blob/main.js")?;
    let [port] = free_ports()?;
    let mut command = Command::new("node");
    command.arg(script).args(["--inMemoryPersistence", "--disableTelemetry", "--silent"]);
    command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
    let server = Server::start(command.current_dir(data), data.join("azurite.log"), port)?;
    let mut make = Command::new("node");
    succeed(make.args(["--eval", MAKE_CONTAINER, &port.to_string(), "larder"]))?;
    let address = format!("http://127.0.0.1:{port}/devstoreaccount1");
    Ok(Running { variable: "LARDER_TEST_AZURE", address, _servers: vec![server] })
}
