//! `Conn`: one open connection, plain or TLS, and its reads stamped by the kernel.

use crate::os::{self, Received, TcpInfo};
use crate::record::{Connect, Nanos};
use bytes::Bytes;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use tokio::net::TcpStream;

/// How much one read may take.
pub const READ_BYTES: usize = 64 * 1024;

/// A read this late may have waited for a lost segment: a retransmission takes longer than that.
const DOUBTED_FROM: i64 = 1_000_000;

/// What TLS needs beside a socket.
#[derive(Clone)]
pub struct Tls {
    pub config: Arc<ClientConfig>,
    pub name: ServerName<'static>,
}

/// An open connection.
pub struct Conn {
    /// Does not block; the runtime does not know of it.
    pub socket: Arc<net::TcpStream>,
    tls: Option<Box<ClientConnection>>,
    pub opened: Connect,
    /// Requests that it has carried to their end.
    pub served: u32,
    /// Since when it lies idle.
    pub idle_since: Nanos,
    /// Whether the kernel stamps what it receives.
    pub stamped: bool,
    /// The poller that reads replies knows of it.
    pub watched: bool,
    /// What TCP had told at the end of the request before.
    told: TcpInfo,
    /// Segments out of order that a late read has asked about so far.
    disorder: u32,
}

impl Conn {
    /// Connects, TLS included. The caller limits the time.
    pub async fn open(address: SocketAddr, tls: Option<&Tls>) -> io::Result<Conn> {
        let started = os::now();
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let stamped = os::enable_receive_stamps(socket.as_raw_fd());
        let tls = match tls {
            Some(tls) => Some(shake_hands(&socket, tls).await?),
            None => None,
        };
        let done = os::now();
        let opened = Connect { started, done };
        Ok(Conn {
            socket: Arc::new(socket.into_std()?),
            tls,
            opened,
            served: 0,
            idle_since: done,
            stamped,
            watched: false,
            told: TcpInfo::default(),
            disorder: 0,
        })
    }

    /// The bytes that go on the wire for `plain`; they must be written next, and whole.
    pub fn seal(&mut self, plain: Bytes) -> io::Result<Bytes> {
        let Some(tls) = &mut self.tls else { return Ok(plain) };
        let mut sealed = Vec::with_capacity(plain.len() + 512);
        let mut rest = &plain[..];
        while !rest.is_empty() {
            let n = tls.writer().write(rest)?;
            rest = &rest[n..];
            while tls.wants_write() {
                tls.write_tls(&mut sealed)?;
            }
        }
        Ok(sealed.into())
    }

    /// Whether it may carry another request.
    pub fn fit(&self) -> bool {
        os::idle_and_open(self.socket.as_raw_fd())
    }

    /// What TCP tells of the request that has just ended; `None` where it cannot be asked.
    pub fn network(&mut self) -> Option<TcpInfo> {
        let told = os::tcp_info(self.socket.as_raw_fd())?;
        Some(told.since(std::mem::replace(&mut self.told, told)))
    }

    /// The time of a read that came late. Behind a lost segment the kernel keeps what came out of
    /// order with its stamp, and gives it out when the hole is filled: nobody could have read it
    /// before, so the read's own time counts.
    pub fn doubted(&mut self, received: Received) -> Received {
        if received.lag().is_none_or(|lag| lag < DOUBTED_FROM) {
            return received;
        }
        let disorder = os::tcp_info(self.socket.as_raw_fd()).map_or(0, |told| told.out_of_order);
        let rose = disorder > std::mem::replace(&mut self.disorder, disorder);
        Received { stamp: received.stamp.filter(|_| !rose), ..received }
    }

    /// Hands over what one read brought, decrypted into `plain` where it must be: no bytes mean
    /// that the peer has closed. `None`: a TLS record had nothing for us.
    pub fn unseal<T>(
        &mut self,
        received: Received,
        bytes: &[u8],
        plain: &mut Vec<u8>,
        take: impl FnOnce(Received, &[u8]) -> T,
    ) -> io::Result<Option<T>> {
        let Some(tls) = &mut self.tls else { return Ok(Some(take(received, bytes))) };
        plain.clear();
        let closed = open_records(tls, bytes, plain)? || bytes.is_empty();
        if plain.is_empty() && !closed {
            return Ok(None);
        }
        Ok(Some(take(Received { bytes: plain.len(), ..received }, plain)))
    }
}

async fn shake_hands(socket: &TcpStream, tls: &Tls) -> io::Result<Box<ClientConnection>> {
    let mut session =
        ClientConnection::new(tls.config.clone(), tls.name.clone()).map_err(io::Error::other)?;
    let mut buffer = vec![0u8; READ_BYTES];
    while session.is_handshaking() {
        while session.wants_write() {
            let mut out = Vec::new();
            session.write_tls(&mut out)?;
            write_all(socket, &out).await?;
        }
        if !session.is_handshaking() {
            break;
        }
        socket.readable().await?;
        match socket.try_read(&mut buffer) {
            Ok(0) => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed during the TLS handshake"));
            }
            Ok(n) => feed(&mut session, &buffer[..n])?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let mut out = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut out)?;
    }
    write_all(socket, &out).await?;
    Ok(Box::new(session))
}

async fn write_all(socket: &TcpStream, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        socket.writable().await?;
        match socket.try_write(rest) {
            Ok(n) => rest = &rest[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn feed(session: &mut ClientConnection, mut sealed: &[u8]) -> io::Result<()> {
    while !sealed.is_empty() {
        session.read_tls(&mut sealed)?;
        session.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    }
    Ok(())
}

/// Decrypts into `plain`; true when the peer has said goodbye.
fn open_records(session: &mut ClientConnection, mut sealed: &[u8], plain: &mut Vec<u8>) -> io::Result<bool> {
    let mut closed = false;
    while !sealed.is_empty() && !closed {
        session.read_tls(&mut sealed)?;
        let state = session
            .process_new_packets()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        closed = state.peer_has_closed();
        let ready = state.plaintext_bytes_to_read();
        let start = plain.len();
        plain.resize(start + ready, 0);
        session.reader().read_exact(&mut plain[start..])?;
    }
    Ok(closed)
}
