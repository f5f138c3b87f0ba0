//! What a device says when it is looked at first, and what is made of it.

use nm_driver::nic::{Mtu, StartParams};

use super::handshake::wanted_features;
use super::packet::Format;
use super::{NetError, QueueRole, config};
use crate::options::Options;
use crate::virtio::features::Features;
use crate::virtio::queue::QueueSize;
use crate::virtio::transport::Transport;

/// The shortest buffers that a frame is spread over: with the header and more in each (section 5.1.6.3.1 asks for the header).
pub(super) const SCATTER_MIN: u16 = 64;

/// What the device said when it was looked at first.
#[derive(Debug, Clone, Copy)]
pub(super) struct NegotiatedConfig {
    /// Of the offered features, those that this driver uses whatever a start asks for.
    pub features: Features,
    /// The largest MTU that the device takes, if it says so.
    pub mtu: Option<Mtu>,
    pub format: Format,
    /// The device spreads received frames over several buffers, if it is asked to.
    pub can_merge: bool,
    /// The device offers packed queues, whether or not they are used.
    pub offers_packed: bool,
    pub mac: [u8; 6],
    /// The queue pairs that are used.
    pub pairs: u16,
    /// The queue pairs that the device has.
    pub pairs_offered: u16,
    /// Entries of each receive queue.
    pub receive_size: QueueSize,
    /// Entries of each transmit queue.
    pub transmit_size: QueueSize,
}

impl NegotiatedConfig {
    pub fn read(
        transport: &dyn Transport,
        fallback_mac: [u8; 6],
        options: Options,
    ) -> Result<Self, NetError> {
        let (features, offered) = (wanted_features(transport, options)?, transport.offered_features());
        let format = Format::of(transport.is_legacy(), features);
        let pairs_offered = config::queue_pairs(transport, features);
        let negotiated = Self {
            features,
            mtu: config::mtu(transport, offered),
            format,
            can_merge: format.can_merge() && offered.contains(Features::NET_MRG_RXBUF),
            offers_packed: offered.contains(Features::RING_PACKED),
            mac: config::station_address(transport, features, fallback_mac)?,
            pairs: pairs_offered.min(options.queue_pairs.get()),
            pairs_offered,
            receive_size: offered_size(transport, QueueRole::Receive, 0)?,
            transmit_size: offered_size(transport, QueueRole::Transmit, 0)?,
        };
        for (role, size) in
            [(QueueRole::Receive, negotiated.receive_size), (QueueRole::Transmit, negotiated.transmit_size)]
        {
            if negotiated.format.capacity(size) == 0 {
                return Err(NetError::NoRoom { role });
            }
        }
        Ok(if negotiated.pairs > 1 { negotiated } else { negotiated.with_one_pair() })
    }

    /// The same device with one of its queue pairs: it is not told that there could be more, so that its control queue comes
    /// right behind the first.
    pub fn with_one_pair(self) -> Self {
        let mut features = self.features - Features::NET_MQ;
        // Nothing is left to control otherwise.
        features.set(Features::NET_CTRL_VQ, features.contains(Features::NET_CTRL_RX));
        Self { features, pairs: 1, ..self }
    }

    /// The queue pairs that the device has and knows that we know; `None` if it does not.
    pub fn granted_pairs(&self) -> Option<u16> {
        self.features.contains(Features::NET_MQ).then_some(self.pairs_offered)
    }

    /// The device uses buffers in the order in which they are posted.
    pub fn is_in_order(&self) -> bool {
        self.features.contains(Features::IN_ORDER)
    }

    /// The features for a start with these parameters. A driver that accepts the device's MTU has to send no longer frames, and to
    /// receive those of that length (section 5.1.4.2): it does so with exactly that MTU. MRG_RXBUF is accepted only where a frame may
    /// be longer than a buffer.
    pub fn features_for(&self, params: &StartParams) -> Result<Features, NetError> {
        let &StartParams { mtu, buffer_len, .. } = params;
        if let Some(most) = self.mtu.filter(|most| mtu > *most) {
            return Err(NetError::MtuTooLarge { mtu, most });
        }
        let has_long = mtu.frame_max() > buffer_len;
        let shortest = if self.can_merge { SCATTER_MIN } else { mtu.frame_max() };
        if buffer_len < shortest.min(mtu.frame_max()) {
            return Err(NetError::BufferTooSmall { buffer_len, needed: shortest.min(mtu.frame_max()) });
        }
        let mut features = self.features;
        features.set(Features::NET_MTU, self.mtu == Some(mtu));
        features.set(Features::NET_MRG_RXBUF, has_long);
        Ok(features)
    }

    /// Entries of each queue with this role.
    pub fn size(&self, role: QueueRole) -> QueueSize {
        match role {
            QueueRole::Receive => self.receive_size,
            QueueRole::Transmit => self.transmit_size,
        }
    }
}

/// The size to use of what the device offers for a queue.
pub(super) fn offered_size(
    transport: &dyn Transport,
    role: QueueRole,
    pair: u16,
) -> Result<QueueSize, NetError> {
    let entries = transport.queue_size(role.number(pair));
    let size = QueueSize::within(entries).ok_or(NetError::NoQueue { role })?;
    if transport.has_fixed_sizes() && size.get() != entries {
        return Err(NetError::FixedSize { role, entries });
    }
    Ok(size)
}
