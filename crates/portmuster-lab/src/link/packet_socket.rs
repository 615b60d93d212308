//! Reads and writes the frames of a device (packet(7)).

use std::{
    io::{self, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use nix::{
    cmsg_space,
    errno::Errno,
    ifaddrs::getifaddrs,
    sys::{
        socket::{
            self, AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, MultiHeaders, SockFlag,
            SockProtocol, SockType, SockaddrLike, sockopt,
        },
        time::TimeSpec,
    },
};

/// The most bytes of a frame. The devices' frames have at most 1,514.
const MAX_FRAME: usize = 2048;

/// The most frames that one call receives.
const BATCH: usize = 256;

/// Memory for frames that wait to be read: 0.5 s of 150,000 SYNs per second.
const RECEIVE_BUFFER: usize = 64 << 20;

/// A socket for the frames of one device, in the namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    socket: OwnedFd,
    buffers: Vec<[u8; MAX_FRAME]>,
    received: Vec<Received>,
    /// Frames that the system dropped so far because the buffer was full.
    dropped: u32,
}

/// A frame in a buffer.
#[derive(Debug, Clone, Copy)]
struct Received {
    length: usize,
    time: Duration,
}

impl PacketSocket {
    /// Opens a non-blocking socket for the frames of this device.
    pub(crate) fn open(device: &str) -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let all = SockProtocol::EthAll;
        let socket = socket::socket(AddressFamily::Packet, SockType::Raw, flags, all)?;
        socket::bind(socket.as_raw_fd(), &address(device)?)?;
        socket::setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
        socket::setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        socket::setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        let buffers = vec![[0; MAX_FRAME]; BATCH];
        Ok(Self { socket, buffers, received: Vec::with_capacity(BATCH), dropped: 0 })
    }

    /// Receives the frames that wait, up to a batch. Returns whether there may be more.
    pub(crate) fn receive(&mut self) -> io::Result<bool> {
        self.received.clear();
        // The headers are used once, because the system shortens their room for control messages.
        let space = cmsg_space!(TimeSpec, u32);
        let mut headers = MultiHeaders::<()>::preallocate(BATCH, Some(space));
        let mut slices: Vec<_> =
            self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let socket = self.socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let frames = match socket::recvmmsg(socket, &mut headers, &mut slices, flags, None) {
            Ok(frames) => frames,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        };
        for frame in frames {
            let mut time = Duration::ZERO;
            for message in frame.cmsgs()? {
                match message {
                    ControlMessageOwned::ScmTimestampns(stamp) => time = stamp.into(),
                    ControlMessageOwned::RxqOvfl(dropped) => self.dropped = dropped,
                    _ => {}
                }
            }
            self.received.push(Received { length: frame.bytes, time });
        }
        Ok(self.received.len() == BATCH)
    }

    /// Returns the frames of the last call of [`Self::receive`], with the time since the epoch at
    /// which each one arrived.
    pub(crate) fn frames(&mut self) -> impl Iterator<Item = (&mut [u8], Duration)> {
        let frames = self.received.iter().zip(&mut self.buffers);
        frames.map(|(&Received { length, time }, buffer)| {
            let length = length.min(MAX_FRAME);
            (&mut buffer[..length], time)
        })
    }

    /// Returns how many frames the system dropped so far because the buffer was full.
    pub(crate) fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Sends a frame.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        socket::send(self.socket.as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Returns the address to which a socket for all protocols of the device is bound.
fn address(device: &str) -> io::Result<LinkAddr> {
    getifaddrs()?
        .filter(|interface| interface.interface_name == device)
        .filter_map(|interface| interface.address)
        .filter(|address| address.family() == Some(AddressFamily::Packet))
        .find_map(|address| address.as_link_addr().copied())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no device {device}")))
}
