//! System calls that a signal interrupts (`EINTR`) are retried: nothing hangs and nothing is lost.

use portmuster_lab::Behaviour;

use crate::{
    program::{METHODS, concurrently},
    servers::{start, target},
    shell::sh_or_skip,
};

/// Makes every second call of each interruptible kind fail with `EINTR`, in all processes and
/// threads. The reads of the dynamic linker, which come first, are spared because the linker
/// retries none.
const SCRIPT: &str = "
    strace -f -o /dev/null true || exit 77
    calls=write,recvfrom,recvmsg,sendto,connect,poll,epoll_pwait,wait4,accept4
    exec strace -f -o /dev/null -e trace=\"$calls,read\" \
        -e inject=\"$calls\":error=EINTR:when=1+2 -e inject=read:error=EINTR:when=15+2 \
        \"$portmuster\" check $1 --per-host max --retries 0 --first-byte 1h --deadline 1h -o jsonl";

#[test]
fn every_method_retries_interrupted_calls() {
    let servers = [Behaviour::Ssh, Behaviour::Telnet, Behaviour::LoginPrompt, Behaviour::Refused];
    let servers = servers.map(start);
    let targets = servers.each_ref().map(target).join(" ");
    concurrently(METHODS, |method| {
        let script = format!("{SCRIPT} --method {method}");
        let what = "has no strace, or forbids tracing";
        let Some(ended) = sh_or_skip(what, &script, &targets) else { return };
        assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
        let rows = ended.rows();
        let services = servers.each_ref().map(|server| {
            let row = rows.iter().find(|row| row.port == server.endpoint().port());
            row.expect("each server has a row").service.clone()
        });
        let expected = [Some("ssh"), Some("telnet"), Some("telnet-likely"), None];
        assert_eq!(services, expected.map(|it| it.map(str::to_owned)), "{method}");
    });
}
