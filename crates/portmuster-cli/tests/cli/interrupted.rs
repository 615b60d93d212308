//! Calls that signals interrupt (`EINTR`) are made again: nothing hangs, and nothing is lost.

use portmuster_lab::Behaviour;

use crate::{
    program::METHODS,
    servers::{start, target},
    shell::sh_where_it_can,
};

/// Each other call of every kind that can be interrupted is, in every process and thread; of
/// reading only what follows the reads of the dynamic linker, which makes none again.
const SCRIPT: &str = "
    strace -f -o /dev/null true || exit 77
    calls=write,recvfrom,recvmsg,sendto,connect,poll,epoll_pwait,wait4,accept4
    exec strace -f -o /dev/null -e trace=\"$calls,read\" \
        -e inject=\"$calls\":error=EINTR:when=1+2 -e inject=read:error=EINTR:when=15+2 \
        \"$portmuster\" check $1 --per-host max --retries 0 --first-byte 2s -o jsonl";

#[test]
fn interrupted_calls_are_made_again_by_every_method() {
    let servers = [Behaviour::Ssh, Behaviour::Telnet, Behaviour::LoginPrompt, Behaviour::Refused];
    let servers = servers.map(start);
    let targets = servers.each_ref().map(target).join(" ");
    for method in METHODS {
        let script = format!("{SCRIPT} --method {method}");
        let what = "has no strace, or lets it trace nobody";
        let Some(ended) = sh_where_it_can(what, &script, &targets) else { return };
        assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
        let rows = ended.rows();
        let told = servers.each_ref().map(|server| {
            let row = rows.iter().find(|row| row.port == server.endpoint().port());
            row.expect("each server has a row").service.clone()
        });
        let truth = [Some("ssh"), Some("telnet"), Some("telnet-likely"), None];
        assert_eq!(told, truth.map(|it| it.map(str::to_owned)), "{method}");
    }
}
