//! Requests by number.

use alloc::string::ToString;

use super::{Descriptor, Request, RequestError};

impl Descriptor {
    /// Answers a request by number. `interface` is the interface that it names and `argument` what comes with it, as the
    /// program gave it. Both matter to [`Request::Other`] alone: the interface's stack
    /// ([`HostStack::ioctl`](crate::host::HostStack::ioctl)) reads and writes the argument. Nothing is created for such a request,
    /// and the descriptor need not be bound.
    #[doc(alias("netmap_ioctl", "ioctl"))]
    pub fn request(
        &self,
        request: Request,
        interface: &str,
        argument: &mut [u8],
    ) -> Result<(), RequestError> {
        match request {
            Request::TxSync => self.txsync().map_err(RequestError::Sync),
            Request::RxSync => self.rxsync().map_err(RequestError::Sync),
            Request::Unregister => Err(RequestError::Withdrawn),
            Request::Info | Request::Register | Request::Control => Err(RequestError::Structure(request)),
            Request::BpfImmediate
            | Request::BpfGetHeaderComplete
            | Request::BpfSetHeaderComplete
            | Request::BpfSeeSent => Ok(()),
            Request::Other(code) => self.pass_on(interface, code, argument),
        }
    }

    /// Asks the stack of an interface. No lock is held meanwhile.
    #[doc(alias = "ifioctl")]
    fn pass_on(&self, interface: &str, code: u32, argument: &mut [u8]) -> Result<(), RequestError> {
        let found = self.netmap.list().named(interface).map_err(RequestError::Interface)?;
        let name = || interface.to_string();
        let host = found.common().host.as_ref();
        let host = host.ok_or_else(|| RequestError::NoStack { interface: name(), code })?;
        host.ioctl(code, argument).map_err(|errno| RequestError::Stack { interface: name(), code, errno })
    }
}
