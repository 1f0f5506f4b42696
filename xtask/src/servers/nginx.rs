//! nginx with its WebDAV modules.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::Running;
use super::install::{debian, on_path};
use super::process::{Server, free_ports};

const PACKAGES: [&str; 2] = ["nginx-light", "libnginx-mod-http-dav-ext"];
const MODULE: &str = "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so";

pub(super) fn start(data: &Path) -> Result<Running> {
    debian(&PACKAGES, || {
        (on_path("nginx") || Path::new("/usr/sbin/nginx").is_file()) && Path::new(MODULE).is_file()
    })?;
    let directory = data.join("nginx");
    fs::create_dir_all(directory.join("files/private"))?;
    fs::write(directory.join("users"), "larder:{PLAIN}secret\n")?;
    let [port] = free_ports()?;
    fs::write(directory.join("nginx.conf"), configuration(port))?;
    let program = if on_path("nginx") { "nginx" } else { "/usr/sbin/nginx" };
    let mut command = Command::new(program);
    command.arg("-p").arg(&directory).args(["-c", "nginx.conf", "-e", "stderr"]);
    let server = Server::start(&mut command, data.join("nginx.log"), port)?;
    let address = format!("http://127.0.0.1:{port}");
    Ok(Running { variable: "LARDER_TEST_WEBDAV", address, _servers: vec![server] })
}

/// One process of the user who starts it. Parents of new files are not made by the server, and
/// listings are not recursive: that is what a plain set-up is like.
fn configuration(port: u16) -> String {
    let methods = "dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS;";
    let scratch: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path scratch-{kind};\n"))
        .concat();
    format!(
        "load_module {MODULE};
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {{}}
http {{
  access_log off;
  client_max_body_size 0;
{scratch}  server {{
    listen 127.0.0.1:{port};
    root files;
    location / {{ {methods} }}
    location /private/ {{ auth_basic larder; auth_basic_user_file users; {methods} }}
  }}
}}
"
    )
}
