// SPDX-License-Identifier: MIT

//! The servers of net.h with Tokio: a task for each connection, on one thread.

use std::io::Result;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
const END: &[u8; 4] = b"\r\n\r\n";
const SMALL: usize = 2048;
const LARGE: usize = 65536;

async fn echo(mut connection: TcpStream) -> Result<()> {
    let mut buffer = [0; SMALL];
    loop {
        let size = connection.read(&mut buffer).await?;
        if size == 0 {
            return Ok(());
        }
        connection.write_all(&buffer[..size]).await?;
    }
}

/// How many requests end in `data`; `state` is how much of an empty line the
/// bytes before it were.
fn requests(state: &mut usize, data: &[u8]) -> usize {
    let mut found = 0;
    for byte in data {
        *state = if *byte == END[*state] {
            *state + 1
        } else {
            usize::from(*byte == b'\r')
        };
        if *state == END.len() {
            *state = 0;
            found += 1;
        }
    }
    found
}

async fn http(mut connection: TcpStream, responses: &'static [u8]) -> Result<()> {
    let mut buffer = [0; SMALL];
    let mut state = 0;
    loop {
        let size = connection.read(&mut buffer).await?;
        if size == 0 {
            return Ok(());
        }
        let found = requests(&mut state, &buffer[..size]);
        let answer = &responses[..found * RESPONSE.len()];
        connection.write_all(answer).await?;
    }
}

async fn sink(mut connection: TcpStream) -> Result<()> {
    let mut buffer = vec![0; LARGE];
    while connection.read(&mut buffer).await? > 0 {}
    Ok(())
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> Result<()> {
    let mut buffer = vec![0; LARGE];
    loop {
        let size = from.read(&mut buffer).await?;
        if size == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..size]).await?;
    }
}

async fn proxy(client: TcpStream, port: u16) -> Result<()> {
    let target = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    target.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_target, to_target) = target.into_split();
    tokio::spawn(copy(from_target, to_client));
    copy(from_client, to_target).await
}

async fn serve(port: u16, mode: String, target: u16) -> Result<()> {
    // As many as the smallest requests that a buffer has room for.
    let responses: &'static [u8] = RESPONSE.repeat(SMALL / END.len()).leak();
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?;
    let listener = socket.listen(4096)?;
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        match mode.as_str() {
            "echo" => tokio::spawn(echo(connection)),
            "http" => tokio::spawn(http(connection, responses)),
            "sink" => tokio::spawn(sink(connection)),
            _ => tokio::spawn(proxy(connection, target)),
        };
    }
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let port = |i: usize| words.get(i).map_or(0, |word| word.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    // A task of its own, for what is not one is woken in a slower way.
    runtime.block_on(async {
        tokio::spawn(serve(port(1), words[2].clone(), port(3))).await.unwrap()
    })
}
