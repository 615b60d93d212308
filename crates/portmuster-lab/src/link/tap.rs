//! Devices whose frames this process reads and writes (TAP, Documentation/networking/tuntap.rst).
//!
//! A frame is queued in the call that sends it, so a system without time for its softirqs loses none,
//! as it would between a pair of veth devices.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::fd::{AsFd, BorrowedFd},
};

use rustix::ioctl::{self, Opcode, Updater};

/// The most bytes of a frame. The devices' frames have at most 1,514.
const MAX_FRAME: usize = 2048;

/// Creates a device for a descriptor (`TUNSETIFF`). Its
/// number mentions an `int`, but the call takes a [`Request`].
const CREATE: Opcode = ioctl::opcode::write::<i32>(b'T', 202);

/// Frames of Ethernet (`IFF_TAP`) and nothing before them (`IFF_NO_PI`).
const FLAGS: u16 = 0x0002 | 0x1000;

/// `struct ifreq` of netdevice(7).
#[derive(Debug)]
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: u16,
    unused: [u8; 22],
}

/// A device. Dropping it removes the device.
#[derive(Debug)]
pub(crate) struct Tap {
    file: File,
    buffer: [u8; MAX_FRAME],
}

impl Tap {
    /// Creates a device in the network namespace of this thread. Its name has less than 16 bytes.
    pub(crate) fn create(name: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
        rustix::io::ioctl_fionbio(&file, true)?;
        let mut request = Request { name: [0; 16], flags: FLAGS, unused: [0; 22] };
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        create_device(&file, &mut request)?;
        Ok(Self { file, buffer: [0; MAX_FRAME] })
    }

    /// Receives the next frame that waits; `None` if there is none.
    pub(crate) fn receive(&mut self) -> io::Result<Option<&mut [u8]>> {
        match self.file.read(&mut self.buffer) {
            Ok(length) => Ok(Some(&mut self.buffer[..length])),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Hands a frame to the system of the device.
    pub(crate) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.file.write_all(frame)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[expect(unsafe_code, reason = "no safe function creates a device")]
fn create_device(file: &File, request: &mut Request) -> io::Result<()> {
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, which `Request` is in layout and size.
    unsafe { ioctl::ioctl(file, Updater::<CREATE, Request>::new(request)) }?;
    Ok(())
}
