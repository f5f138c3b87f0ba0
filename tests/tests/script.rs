//! Objective: `qemu-run.sh` gives QEMU what it is asked for, and refuses clearly, with status 2, what cannot
//! be.
//!
//! 1. Ask for a dry run: the QEMU command that is printed has the cards, the machine and the words asked for.
//! 2. Ask for what there is not: status 2, and the complaint names the offending word and what there is. Nothing else is
//!    printed.
//!
//! Nothing is built or booted here.

use std::process::{Command, Output};

use anyhow::{Context, Result};
use millrace_tests::image;

fn script(arguments: &[&str]) -> Result<Output> {
    let script = image::repository().join("qemu-run.sh");
    Command::new(&script).args(arguments).output().with_context(|| format!("cannot run {}", script.display()))
}

/// The command that `run --dry-run` prints for `arguments` has all `parts`.
fn would_run(arguments: &[&str], parts: &[&str]) -> Result<()> {
    let output = script(&[&["run", "--dry-run"], arguments].concat())?;
    let command = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(command.lines().count(), 1, "{command}");
    for part in parts {
        assert!(command.contains(part), "no {part:?} in {command}");
    }
    Ok(())
}

/// `arguments` are refused with a complaint that has all `parts`.
fn refuses(arguments: &[&str], parts: &[&str]) -> Result<()> {
    let output = script(arguments)?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {complaint}");
    assert!(output.stdout.is_empty());
    assert!(!complaint.contains("acceleration:"), "{arguments:?}: {complaint}");
    for part in parts {
        assert!(complaint.contains(part), "{arguments:?}: no {part:?} in {complaint}");
    }
    Ok(())
}

#[test]
fn two_cards_on_the_user_network_unless_told_otherwise() -> Result<()> {
    would_run(&[], &["-netdev user,id=net0 ", "-netdev user,id=net1 ", "-machine q35", "-m 64M", "romfile="])
}

#[test]
fn backends_are_given_to_qemu() -> Result<()> {
    would_run(
        &["--nic", "virtio,user:8080", "--nic", "virtio,tap:tap7", "--nic", "virtio,dgram:/tmp/a,b:/tmp/c"],
        &[
            "user,id=net0,hostfwd=tcp:127.0.0.1:8080-:80",
            "tap,id=net1,ifname=tap7,script=no,downscript=no",
            "dgram,id=net2,local.type=unix,local.path=/tmp/a,,b,remote.type=unix,remote.path=/tmp/c",
        ],
    )
}

#[test]
fn a_vhost_user_card_shares_memory_and_has_no_vectors() -> Result<()> {
    would_run(
        &["--accel", "tcg", "--memory", "128M", "--nic", "virtio,vhost-user:/tmp/v"],
        &["path=/tmp/v", "memory-backend-memfd,id=memory,size=128M,share=on", ",vectors=0"],
    )
}

#[test]
fn properties_and_an_address_are_passed_on() -> Result<()> {
    would_run(
        &["--nic", "virtio:mac=52:54:00:aa:bb:cc,mq=on,user", "--nic", "virtio:mq=on:vectors=4,user"],
        &["mac=52:54:00:aa:bb:cc,mq=on", "mq=on,vectors=4"],
    )
}

#[test]
fn captures_have_the_number_of_their_card() -> Result<()> {
    would_run(
        &["--capture", "/tmp/my.pcap"],
        &["filter-dump,id=dump0,netdev=net0,file=/tmp/my-0.pcap", "netdev=net1,file=/tmp/my-1.pcap"],
    )
}

#[test]
fn the_command_line_is_passed_as_one_word() -> Result<()> {
    would_run(
        &["--cpus", "2", "--", "app=bridge", "log=debug"],
        &["-append 'app=bridge log=debug'", "-smp 2"],
    )
}

