//! `Conn`: one open connection, plain or TLS, and its reads stamped by the kernel.

use crate::os::{self, Received, TcpInfo};
use crate::record::{Connect, Nanos};
use bytes::Bytes;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{self, BufRead, Write};
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
    /// What TCP had told at the end of the request before, or of the handshake.
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
        // A handshake that was asked for again is time of connecting, and no request's.
        let told = os::tcp_info(socket.as_raw_fd()).unwrap_or_default();
        let opened = Connect { started, done };
        Ok(Conn {
            socket: Arc::new(socket.into_std()?),
            tls,
            opened,
            served: 0,
            idle_since: done,
            stamped,
            watched: false,
            told,
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

    /// Whether the peer has sent nothing since the last read, not even its end.
    pub fn silent(&self) -> bool {
        os::idle_and_open(self.socket.as_raw_fd())
    }

    /// Whether it may carry another request. The tickets that a TLS server sends after its
    /// handshake belong to no reply, and are taken in.
    pub fn fit(&mut self) -> bool {
        let silent = self.silent();
        match &mut self.tls {
            Some(tls) if !silent => take_tickets(&self.socket, tls),
            _ => silent,
        }
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
    /// that the peer has closed, which it may have done in the same read. `None`: what was taken,
    /// or a TLS record that had nothing for us, ends nothing.
    pub fn unseal<T>(
        &mut self,
        received: Received,
        bytes: &[u8],
        plain: &mut Vec<u8>,
        mut take: impl FnMut(Received, &[u8]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        let Some(tls) = &mut self.tls else { return Ok(take(received, bytes)) };
        plain.clear();
        let opened = open_records(tls, bytes, plain);
        if !plain.is_empty()
            && let Some(taken) = take(Received { bytes: plain.len(), ..received }, plain)
        {
            return Ok(Some(taken));
        }
        let closed = opened? || bytes.is_empty();
        Ok(if closed { take(Received { bytes: 0, ..received }, &[]) } else { None })
    }
}

/// Reads what has come on an idle connection; false: that was more than tickets.
fn take_tickets(socket: &net::TcpStream, tls: &mut ClientConnection) -> bool {
    let (mut sealed, mut plain) = ([0; 4096], Vec::new());
    loop {
        match os::receive(socket.as_raw_fd(), &mut sealed) {
            Ok(received) if received.bytes == 0 => return false,
            Ok(received) => match open_records(tls, &sealed[..received.bytes], &mut plain) {
                Ok(closed) if !closed && plain.is_empty() => {}
                _ => return false,
            },
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
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

/// Decrypts into `plain`; true when the peer has said goodbye. What came before a fault is in
/// `plain`.
fn open_records(session: &mut ClientConnection, mut sealed: &[u8], plain: &mut Vec<u8>) -> io::Result<bool> {
    let mut closed = false;
    while !sealed.is_empty() && !closed {
        session.read_tls(&mut sealed)?;
        let state = session.process_new_packets();
        let mut reader = session.reader();
        while let Ok(piece) = reader.fill_buf()
            && !piece.is_empty()
        {
            plain.extend_from_slice(piece);
            let taken = piece.len();
            reader.consume(taken);
        }
        let state = state.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        closed = state.peer_has_closed();
    }
    Ok(closed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tls;
    use rustls::ServerConnection;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    #[tokio::test]
    async fn the_tickets_of_a_tls_server_leave_a_connection_fit_and_other_bytes_do_not() {
        let (server, _) = tls::tests::server();
        let listener = net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (go_on, asked) = mpsc::channel();
        let peer = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("accepts");
            let mut session = ServerConnection::new(server).expect("a session");
            while session.is_handshaking() || session.wants_write() {
                session.complete_io(&mut socket).expect("shakes hands");
            }
            let _ = asked.recv();
            session.writer().write_all(b"x").expect("memory");
            session.write_tls(&mut socket).expect("writes");
            let _ = asked.recv();
        });
        let name = ServerName::try_from("localhost").expect("a name");
        let config = tls::config(true, None).expect("a configuration");
        let mut conn = Conn::open(address, Some(&Tls { config, name })).await.expect("connects");
        let heard = |conn: &Conn| {
            let limit = Instant::now() + Duration::from_secs(10);
            while conn.silent() && Instant::now() < limit {
                std::thread::sleep(Duration::from_millis(1));
            }
            !conn.silent()
        };
        assert!(heard(&conn), "tickets");
        assert!(conn.fit() && conn.silent());
        go_on.send(()).expect("waits");
        assert!(heard(&conn), "bytes of no reply");
        assert!(!conn.fit());
        drop(go_on);
        peer.join().expect("ends");
    }
}
