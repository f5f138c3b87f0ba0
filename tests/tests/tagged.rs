//! Objective: a bridge of whole ports lets tags and group addresses through as they are.
//!
//! 1. Boot the bridge between two wires, on cards of each model.
//! 2. Send, both ways at once, random frames of each kind: VLAN-tagged (802.1Q; every priority, identifiers
//!    from 0 to 4095, a priority tag among them), QinQ (802.1ad around 802.1Q, and 802.1Q around 802.1Q), to
//!    multicast groups (the link-local ones too, which a learning bridge would keep to itself), and to
//!    everybody.
//! 3. Each arrives unchanged and in order. (A full frame with two tags is too long for cards that are not virtio's.)

use anyhow::Result;
use millrace_tests::frames::{BROADCAST, Generator, LONGEST, QINQ, SHORTEST, VLAN};
use millrace_tests::{Appliance, Setting, transfer, with_every_card};

with_every_card!(tags_and_groups_pass);

const FRAMES: u16 = 500;
/// 01:80:c2:00:00:00 to 0f: spanning tree, pause frames, LLDP.
const LINK_LOCAL: [u8; 5] = [0x01, 0x80, 0xc2, 0, 0];
/// Bytes of one tag.
const TAG: usize = 4;

fn tags_and_groups_pass(setting: Setting) -> Result<()> {
    let appliance = Appliance::boot(setting)?;
    let longest = if setting.is_virtio() { LONGEST + 2 * TAG } else { LONGEST + TAG };
    vlan_passes(&appliance)?;
    qinq_passes(&appliance, longest)?;
    multicast_passes(&appliance)?;
    broadcast_passes(&appliance)?;
    assert_eq!(appliance.stop()?.dropped(), 0);
    Ok(())
}

fn vlan_passes(appliance: &Appliance) -> Result<()> {
    let identifiers = [0, 1, 4094, 4095];
    pass(appliance, |generator, number| {
        let identifier = identifiers.get(usize::from(number)).copied();
        let identifier = identifier.unwrap_or_else(|| generator.number(0..=4095));
        let content = (number % 16) << 12 | identifier;
        let length = usize::from(generator.number(SHORTEST as u16..=(LONGEST + TAG) as u16));
        let destination = generator.station();
        generator.frame_to(destination, &[(VLAN, content)], length)
    })
}

fn qinq_passes(appliance: &Appliance, longest: usize) -> Result<()> {
    pass(appliance, |generator, number| {
        let outer = if number % 2 == 0 { QINQ } else { VLAN };
        let tags = [(outer, generator.number(0..=u16::MAX)), (VLAN, generator.number(0..=u16::MAX))];
        let length = usize::from(generator.number(SHORTEST as u16..=longest as u16));
        let destination = generator.station();
        generator.frame_to(destination, &tags, length)
    })
}

fn multicast_passes(appliance: &Appliance) -> Result<()> {
    pass(appliance, |generator, number| {
        let [a, b, c, d, e] = LINK_LOCAL;
        let group = match u8::try_from(number) {
            Ok(last @ ..16) => [a, b, c, d, e, last],
            _ => generator.group(),
        };
        let length = usize::from(generator.number(SHORTEST as u16..=LONGEST as u16));
        generator.frame_to(group, &[], length)
    })
}

fn broadcast_passes(appliance: &Appliance) -> Result<()> {
    pass(appliance, |generator, _| {
        let length = usize::from(generator.number(SHORTEST as u16..=LONGEST as u16));
        generator.frame_to(BROADCAST, &[], length)
    })
}

fn pass(appliance: &Appliance, mut make: impl FnMut(&mut Generator, u16) -> Vec<u8>) -> Result<()> {
    let mut generator = Generator::new();
    let rightwards = (0..FRAMES).map(|number| make(&mut generator, number)).collect();
    let leftwards = (0..FRAMES).map(|number| make(&mut generator, number)).collect();
    transfer::exchange(&appliance.left, &appliance.right, rightwards, leftwards)
}