#[test]
fn what_there_is_not_is_refused() -> Result<()> {
    refuses(&["frobnicate"], &["frobnicate", "bench"])?;
    refuses(&["run", "--frobnicate"], &["--frobnicate"])?;
    refuses(&["run", "app=bridge"], &["app=bridge", "--"])?;
    refuses(&["run", "--nic"], &["--nic"])?;
    refuses(&["build", "--fast"], &["--fast"])?;
    refuses(&["test", "quickly"], &["no options"])?;
    refuses(&["bench", "quickly"], &["quickly", "--detail"])?;
    refuses(&["bench", "--detail"], &["one FILE"])
}

#[test]
fn an_iso_is_a_cd_or_a_disk_and_first_in_the_order_of_boot() -> Result<()> {
    would_run(
        &["--iso", "--", "app=bridge"],
        &["readonly=on,file=", "target/millrace.iso ", "-device ide-cd,drive=iso,bootindex=0 "],
    )?;
    would_run(
        &["--iso", "--medium", "disk", "--firmware", "uefi", "--machine", "pc"],
        &["snapshot=on,file=", "-device ide-hd,drive=iso,bootindex=0 ", "-bios ", "OVMF", "-machine pc"],
    )?;
    let output = script(&["run", "--dry-run", "--iso"])?;
    let command = String::from_utf8_lossy(&output.stdout);
    assert!(!command.contains("-kernel") && !command.contains("-bios"), "{command}");
    Ok(())
}

#[test]
fn an_iso_that_cannot_be_is_refused() -> Result<()> {
    refuses(&["run", "--iso", "--medium", "floppy"], &["floppy", "cd and disk"])?;
    refuses(&["run", "--iso", "--firmware", "coreboot"], &["coreboot", "bios and uefi"])?;
    refuses(&["run", "--iso", "--machine", "microvm"], &["--iso", "microvm", "q35"])?;
    refuses(&["run", "--firmware", "uefi"], &["--firmware", "--iso"])?;
    refuses(&["run", "--medium", "cd"], &["--medium", "--iso"])?;
    refuses(&["build", "--", "app=bridge"], &["build --iso -- KEY=VALUE"])?;
    refuses(&["build", "--iso", "app=bridge"], &["app=bridge", "--"])
}

#[test]
fn a_command_line_that_grub_cannot_pass_on_is_refused() -> Result<()> {
    for verb in [&["build", "--iso", "--"][..], &["run", "--dry-run", "--iso", "--"]] {
        let refuses_word = |word, part| refuses(&[verb, &["app=bridge", word]].concat(), &[part]);
        refuses_word("a=it's", "cannot pass on a=it's ")?;
        refuses_word("a=back\\slash", "cannot pass on a=back\\slash ")?;
        refuses_word("\"a=two\nlines\"", "a control character")?;
        refuses_word("a=\"open", "from a=\"open on")?;
        refuses_word("a=b\"c d\"", "from a=b\"c d\" on")?;
    }
    Ok(())
}

#[test]
fn wrong_values_are_refused() -> Result<()> {
    refuses(&["run", "--machine", "mac"], &["mac", "q35"])?;
    refuses(&["run", "--memory", "plenty"], &["plenty", "64M"])?;
    refuses(&["run", "--cpus", "0"], &["'0'"])?;
    refuses(&["run", "--accel", "warp"], &["warp", "kvm"])?;
    refuses(&["run", "--nic", "virtio,user:99999"], &["99999"])?;
    refuses(&["run", "--nic", "virtio,pigeon"], &["pigeon", "user"])?;
    refuses(&["run", "--nic", "virtio"], &["virtio", "no backend"])?;
    refuses(&["run", "--nic", "ne2000,user"], &["ne2000", "virtio"])
}

