//! The remote: whether it can be used as it is configured, and which setting to look at if not.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cache_storage::StoreError;
use cache_storage::bundle::Recognised;

use super::Finding;
use super::probe::{self, Report};
use crate::agent;
use crate::config::{Access, Config, Origin, RemoteConfig, RemoteSettings, Setting, sccache};
use crate::places::Places;
use crate::text::{count, duration};

const ABOUT: &str = "remote";
/// Names that are shown of what lies beside larder's own.
const SHOWN: usize = 3;

pub(super) fn look(config: &Config, places: Option<&Places>) -> Vec<Finding> {
    let remote = &config.remote;
    if remote.withheld {
        let said = "not used, because of the mistakes in its settings above";
        return vec![Finding::note(ABOUT, said, "builds go on with the local store alone")];
    }
    let Some(settings) = places.and_then(|places| agent::settings(config, places)) else {
        return unconfigured(remote);
    };
    let mut findings = Vec::new();
    if remote.is_of_sccache() {
        let said = format!(
            "taken from sccache's variables ({}): larder keeps its own below {}",
            remote.url.origin,
            settings.shown_url()
        );
        let fix = "`larder setup --from sccache` writes them down; LARDER_REMOTE=off uses none";
        findings.push(Finding::note(ABOUT, said, fix));
    }
    findings.extend(keys(remote, &settings));
    match probe::run(&settings) {
        Ok(report) => findings.extend(told(remote, &settings, &report)),
        Err(error) => findings.push(refused(remote, &settings, &error)),
    }
    findings
}

fn unconfigured(remote: &RemoteConfig) -> Vec<Finding> {
    let mut findings = match &remote.url.origin {
        Origin::Default => vec![Finding::fine(ABOUT, "none: the local store alone")],
        origin => vec![Finding::fine(ABOUT, format!("switched off ({origin})"))],
    };
    if remote.url.origin == Origin::Default {
        let ask = |name: &'static str| {
            let value = std::env::var_os(name).map(OsString::into_string)?.ok()?;
            Some(Setting { value, origin: Origin::Env(name) })
        };
        let unsupported = sccache::unsupported(&ask).into_iter();
        findings.extend(unsupported.map(|(name, fix)| {
            Finding::note(ABOUT, format!("{name} is set for sccache and not used by larder"), fix)
        }));
    }
    findings
}

/// Whether the keys allow what is to be done.
fn keys(remote: &RemoteConfig, settings: &RemoteSettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let trusted = settings.trusted.len() as u64;
    if let Some(path) = &settings.signing_key {
        findings.extend(open_key(path));
    } else if trusted > 0 && settings.access == Access::ReadWrite {
        let said = format!(
            "nothing is uploaded: remote.trusted-keys ({}) asks for signatures, and there is no key \
             to sign with",
            remote.trusted.origin
        );
        let fix = "set remote.signing-key to a key's file, or remote.mode to read";
        findings.push(Finding::broken(ABOUT, said, fix));
    }
    if trusted > 0 {
        let said = format!("accepts what {} signed", count(trusted, "trusted key"));
        findings.push(Finding::fine(ABOUT, said));
    }
    findings
}

fn open_key(path: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    if mode & 0o077 == 0 {
        return None;
    }
    let said = format!("others can read the secret key {} (remote.signing-key)", path.display());
    Some(Finding::note(ABOUT, said, format!("run `chmod 600 {}`", path.display())))
}

