//! Objective: a bridge of whole ports lets tags and group addresses through as they are.
//!
//! 1. Boot the bridge between two wires.
//! 2. Send, both ways at once, random frames of each kind: VLAN-tagged (802.1Q; every priority, identifiers
//!    from 0 to 4095, a priority tag among them), QinQ (802.1ad around 802.1Q, and 802.1Q around 802.1Q), to
//!    multicast groups (the link-local ones too, which a learning bridge would keep to itself), and to
//!    everybody.
//! 3. Each arrives unchanged and in order.

use anyhow::Result;
use millrace_tests::frames::{BROADCAST, Generator, LONGEST, QINQ, SHORTEST, VLAN};
use millrace_tests::{Appliance, Machine, on_pc_and_q35, transfer};

on_pc_and_q35!(vlan_passes, qinq_passes, multicast_passes, broadcast_passes);

const FRAMES: u16 = 500;
/// 01:80:c2:00:00:00 to 0f: spanning tree, pause frames, LLDP.
const LINK_LOCAL: [u8; 5] = [0x01, 0x80, 0xc2, 0, 0];
/// Bytes of one tag.
const TAG: usize = 4;

fn vlan_passes(machine: Machine) -> Result<()> {
    let identifiers = [0, 1, 4094, 4095];
    pass(machine, |generator, number| {
        let identifier = identifiers.get(usize::from(number)).copied();
        let identifier = identifier.unwrap_or_else(|| generator.number(0..=4095));
        let content = (number % 16) << 12 | identifier;
        let length = usize::from(generator.number(SHORTEST as u16..=(LONGEST + TAG) as u16));
        let destination = generator.station();
        generator.frame_to(destination, &[(VLAN, content)], length)
    })
}

fn qinq_passes(machine: Machine) -> Result<()> {
    pass(machine, |generator, number| {
        let outer = if number % 2 == 0 { QINQ } else { VLAN };
        let tags = [(outer, generator.number(0..=u16::MAX)), (VLAN, generator.number(0..=u16::MAX))];
        let length = usize::from(generator.number(SHORTEST as u16..=(LONGEST + 2 * TAG) as u16));
        let destination = generator.station();
        generator.frame_to(destination, &tags, length)
    })
}

fn multicast_passes(machine: Machine) -> Result<()> {
    pass(machine, |generator, number| {
        let [a, b, c, d, e] = LINK_LOCAL;
        let group = match u8::try_from(number) {
            Ok(last @ ..16) => [a, b, c, d, e, last],
            _ => generator.group(),
        };
        let length = usize::from(generator.number(SHORTEST as u16..=LONGEST as u16));
        generator.frame_to(group, &[], length)
    })
}

fn broadcast_passes(machine: Machine) -> Result<()> {
    pass(machine, |generator, _| {
        let length = usize::from(generator.number(SHORTEST as u16..=LONGEST as u16));
        generator.frame_to(BROADCAST, &[], length)
    })
}

fn pass(machine: Machine, mut make: impl FnMut(&mut Generator, u16) -> Vec<u8>) -> Result<()> {
    let appliance = Appliance::boot(machine)?;
    let mut generator = Generator::new();
    let rightwards = (0..FRAMES).map(|number| make(&mut generator, number)).collect();
    let leftwards = (0..FRAMES).map(|number| make(&mut generator, number)).collect();
    transfer::exchange(&appliance.left, &appliance.right, rightwards, leftwards)?;
    assert_eq!(appliance.stop()?.dropped(), 0);
    Ok(())
}