/// With less the image does not start, or cannot say anything.
#[test]
fn too_little_memory_is_refused() -> Result<()> {
    let direct: &[&str] = &[];
    let bios: &[&str] = &["--iso"];
    let uefi: &[&str] = &["--iso", "--firmware", "uefi"];
    for (boot, least) in [(direct, 4), (bios, 8), (uefi, 80)] {
        let too_little = format!("{}M", least - 1);
        let refused = [&["run", "--memory", &too_little], boot].concat();
        refuses(&refused, &[&format!("--memory {too_little}:"), &format!("less than {least}M")])?;
        let enough = format!("{least}M");
        would_run(&[&["--memory", &enough], boot].concat(), &[&format!(" -m {enough} ")])?;
        would_run(&[&["--memory", "1G"], boot].concat(), &[" -m 1G "])?;
    }
    refuses(&["run", "--machine", "microvm", "--memory", "1M"], &["less than 4M"])?;
    would_run(bios, &[" -m 64M "])?;
    would_run(uefi, &[" -m 128M "])
}

/// QEMU overwrites what it hands over itself with a longer one, or never starts the image.
#[test]
fn a_command_line_that_is_too_long_is_refused() -> Result<()> {
    let line = |bytes: usize| format!("a={}", "x".repeat(bytes - 2));
    would_run(&["--", &line(4096)], &[&line(4096)])?;
    refuses(&["run", "--dry-run", "--", &line(4097)], &["4097 bytes", "at most 4096"])?;
    refuses(&["gdb", "--dry-run", "--", "b=ä", &line(4092)], &["4097 bytes"])?;
    would_run(&["--iso", "--", &line(4096)], &["millrace.iso"])?;
    refuses(&["run", "--iso", "--", &line(4097)], &["4097 bytes"])?;
    refuses(&["build", "--iso", "--", &line(4097)], &["4097 bytes"])
}

#[test]
fn an_unknown_model_is_refused_with_those_that_the_machine_has() -> Result<()> {
    for machine in ["pc", "q35"] {
        let complaint = format!("unknown model 'foo' ({machine} has virtio, e1000, e1000e,");
        refuses(&["run", "--machine", machine, "--nic", "foo,user"], &[&complaint])?;
    }
    let complaint = "unknown model 'foo' (microvm has virtio, virtio-mmio, e1000,";
    refuses(&["run", "--nic", "foo,user", "--machine", "microvm"], &[complaint])
}

#[test]
fn what_is_said_beside_the_command_comes_after_all_refusals() -> Result<()> {
    let gdb = |port: &str| {
        let mut command = Command::new(image::repository().join("qemu-run.sh"));
        command.args(["gdb", "--dry-run"]).env("GDB_PORT", port).output()
    };
    let output = gdb("seven")?;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "qemu-run.sh: GDB_PORT: 'seven' is no port (1 to 65535)\n"
    );
    let output = gdb("7777")?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.starts_with("acceleration: "), "{said}");
    assert!(said.contains("target remote 127.0.0.1:7777"), "{said}");
    Ok(())
}

#[test]
fn every_model_becomes_its_device() -> Result<()> {
    for model in ["e1000", "e1000e", "e1000-82544gc", "e1000-82545em"] {
        would_run(
            &["--nic", &format!("{model},user")],
            &[&format!("-device {model},netdev=net0,romfile=,mac=")],
        )?;
    }
    would_run(&["--nic", "virtio,user"], &["-device virtio-net-pci,netdev=net0,romfile=,mac="])?;
    would_run(
        &["--nic", "virtio:disable-modern=on,user"],
        &["-device virtio-net-pci,", ",disable-modern=on "],
    )?;
    would_run(
        &["--nic", "e1000e:mac=52:54:00:aa:bb:cc,disable_vnet_hdr=on,user"],
        &["-device e1000e,netdev=net0,romfile=,mac=52:54:00:aa:bb:cc,disable_vnet_hdr=on "],
    )
}