/// What was found out about a remote that can be read.
fn told(remote: &RemoteConfig, settings: &RemoteSettings, report: &Report) -> Vec<Finding> {
    let mut findings = vec![];
    let does = match (&report.written, settings.access) {
        (Some(Ok(())), _) => "a probe was written and read again",
        (_, Access::Read) => "only read",
        (_, Access::ReadWrite) => "can be read",
    };
    let credentials = match &report.credentials {
        Some(setting) => format!(", credentials from {}", remote.name_of(setting)),
        None => String::new(),
    };
    findings.push(Finding::fine(
        ABOUT,
        format!(
            "{} ({}): answers in {}, {does}{credentials}",
            settings.shown_url(),
            remote.url.origin,
            duration(report.latency)
        ),
    ));
    if let Some(Err(error)) = &report.written {
        findings.push(refused(remote, settings, error));
    } else if let Some(error) = &report.left {
        let said = format!("what is there cannot be removed, as `larder remote gc` does: {error}");
        findings.push(Finding::note(ABOUT, said, "let the credentials delete objects, too"));
    }
    if let (Some(error), Access::ReadWrite) = (&report.unlisted, settings.access) {
        let said = format!("it cannot be listed, as `larder remote gc` does: {error}");
        findings.push(Finding::note(ABOUT, said, "let the credentials list the prefix"));
    }
    findings.extend(neighbours(remote, settings, report));
    findings.extend(sampled(report));
    findings
}

fn neighbours(
    remote: &RemoteConfig,
    settings: &RemoteSettings,
    report: &Report,
) -> Option<Finding> {
    let names = &report.neighbours;
    if names.is_empty() {
        return None;
    }
    let more = if names.len() > SHOWN { ", …" } else { "" };
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let said = format!(
        "{} beside larder's own directory at {}: {shown}{more}; they are left alone",
        count(names.len() as u64, "other name"),
        settings.shown_url()
    );
    let url = settings.shown_url();
    let own = url.trim_end_matches('/');
    let fix =
        format!("let {} name a prefix of its own, such as {own}/larder", remote.name_of("url"));
    Some(Finding::note(ABOUT, said, fix))
}

fn sampled(report: &Report) -> Vec<Finding> {
    let all = count(report.sample.len() as u64, "record");
    let of = |kind: Recognised| report.sample.iter().filter(|found| **found == kind).count();
    let mut findings = Vec::new();
    let mut note = |number: usize, what: &str, fix: &str| {
        if number > 0 {
            let said = format!("{number} of {all} that were looked at {what}");
            findings.push(Finding::note(ABOUT, said, fix));
        }
    };
    note(
        of(Recognised::OtherVersion),
        "were written by another version of larder; they count as absent",
        "use one version, or give each a prefix of its own in remote.url",
    );
    note(
        of(Recognised::Damaged),
        "are damaged; they count as absent",
        "`larder push` replaces them",
    );
    note(
        of(Recognised::Foreign),
        "are not larder's; they count as absent",
        "let remote.url name a prefix of larder's own",
    );
    let ignored = report.ignored;
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    note(
        number(ignored.unsigned),
        "are not signed, and do not count",
        "let those who upload set remote.signing-key",
    );
    note(
        number(ignored.foreign),
        "are signed by a key that is not trusted, and do not count",
        "add its public key to remote.trusted-keys if it is one of yours",
    );
    note(
        number(ignored.forged),
        "have a wrong signature, and do not count",
        "somebody may have changed them: look at who can write there",
    );
    findings
}

/// What the remote does not do, and the setting to look at.
fn refused(remote: &RemoteConfig, settings: &RemoteSettings, error: &StoreError) -> Finding {
    let url = settings.shown_url();
    let (said, fix) = match error {
        StoreError::Misconfigured { setting, reason } if setting == "system clock" => {
            (format!("{setting}: {reason}"), "set this machine's clock".to_owned())
        }
        StoreError::Misconfigured { setting, reason } => {
            let place = remote.name_of(setting);
            (format!("{place}: {reason}"), format!("set {place} right"))
        }
        StoreError::Denied { setting, reason } => {
            let place = remote.name_of(setting);
            let fix = format!("let {place} name somebody who may use {url}");
            (format!("access denied ({place}): {reason}"), fix)
        }
        StoreError::ReadOnly(reason) => {
            (format!("nothing can be written: {reason}"), remote.how_to_write())
        }
        StoreError::Unavailable(reason) => (
            format!("{url} is unavailable: {reason}"),
            format!(
                "see whether it can be reached from here, and {}; LARDER_REMOTE=off uses none",
                remote.name_of("option endpoint")
            ),
        ),
        other => (format!("{url}: {other}"), format!("look at {}", remote.name_of("url"))),
    };
    Finding::broken(ABOUT, said, fix)
}
