//! `Lossy`: a network of its own with a delay and loss, for the thread that makes it and for
//! what that thread starts.
//!
//! The kernels of small virtual machines lack `netem`, so the packets go through this process:
//! what is sent to [`PEER`] comes out of a TUN device, waits, and goes back in with source and
//! address exchanged, so that it arrives at [`OURS`]. A checksum of sums does not mind.

use super::Result;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Where a server listens, and where its clients send to.
pub const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));
pub const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2));

const DEVICE: &[u8] = b"lossy0";
const PACKET_BYTES: usize = 1 << 16;

/// Puts this thread into a new network: each packet takes `delay`, one in `lose` is lost (0:
/// none). Fails where that is not allowed.
pub fn enter(delay: Duration, lose: u32) -> Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(format!("no network of our own: {}", std::io::Error::last_os_error()).into());
    }
    let device = open_device().map_err(|error| format!("no TUN device: {error}"))?;
    for line in ["addr add 10.9.0.1/24 dev lossy0", "link set lossy0 up", "link set lo up"] {
        let done =
            Command::new("ip").args(line.split(' ')).status().map_err(|error| format!("ip: {error}"))?;
        if !done.success() {
            return Err(format!("`ip {line}` has failed").into());
        }
    }
    relay(device, delay, lose)
}

fn open_device() -> std::io::Result<File> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: an all-zero request is a valid one, and it lives through the call.
    let result = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(DEVICE) {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
        libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &request)
    };
    if result == 0 { Ok(device) } else { Err(std::io::Error::last_os_error()) }
}

/// Two threads that live until the device goes: one takes packets and decides, one waits.
fn relay(device: File, delay: Duration, lose: u32) -> Result<()> {
    let (mut from, mut to) = (device.try_clone()?, device);
    let (later, waiting) = channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let (mut buffer, mut dice) = (vec![0; PACKET_BYTES], 1u64);
        while let Ok(n) = from.read(&mut buffer) {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let lost = lose > 0 && ((dice >> 33) as u32).is_multiple_of(lose);
            // Only IPv4: the device also speaks of itself in IPv6.
            if lost || n < 20 || buffer[0] >> 4 != 4 {
                continue;
            }
            let mut packet = buffer[..n].to_vec();
            packet[12..20].rotate_left(4);
            if later.send((Instant::now() + delay, packet)).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        for (due, packet) in waiting {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&packet).is_err() {
                return;
            }
        }
    });
    Ok(())
}