/// A card with several queue pairs needs them on both sides, and a message for each queue.
#[test]
fn queue_pairs_are_given_to_card_and_backend() -> Result<()> {
    would_run(
        &["--accel", "tcg", "--nic", "virtio:queues=2:mac=52:54:00:aa:bb:cc,tap:tap0"],
        &[
            "script=no,downscript=no,vnet_hdr=off,queues=2 ",
            "romfile=,vectors=6,mq=on,mac=52:54:00:aa:bb:cc ",
        ],
    )?;
    would_run(
        &["--accel", "tcg", "--nic", "virtio:queues=3,vhost-user:/tmp/v"],
        &["vhost-user,id=net0,chardev=char0,queues=3 ", ",vectors=0,mq=on "],
    )?;
    let output =
        script(&["run", "--dry-run", "--nic", "virtio:queues=1,tap:tap0", "--nic", "virtio,tap:tap1"])?;
    let command = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !command.contains("queues=") && !command.contains("mq="), "{command}");
    for queues in ["0", "65", "100", "two", ""] {
        refuses(&["run", "--nic", &format!("virtio:queues={queues},tap:tap0")], &["queues=", "1 to 64"])?;
    }
    for backend in ["user", "user:8080", "dgram:/tmp/a:/tmp/b"] {
        refuses(&["run", "--nic", &format!("virtio:queues=2,{backend}")], &["queues=2", "one queue", "tap"])?;
    }
    Ok(())
}

#[test]
fn vhost_user_is_for_virtio() -> Result<()> {
    refuses(&["run", "--nic", "e1000,vhost-user:/tmp/v"], &["e1000", "vhost-user", "virtio-mmio only"])
}

/// QEMU gives its first device the highest address, and the image names cards by ascending ones.
#[test]
fn virtio_mmio_cards_are_named_in_the_order_given() -> Result<()> {
    let nics = [
        "--nic",
        "virtio-mmio:force-legacy=off,user",
        "--nic",
        "virtio-mmio:mac=52:54:00:aa:bb:cc:force-legacy=off,user",
    ];
    would_run(
        &[&["--machine", "microvm"], &nics[..]].concat(),
        &[
            "-machine microvm,acpi=off",
            "-global virtio-mmio.force-legacy=off -device virtio-net-device,netdev=net1,mac=52:54:00:aa:bb:cc \
             -device virtio-net-device,netdev=net0,mac=52:54:00:00:00:01 ",
        ],
    )?;
    would_run(
        &["--machine", "microvm"],
        &["-global virtio-mmio.force-legacy=on", "-netdev user,id=net1", "virtio-net-device,netdev=net1,"],
    )
}

#[test]
fn microvm_has_pci_for_the_cards_that_want_it() -> Result<()> {
    let microvm = ["--machine", "microvm", "--nic", "virtio,user", "--nic"];
    would_run(
        &[&microvm[..], &["e1000,user"]].concat(),
        &["-machine microvm,pcie=on", "-device virtio-net-pci,netdev=net0,", "-device e1000,netdev=net1,"],
    )?;
    would_run(
        &[&microvm[..], &["virtio-mmio,user"]].concat(),
        &[
            "-machine microvm,pcie=on",
            "-device virtio-net-pci,netdev=net0,",
            "-device virtio-net-device,netdev=net1,",
        ],
    )
}

#[test]
fn cards_and_machines_that_do_not_fit_are_refused() -> Result<()> {
    refuses(&["run", "--nic", "virtio-mmio,user"], &["virtio-mmio", "q35", "microvm"])?;
    let force = |value| format!("virtio-mmio:force-legacy={value},user");
    let microvm = |nics: [String; 2]| {
        let words = ["run", "--machine", "microvm", "--nic", &nics[0], "--nic", &nics[1]];
        refuses(&words, &["force-legacy"])
    };
    microvm([force("on"), force("off")])?;
    microvm([force("off"), "virtio-mmio,user".to_owned()])?;
    microvm([force("on"), force("maybe")])
}

#[test]
fn help_lists_every_verb() -> Result<()> {
    let output = script(&["help"])?;
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    for verb in ["build", "run", "gdb", "test", "bench", "help"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(verb)), "no {verb} in {help}");
    }
    assert!(help.contains("port 80 of 10.0.2.15") && !help.contains("web port"), "{help}");
    Ok(())
}
