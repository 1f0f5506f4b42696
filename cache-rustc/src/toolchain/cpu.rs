//! The processor, for `-C target-cpu=native`.

use std::collections::BTreeMap;
use std::path::Path;

/// Lines of `/proc/cpuinfo` that name a processor model and its features: x86, then aarch64 and
/// arm, then s390x, powerpc and riscv. Left out: frequency, addresses, numbering, microcode and
/// mitigations (`bugs`), which LLVM does not look at.
const FIELDS: &[&str] = &[
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "flags",
    "Features",
    "CPU implementer",
    "CPU architecture",
    "CPU variant",
    "CPU part",
    "CPU revision",
    "features",
    "processor 0",
    "cpu",
    "revision",
    "isa",
    "uarch",
    "mvendorid",
    "marchid",
    "mimpid",
];

/// Canonical bytes that describe this machine's processor, for units compiled with
/// `-C target-cpu=native`: LLVM then chooses instructions by the host (`sys::getHostCPUName`,
/// `getHostCPUFeatures`).
///
/// One line `name=value` for each known field, in order of name, with the flags sorted. On
/// processors of several kinds (big.LITTLE) each kind's values are there, in order. `None` where
/// there is no `/proc/cpuinfo` or nothing known in it: such a unit cannot be cached.
#[must_use]
pub fn native_cpu() -> Option<Vec<u8>> {
    describe(&std::fs::read_to_string(Path::new("/proc/cpuinfo")).ok()?)
}

fn describe(cpuinfo: &str) -> Option<Vec<u8>> {
    let mut fields: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in cpuinfo.lines().filter_map(|line| line.split_once(':')) {
        let name = name.trim();
        if !FIELDS.contains(&name) {
            continue;
        }
        let value = canonical(name, value.trim());
        let values = fields.entry(name).or_default();
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let mut out = format!("arch={}\n", std::env::consts::ARCH);
    for (name, mut values) in fields {
        // Which kind of core comes first is a matter of numbering.
        values.sort_unstable();
        out.extend(values.iter().map(|value| format!("{name}={value}\n")));
    }
    (out.lines().count() > 1).then(|| out.into_bytes())
}

fn canonical(name: &str, value: &str) -> String {
    if !name.eq_ignore_ascii_case("flags") && !name.eq_ignore_ascii_case("features") {
        return value.to_owned();
    }
    let mut flags: Vec<_> = value.split_whitespace().collect();
    flags.sort_unstable();
    flags.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n\
        stepping\t: 7\nmicrocode\t: 0x1\ncpu MHz\t\t: 2500.1\nflags\t\t: fpu avx2 aes\n\n\
        processor\t: 1\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nstepping\t: 7\n\
        microcode\t: 0x1\ncpu MHz\t\t: 1200.0\nflags\t\t: fpu avx2 aes\n";

    #[test]
    fn only_the_model_counts() {
        let here = describe(X86).expect("fields");
        assert_eq!(
            describe(&X86.replace("2500.1", "800").replace("0x1", "0x2")),
            Some(here.clone())
        );
        assert_eq!(describe(&X86.replace("fpu avx2 aes", "aes  fpu avx2")), Some(here.clone()));
        assert_ne!(describe(&X86.replace(" avx2", "")), Some(here.clone()));
        assert_ne!(describe(&X86.replace("85", "86")), Some(here));
    }

    #[test]
    fn the_number_of_cores_does_not_count() {
        let one = X86.split_inclusive("\n\n").next().expect("first");
        assert_eq!(describe(one), describe(X86));
    }

    #[test]
    fn aarch64_with_two_kinds_of_cores() {
        let core = |part: &str| {
            format!("processor: 0\nFeatures: fp asimd\nCPU implementer: 0x41\nCPU part: {part}\n\n")
        };
        let both = describe(&(core("0xd05") + &core("0xd0a"))).expect("fields");
        assert_eq!(describe(&(core("0xd0a") + &core("0xd05"))), Some(both.clone()));
        assert_ne!(describe(&core("0xd05")), Some(both));
    }

    #[test]
    fn nothing_known_is_no_answer() {
        assert_eq!(describe(""), None);
        assert_eq!(describe("bogomips: 5000\n"), None);
    }

    #[test]
    fn this_machine_is_described_twice_alike() {
        if let Some(first) = native_cpu() {
            assert_eq!(native_cpu(), Some(first));
        }
    }
}
