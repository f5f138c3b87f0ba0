//! smoltcp's `phy::Device` as a [`FrameDevice`]. Behind the feature `smoltcp`, so that the core depends on no stack.

use smoltcp::phy::{Device, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use spin::Mutex;

use super::{Clock, FrameDevice, ReceiveError, TransmitError};
use crate::nic::Link;

/// A [`FrameDevice`] over a smoltcp device that carries Ethernet.
///
/// smoltcp hands out a receive token only together with a transmit token, so a device whose transmit side is full may
/// receive nothing until it has room. It does not notify of frames that arrive; it has to be polled.
pub struct PhyFrames<P> {
    device: Mutex<P>,
    mac: [u8; 6],
    clock: Clock,
}

impl<P: Device> PhyFrames<P> {
    /// The frames of `device`, which has the address `mac`. `None` when it does not carry Ethernet.
    pub fn new(device: P, mac: [u8; 6], clock: Clock) -> Option<Self> {
        let is_ethernet = device.capabilities().medium == Medium::Ethernet;
        is_ethernet.then_some(Self { device: Mutex::new(device), mac, clock })
    }

    fn now(&self) -> Instant {
        Instant::from_micros(((self.clock)() / 1000) as i64)
    }
}

impl<P: Device + Send + 'static> FrameDevice for PhyFrames<P> {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Always up: smoltcp knows no link state.
    fn link(&self) -> Link {
        Link::Up
    }

    fn transmit(&self, frame: &[u8]) -> Result<(), TransmitError> {
        let mut device = self.device.lock();
        if frame.len() > device.capabilities().max_transmission_unit {
            return Err(TransmitError::Refused);
        }
        let token = device.transmit(self.now()).ok_or(TransmitError::NoRoom)?;
        token.consume(frame.len(), |bytes| {
            bytes.iter_mut().zip(frame).for_each(|(to, from)| *to = *from);
        });
        Ok(())
    }

    fn receive(&self, into: &mut [u8]) -> Option<Result<usize, ReceiveError>> {
        let mut device = self.device.lock();
        let (token, _) = device.receive(self.now())?;
        Some(token.consume(|frame| {
            let into = into.get_mut(..frame.len()).ok_or(ReceiveError::TooLong)?;
            into.copy_from_slice(frame);
            Ok(frame.len())
        }))
    }
}

impl<P> core::fmt::Debug for PhyFrames<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PhyFrames").field("mac", &self.mac).finish_non_exhaustive()
    }
}
